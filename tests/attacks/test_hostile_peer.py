"""A peer that sends malformed, out-of-range, replayed or reordered messages fails the task, by name and at
once.

Bob runs the honest program, but his link changes one of his messages on its way. Alice must name him; Bob
must hear that she gave up; nobody may wait for the timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgpack
import pytest

from dtxeth.crypto import generate_keypair
from dtxeth.errors import PeerError
from dtxeth.learning.handshake import Key, exchange_keys
from dtxeth.transport import Channel, memory_channels
from dtxeth.transport.messages import send
from tests.learning.parties import ACTIVE, PASSIVE, made_up_tables, predict_all, small_key_spec, train_all

TABLES = made_up_tables()
SPEC = small_key_spec(max_rounds=2)
CIPHERTEXT = 64  # bytes of one ciphertext under a 256-bit key
LARGE = b"\xff" * CIPHERTEXT

Forge = Callable[[bytes], list[bytes]]


class Forging:
    """Link of Bob that forges the payload of his message ``tag``, or repeats or reorders whole frames."""

    def __init__(self, channel: Channel, tag: str, forge: Forge, whole_frame: bool = False) -> None:
        self._link, self._tag, self._forge, self._whole_frame = channel._link, tag, forge, whole_frame
        channel._link = self

    def put(self, peer: str, frame: bytes, timeout: float) -> None:
        number, tag, payload = msgpack.unpackb(frame)
        if tag != self._tag:
            frames = [frame]
        elif self._whole_frame:
            frames = self._forge(frame)
        else:
            frames = [msgpack.packb([number, tag, forged]) for forged in self._forge(payload)]
        for each in frames:
            self._link.put(peer, each, timeout)

    def get(self, peer: str, timeout: float) -> bytes:
        return self._link.get(peer, timeout)

    def close(self) -> None:
        self._link.close()


def changed(field: str, change: Callable[[object], object]) -> Forge:
    """Forge one field of a message."""

    def forge(payload: bytes) -> list[bytes]:
        fields = msgpack.unpackb(payload)
        return [msgpack.packb(fields | {field: change(fields[field])})]

    return forge


def outcome_of(tag: str, forge: Forge, whole_frame: bool = False) -> dict[str, object]:
    channels = memory_channels(TABLES)
    Forging(channels[PASSIVE], tag, forge, whole_frame)
    began = time.monotonic()
    outcome = train_all(TABLES, SPEC, channels=channels)
    assert time.monotonic() - began < 60  # the timeout is 120 s
    return outcome


def test_the_forging_link_is_honest_when_it_forges_nothing() -> None:
    outcome = outcome_of("0 masked", lambda payload: [payload])
    assert outcome[ACTIVE].result == outcome[PASSIVE].result


@pytest.mark.parametrize(
    ("tag", "forge", "message"),
    [
        ("hello", changed("spec", lambda _: bytes(32)), "does not agree on the spec"),
        ("hello", changed("task", lambda _: b"task 0"), "does not agree on the task"),
        ("hello", changed("version", lambda v: v + 1), "does not agree on the version"),
        ("hello", changed("rows", lambda v: v - 1), "has 319 rows, its file was published with 320"),
        ("hello", changed("rows", lambda _: -1), "malformed 'hello': rows: Input should be greater"),
        ("hello", changed("max_leverage", lambda _: 2.0), "malformed 'hello': max_leverage"),
        ("hello", changed("min_rows", lambda _: 0), "malformed 'hello': min_rows"),
        ("masked ids", changed("points", lambda p: bytes(32) + p[32:]), "invalid masked ids"),
        ("masked ids", changed("points", lambda p: p[32:64] + p[32:]), "invalid masked ids: .*repeated"),
        ("returned ids", changed("points", lambda p: p[:-32]), "invalid returned ids"),
        ("common ids", changed("digest", lambda _: bytes(32)), "does not find the same common rows"),
        ("set aside 0", changed("positions", lambda _: [300]), "set aside row 300 of 300"),
        ("set aside 0", changed("positions", lambda _: [-1]), "malformed 'set aside 0'"),
        ("key", changed("n", lambda n: n[:-1]), "unusable key|sent a key of 248 bits"),
        ("key", changed("n", lambda n: n[:-1] + bytes([n[-1] & 0xFE])), "unusable key"),
        ("key", changed("n", lambda n: b"\xff" + n), "sent a key of 264 bits"),
        (
            "0 chain 1",
            changed("ciphers", lambda c: bytes(CIPHERTEXT) + c[CIPHERTEXT:]),
            "malformed '0 chain 1'",
        ),
        ("0 chain 1", changed("ciphers", lambda c: LARGE + c[CIPHERTEXT:]), "malformed '0 chain 1'"),
        ("0 chain 1", changed("ciphers", lambda c: c[CIPHERTEXT:]), "malformed '0 chain 1'"),
        (
            "0 chain 1",
            changed("ciphers", lambda c: list(c[:4])),
            "malformed '0 chain 1': ciphers: Input should be",
        ),
        ("0 masked", changed("ciphers", lambda c: c + b"\0"), "malformed '0 masked'"),
        (
            "0 masked",
            changed("ciphers", lambda c: c + c[:CIPHERTEXT]),
            "malformed '0 masked': 320 bytes of .*expected 4 of",
        ),
        ("0 masked", changed("ciphers", lambda c: LARGE + c[CIPHERTEXT:]), "malformed '0 masked'"),
        ("0 rounded", changed("sums", lambda s: s[:-1]), "returned sums of another number or range"),
        (
            "0 rounded",
            changed("sums", lambda s: b"\xff" * 32 + s[32:]),
            "returned sums of another number or range",
        ),
        (
            "0 rounded",
            changed("sums", lambda s: bytes(len(s))),
            "returned a gradient out of range in round 0",
        ),
        ("0 vote", changed("converged", lambda _: 2), "malformed '0 vote': converged"),
        ("0 vote", lambda _: [b"\xc1"], "malformed '0 vote'"),
        (
            "commitment",
            changed("rounds", lambda r: r - 1),
            "says training ended after 1 rounds, here it was 2",
        ),
        ("commitment", changed("commitment", lambda c: c[:-1]), "malformed 'commitment'"),
    ],
)
def test_forged_message(tag: str, forge: Forge, message: str) -> None:
    outcome = outcome_of(tag, forge)
    with pytest.raises(PeerError, match=f"^peer {PASSIVE}: .*({message})"):
        raise outcome[ACTIVE]
    if tag != "commitment":  # nothing is due to Bob after it: his part of the task is done
        with pytest.raises(PeerError, match=f"^peer {ACTIVE}: gave up: PeerError$"):
            raise outcome[PASSIVE]


@pytest.mark.parametrize("tag", ["hello", "returned ids", "0 masked", "0 vote"])
def test_replayed_message(tag: str) -> None:
    outcome = outcome_of(tag, lambda frame: [frame, frame], whole_frame=True)
    with pytest.raises(PeerError, match=f"^peer {PASSIVE}: replayed message "):
        raise outcome[ACTIVE]
    with pytest.raises(PeerError, match=f"^peer {ACTIVE}: gave up: PeerError$"):
        raise outcome[PASSIVE]


def test_our_own_key_sent_back() -> None:
    """Bob claims Alice's key as his: she would compute under a key of which she alone has the factors."""
    channels = memory_channels(TABLES)
    key = generate_keypair(256, insecure_test_key=True)
    send(channels[PASSIVE], ACTIVE, "key", Key(n=key.public_key.to_bytes()))
    with pytest.raises(PeerError, match=f"^peer {PASSIVE}: sent our own key"):
        exchange_keys(channels[ACTIVE], (ACTIVE, PASSIVE), key)


def test_key_of_the_right_length_but_other_factors_is_no_use() -> None:
    """Bob announces a modulus whose factors he lacks: his answers are noise, refused as out of range."""
    other = generate_keypair(256, insecure_test_key=True).public_key.to_bytes()
    outcome = outcome_of("key", changed("n", lambda _: other))
    with pytest.raises(PeerError, match=f"^peer {PASSIVE}: "):
        raise outcome[ACTIVE]


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (changed("z", lambda z: z[:-1]), "sent 2399 bytes of scores for 300 common rows"),
        (changed("z", lambda z: str(z)), "malformed 'scores'"),
    ],
)
def test_forged_scores(forge: Forge, message: str) -> None:
    channels = memory_channels(TABLES)
    trainings = train_all(TABLES, SPEC)
    Forging(channels[PASSIVE], "scores", forge)
    outcome = predict_all(TABLES, trainings, SPEC, channels=channels)
    with pytest.raises(PeerError, match=f"^peer {PASSIVE}: .*{message}"):
        raise outcome[ACTIVE]
