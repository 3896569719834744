"""What the two neighbours of a party on a chain learn of what it added, by pooling what they sent and received.

Four parties in a ring; Bob stands between Ann and Cat, and they are after his part of z. In the naive protocol, he
passes on what he got times what he adds, without fresh randomness.
"""

from __future__ import annotations

from collections.abc import Iterator

import gmpy2
import msgpack
import numpy as np
import pytest

from dtxeth.crypto import CipherVector, generate_keypair
from dtxeth.errors import TaskError
from dtxeth.learning import fixedpoint
from dtxeth.learning.journal import MemoryJournal
from dtxeth.learning.ring import Ring
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.sigmoid import ROTATION, TRIGONOMETRIC, Link
from dtxeth.learning.vertical import GradientProtocol
from dtxeth.transport import memory_channels
from tests.learning.parties import run_parties

PARTIES = ("ann", "bob", "cat", "dan")
KEYS = [generate_keypair(256, insecure_test_key=True) for _ in PARTIES]
PUBLIC = tuple(key.public_key for key in KEYS)
FIRST_ORDER, SINES = Link(0.25), TRIGONOMETRIC[1]
PRECISION = 24
Z = dict(zip(PARTIES, np.array([[0.5, -1.5], [1.25, -0.75], [0.1, 2.0], [-1.0, 0.3]]), strict=True))

Sent = dict[tuple[str, str], bytes]


def one_round(link: Link, journals: dict[str, MemoryJournal] | None = None, **secrets: bytes) -> tuple:
    """Return the gradients, or errors, and all ciphertexts by sender and tag."""
    channels = memory_channels(PARTIES, timeout=60)
    sent: Sent = {}

    def program(i: int, name: str) -> np.ndarray:
        put = channels[name]._link.put

        def record(peer: str, frame: bytes, timeout: float) -> None:
            _, tag, payload = msgpack.unpackb(frame)
            if "chain" in tag:
                sent[name, tag] = msgpack.unpackb(payload)["ciphers"]
            put(peer, frame, timeout)

        channels[name]._link.put = record
        own = TaskSecrets(secrets.get(name, bytes([i]) * 32), b"task")
        journal = (journals or {}).get(name, MemoryJournal())
        ring = Ring(channels[name], PARTIES, PUBLIC, (1,) * 4, KEYS[i], "dan")
        encoded = np.full((2, 1 + (name == "dan" and link.width > 1)), 1 << PRECISION)
        try:
            protocol = GradientProtocol(ring, link, PRECISION, own, journal)
            return protocol.run(0, Z[name], np.zeros(2) if name == "dan" else None, encoded, last=True)
        except TaskError as error:
            channels[name].abort(str(error))
            raise

    names = enumerate(PARTIES)
    return run_parties({name: lambda i=i, name=name: program(i, name) for i, name in names}), sent


def around_bob(sent: Sent, wave: str = "") -> Iterator[tuple[CipherVector, CipherVector]]:
    """What Ann sent to him and he to Cat, of the chains that Ann and Dan started."""
    for hop, key in ((1, PUBLIC[0]), (2, PUBLIC[3])):
        data = sent["ann", f"0 chain {hop}{wave}"], sent["bob", f"0 chain {hop + 1}{wave}"]
        yield tuple(CipherVector.from_bytes(key, each, 2) for each in data)


def divided(sent: Sent) -> list[list[int] | None]:
    """What Bob added, if the quotient of what he sent and got is of the form 1 + n·m."""
    found = []
    for got, passed in around_bob(sent):
        n, modulus = int(got.public_key.n), got.public_key.n_squared
        quotients = [
            int(y * gmpy2.invert(x, modulus) % modulus)
            for x, y in zip(got.values, passed.values, strict=True)
        ]
        whole = all(quotient % n == 1 for quotient in quotients)
        found.append([fixedpoint_of(quotient // n, n) for quotient in quotients] if whole else None)
    return found


def fixedpoint_of(residue: int, n: int) -> int:
    return residue - n if residue > n // 2 else residue


def angle_by_search(sent: Sent) -> list[tuple[int, int] | None]:
    """Bob's multipliers (cos, sin) for the first row, met in the middle: his sine is [[sin]]^cos · [[cos]]^sin."""
    found = []
    for (sines, turned), (cosines, _) in zip(
        around_bob(sent, " wave 1"), around_bob(sent, " wave 2"), strict=True
    ):
        modulus, most = sines.public_key.n_squared, 1 << ROTATION
        power = gmpy2.powmod(sines[0], -most, modulus)
        powers = {}
        for cosine in range(-most, most + 1):
            powers[power] = cosine
            power = power * sines[0] % modulus
        rest, down = turned[0] * gmpy2.powmod(cosines[0], most, modulus), gmpy2.invert(cosines[0], modulus)
        found.append(None)
        for sine in range(-most, most + 1):
            rest = rest % modulus
            if rest in powers:
                found[-1] = powers[rest], sine
                break
            rest = rest * down
    return found


SHARE = fixedpoint.encode_residual(0.25 * Z["bob"], PRECISION, PRECISION)
ANGLE = 2.0**ROTATION * np.exp(1j * SINES.frequency * Z["bob"][0])
TURN = round(ANGLE.real), round(ANGLE.imag)


@pytest.fixture
def naive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GradientProtocol, "_rerandomize", lambda _self, _number, _hop, parts: parts)


@pytest.mark.usefixtures("naive")
def test_a_naive_hop_shows_its_share_and_its_angle_to_its_neighbours() -> None:
    assert divided(one_round(FIRST_ORDER)[1]) == [SHARE, SHARE]
    assert angle_by_search(one_round(SINES)[1]) == [TURN, TURN]


def test_ours_shows_neither_and_gradients_are_the_same() -> None:
    first, sent = one_round(FIRST_ORDER)
    assert divided(sent) == [None, None]
    turned, waves = one_round(SINES)
    assert divided(waves) == [None, None]
    assert angle_by_search(waves) == [None, None]
    for gradients, link in ((first, FIRST_ORDER), (turned, SINES)):
        assert gradients["bob"] == pytest.approx(link.value(sum(Z.values())).mean(), abs=1e-4)


def test_with_the_key_of_the_chain_that_one_of_them_started_neighbours_still_open_it() -> None:
    """The limit of it, as docs/security.md says: no encryption holds against the holder of its key."""
    _, sent = one_round(FIRST_ORDER)
    passed = CipherVector.from_bytes(PUBLIC[0], sent["bob", "0 chain 2"], 2)
    of_ann = fixedpoint.encode_residual(0.25 * Z["ann"], PRECISION, PRECISION)
    assert [m - a for m, a in zip(KEYS[0].decrypt(passed), of_ann, strict=True)] == SHARE


def test_a_round_repeated_is_the_same_and_another_vector_gets_no_randomness_twice() -> None:
    journals = {name: MemoryJournal() for name in PARTIES}
    _, sent = one_round(SINES, journals)
    assert one_round(SINES, journals)[1] == sent
    # Ann forgot her secret: what Bob gets is another vector, although all that he encrypts himself is the same
    outcome, again = one_round(SINES, journals | {"ann": MemoryJournal()}, ann=b"A" * 32)
    with pytest.raises(TaskError, match="round 0 is not what it was before the interruption"):
        raise outcome["bob"]
    assert again["bob", "0 chain 1"] == sent["bob", "0 chain 1"]
    assert ("bob", "0 chain 2") not in again
