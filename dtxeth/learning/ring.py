"""The ring: how the parties of a training stand to each other, and whose key each one computes under."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtxeth.crypto import CipherVector, PrivateKey, PublicKey
from dtxeth.errors import CryptoError, PeerError
from dtxeth.transport.channel import Channel
from dtxeth.transport.messages import Message, receive, send


class Ciphers(Message):
    """A vector of ciphertexts, fixed width, under the key that the protocol prescribes at this point."""

    ciphers: bytes


@dataclass(frozen=True)
class Ring:
    """A party's place among the others.

    Attributes:
        channel: Its channel.
        parties: All parties in the order that everybody uses; the ring closes from the last to the first.
        public_keys: Their public keys, in that order.
        features: Their numbers of features, in that order: nobody gets more sums decrypted than that.
        key: The party's own private key: its predecessor computes under it.
        active: The party that has the label.
    """

    channel: Channel
    parties: tuple[str, ...]
    public_keys: tuple[PublicKey, ...]
    features: tuple[int, ...]
    key: PrivateKey = field(repr=False)
    active: str

    @property
    def position(self) -> int:
        """Index of this party."""
        return self.parties.index(self.channel.name)

    @property
    def successor(self) -> str:
        """Holder of the key under which this party computes."""
        return self.parties[(self.position + 1) % len(self.parties)]

    @property
    def successor_key(self) -> PublicKey:
        """The key under which this party computes."""
        return self.public_keys[(self.position + 1) % len(self.parties)]

    @property
    def predecessor(self) -> str:
        """The party that computes under this party's key."""
        return self.parties[self.position - 1]

    def pass_on(self, tag: str, ciphers: CipherVector) -> None:
        """Send ciphertexts to the successor."""
        send(self.channel, self.successor, tag, Ciphers(ciphers=ciphers.to_bytes()))

    def take(self, tag: str, key: PublicKey, length: int) -> CipherVector:
        """Receive ``length`` ciphertexts under ``key`` from the predecessor.

        Raises:
            PeerError: It was silent, gave up, or sent something malformed.
        """
        data = receive(self.channel, self.predecessor, tag, Ciphers).ciphers
        try:
            return CipherVector.from_bytes(key, data, length)
        except CryptoError as error:
            raise PeerError(self.predecessor, f"sent a malformed {tag!r}: {error}") from None
