"""A curious party in an alignment of three keeps all points, and tries every id that it can think of on them."""

from __future__ import annotations

from collections import defaultdict

import msgpack
import pytest

from dtxeth.crypto import psi
from dtxeth.learning.alignment import align, align_pair
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.transport import memory_channels
from tests.learning.parties import run_parties

TASK = b"task"
ALL = [f"all {i}" for i in range(6)]
SETS = {
    "ann": [*ALL, "ann bob 1", "ann bob 2", "ann cat", "ann only"],
    "bob": [*ALL, "ann bob 1", "ann bob 2", "bob cat", "bob only"],
    "cat": [*ALL, "ann cat", "bob cat", "cat only"],
}
DICTIONARY = sorted({name for names in SETS.values() for name in names})
ROWS = {party: len(names) for party, names in SETS.items()}
SECRETS = {party: TaskSecrets(party.encode().ljust(32), TASK) for party in SETS}


def test_naively_every_pair_finds_out_what_the_two_have_in_common() -> None:
    """An alignment of three made of alignments of two."""

    def common(*pair: str) -> set[str]:
        channels = memory_channels(pair)
        found = run_parties(
            {
                party: lambda party=party: align_pair(
                    channels[party], SETS[party], ROWS, TASK, SECRETS[party]
                )
                for party in pair
            }
        )
        return set(found[pair[0]])

    assert common("ann", "bob") - set(ALL) == {"ann bob 1", "ann bob 2"}
    assert common("bob", "cat") - set(ALL) == {"bob cat"}


def listen() -> tuple[dict[str, list[tuple[str, str, list[bytes]]]], dict[str, list[str]]]:
    """Run ours; return what each party received, as (peer, tag, points), and found."""
    channels = memory_channels(SETS)
    heard: dict[str, list[tuple[str, str, list[bytes]]]] = defaultdict(list)
    for party, channel in channels.items():
        get = channel._link.get

        def record(peer: str, timeout: float, get=get, party: str = party) -> bytes:
            frame = get(peer, timeout)
            _, tag, payload = msgpack.unpackb(frame)
            data = msgpack.unpackb(payload).get("points", b"")
            heard[party].append((peer, tag, [data[i : i + 32] for i in range(0, len(data), 32)]))
            return frame

        channel._link.get = record
    found = run_parties(
        {
            party: lambda party=party: align(channels[party], SETS[party], ROWS, TASK, SECRETS[party])
            for party in SETS
        }
    )
    return heard, found


@pytest.mark.parametrize("curious", sorted(SETS))
def test_alone_a_party_recognises_nothing_but_the_common_rows(curious: str) -> None:
    heard, found = listen()
    assert {party: sorted(names) for party, names in found.items()} == dict.fromkeys(SETS, ALL)
    mask = psi.Mask(SECRETS[curious].derive(psi.SEED_BYTES, "alignment scalar"))
    plain = psi.hash_ids([name.encode() for name in DICTIONARY], TASK)
    once = mask.apply(plain)
    forms = [plain, once, mask.apply(once), mask.remove(plain)]
    names = {point: name for form in forms for point, name in zip(form, DICTIONARY, strict=True)}
    points = [point for _, _, received in heard[curious] for point in received]
    points += mask.apply(points) + mask.remove(points)
    recognised = {names[point] for point in points if point in names}
    assert recognised == set(ALL)


@pytest.mark.parametrize("curious", sorted(SETS))
def test_only_the_first_party_can_link_sets_and_only_by_their_sizes(curious: str) -> None:
    """Points of two owners' sets look alike only when masked by all, which the first party alone has of all."""
    heard, _ = listen()
    whole = [set(received) for _, tag, received in heard[curious] if tag == "masked by all"]
    assert len(whole) == (2 if curious == "ann" else 0)
    partly = [set(received) for _, tag, received in heard[curious] if tag.startswith("masked ids")]
    for position, one in enumerate(partly):
        for other in partly[position + 1 :]:
            assert not one & other
