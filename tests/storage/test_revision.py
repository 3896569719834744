"""Revisions: repair, other redundancy, renewal and refresh, with nodes that die at each step of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from dtxeth.chain.bindings.types import Cause, Possession
from dtxeth.errors import InputError, NotEnoughNodesError
from dtxeth.storage import Manifest, Redundancy, Upload
from dtxeth.storage.pieces import SLICE_SIZE
from dtxeth.storage.revision import Change, Revised, prepare_revision
from tests.storage.memory import MONTH, Town, dead, fails_at, flipped
from tests.storage.world import World

DATA = secrets.token_bytes(2 * SLICE_SIZE + 12_345)
KINDS = [(1, 2), (2, 3), (4, 6)]


def revise(town: Town, stored: Upload, change: Change, *, publish: bool = True) -> Revised:
    """Prepare a revision, publish it, and check what has to hold of every one."""
    registry, before = town.contracts.file_registry, town.open(stored.file_id).manifest
    made = prepare_revision(stored.file_id, stored.file_key, town.signer, town.nodes, change)
    assert town.open(stored.file_id).read() == DATA  # before
    if publish:
        registry.revise(made.revision, made.acknowledgements, sender=town.owner)
        town.settle(stored.file_id)
        remote = town.open(stored.file_id)
        assert remote.manifest == made.manifest
        assert remote.read() == DATA
        holders = {registry.holding(number).node for number in registry.holdings_of(stored.file_id)}
        assert holders == {held.node for held in made.manifest.nodes}
        assert len(piece_ids(made.manifest) - piece_ids(before)) == made.rebuilt
    return made


def piece_ids(manifest: Manifest) -> set[bytes]:
    return {piece.piece_id for held in manifest.nodes for piece in held.pieces}


def holding(town: Town, stored: Upload, node: str) -> int:
    return town.contracts.file_registry.holding_on(stored.file_id, node)


def whole(made: Revised, redundancy: tuple[int, int]) -> bool:
    """Whether every stripe has all of its shards, on nodes of their own."""
    needed, total = redundancy
    shards = made.manifest.shards()
    return made.manifest.redundancy == Redundancy(needed, total) and all(
        len(places) == total == len({node for node, _ in places.values()}) for places in shards
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("possession", [Possession.MERKLE])
def test_repair_of_a_dead_node(town: Town, kind: tuple[int, int], possession: Possession) -> None:
    stored = town.publish(DATA, town.namespace(*kind, possession))
    lost = stored.manifest.nodes[0]
    town.nodes[lost.node].before = dead
    made = revise(town, stored, Change(Cause.REPAIR, drop=[holding(town, stored, lost.node)]))
    assert whole(made, kind)
    assert made.rebuilt == len(lost.pieces)
    assert (made.missing, made.behind) == ((), ())
    kept = {held.node: held.pieces for held in stored.manifest.nodes[1:]}
    assert {held.node: held.pieces for held in made.manifest.nodes if held.node in kept} == kept


def test_repair_with_kzg(town: Town) -> None:
    stored = town.publish(DATA, town.namespace(2, 3, Possession.BOTH))
    lost = stored.manifest.nodes[0].node
    made = revise(town, stored, Change(Cause.DRAIN, drop=[holding(town, stored, lost)]))
    assert whole(made, (2, 3))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1, 2), (1, 3)),
        ((1, 3), (1, 2)),
        ((4, 6), (4, 8)),
        ((4, 6), (4, 5)),
        ((1, 3), (4, 6)),
        ((4, 6), (1, 2)),
        ((2, 3), (3, 5)),
    ],
)
def test_other_redundancy(town: Town, before: tuple[int, int], after: tuple[int, int]) -> None:
    stored = town.publish(DATA, town.namespace(*before))
    made = revise(town, stored, Change(Cause.RECODE, redundancy=Redundancy(*after)))
    assert whole(made, after)
    stripes = made.manifest.layout.stripes
    if before[0] == after[0]:
        assert made.rebuilt == stripes * max(0, after[1] - before[1])
        assert made.manifest.generation == 0
    else:
        assert made.rebuilt == stripes * after[1]
        assert made.manifest.generation == 1


def test_renewal_drops_and_repairs_what_refuses(town: Town) -> None:
    stored = town.publish(DATA, town.namespace(2, 3))
    refuses = stored.manifest.nodes[1].node
    town.nodes[refuses].before = fails_at("acknowledge")
    later = stored.publication.expires_at + MONTH
    made = revise(town, stored, Change(Cause.RENEWAL, expires_at=later))
    assert whole(made, (2, 3))
    registry = town.contracts.file_registry
    assert registry.file_of(stored.file_id).expires_at == later
    assert all(
        registry.holding(number).expires_at == later for number in registry.holdings_of(stored.file_id)
    )
    assert refuses not in {held.node for held in made.manifest.nodes}
    assert made.rebuilt == len(stored.manifest.nodes[1].pieces)


def test_survivor_out_of_reach_stays_as_it_is_and_is_refreshed_later(town: Town) -> None:
    stored = town.publish(DATA, town.namespace(2, 4))
    lost, away = (held.node for held in stored.manifest.nodes[:2])
    town.nodes[away].before = dead
    before = holding(town, stored, away)
    made = revise(town, stored, Change(Cause.REPAIR, drop=[holding(town, stored, lost)]))
    assert made.behind == (away,)
    assert holding(town, stored, away) == before
    town.nodes[away].before = lambda *_: None
    assert town.open(stored.file_id).read() == DATA
    made = revise(town, stored, Change(Cause.REFRESH))
    assert (made.behind, made.rebuilt) == ((), 0)
    assert holding(town, stored, away) != before
    assert whole(made, (2, 4))


STEPS: dict[str, Callable[..., None]] = {
    "put_piece": fails_at("put_piece"),
    "last piece": fails_at("put_piece", 1),
    "acknowledge": fails_at("acknowledge"),
    "outline": fails_at("outline"),
    "keep_pieces": fails_at("keep_pieces"),
    "all": dead,
}


@pytest.mark.parametrize("step", STEPS)
def test_repair_with_another_node_failing_at_each_step(town: Town, step: str) -> None:
    stored = town.publish(DATA, town.namespace(2, 4))
    lost, survivor = (held.node for held in stored.manifest.nodes[:2])
    fresh = next(node for node in town.nodes if node not in {held.node for held in stored.manifest.nodes})
    town.nodes[lost].before = dead
    for node in (survivor, fresh):
        town.nodes[node].before = STEPS[step]
    made = revise(town, stored, Change(Cause.REPAIR, drop=[holding(town, stored, lost)]))
    assert whole(made, (2, 4))
    assert set(made.behind) <= {survivor}


def test_outline_that_the_chain_does_not_know(town: Town) -> None:
    stored = town.publish(DATA, town.namespace(2, 4))
    lost, liar = (held.node for held in stored.manifest.nodes[:2])
    town.nodes[liar].after = flipped("outline")
    made = revise(town, stored, Change(Cause.REPAIR, drop=[holding(town, stored, lost)]))
    assert made.behind == (liar,)
    assert "another outline" in str(made.faults)


def test_killed_before_the_transaction(town: Town) -> None:
    stored = town.publish(DATA, town.namespace(2, 3))
    lost = stored.manifest.nodes[0].node
    change = Change(Cause.REPAIR, drop=[holding(town, stored, lost)])
    for _ in range(2):
        revise(town, stored, change, publish=False)
        town.settle(stored.file_id)
    assert town.contracts.file_registry.file_of(stored.file_id).version == 1
    assert town.open(stored.file_id).read() == DATA
    assert whole(revise(town, stored, change), (2, 3))


def test_partly_when_nodes_are_lacking(town: Town) -> None:
    stored = town.publish(DATA, town.namespace(2, 3))
    for node in list(town.nodes):
        if node not in {held.node for held in stored.manifest.nodes}:
            del town.nodes[node]
    lost = stored.manifest.nodes[0].node
    town.nodes[lost].before = dead
    drop = [holding(town, stored, lost)]
    with pytest.raises(NotEnoughNodesError, match="no node is left for 2 shards"):
        revise(town, stored, Change(Cause.REPAIR, drop=drop))
    assert all(not node.drafts for node in town.nodes.values())
    made = revise(town, stored, Change(Cause.REPAIR, drop=drop, partly=True))
    assert made.rebuilt == 0
    assert len(made.missing) == 2
    number = holding(town, stored, stored.manifest.nodes[1].node)
    with pytest.raises(NotEnoughNodesError, match="needed"):
        revise(town, stored, Change(Cause.REPAIR, drop=[number], partly=True))


def test_bad_input(town: Town) -> None:
    stored = town.publish(DATA, town.namespace(2, 3))
    early = stored.publication.expires_at - 1
    for change, text in (
        (Change(Cause.NONE), "cause"),
        (Change(Cause.REPAIR, drop=[999]), "no live ones"),
        (Change(Cause.RENEWAL, expires_at=early), "later"),
    ):
        with pytest.raises(InputError, match=text):
            revise(town, stored, change)
    with pytest.raises(NotEnoughNodesError, match="9 are needed"):
        revise(town, stored, Change(Cause.RECODE, redundancy=Redundancy(4, 9)))
    assert all(not node.drafts for node in town.nodes.values())


def test_on_real_nodes(world: World) -> None:
    """Repaired, coded anew and renewed in a row; what the nodes no longer need is freed."""
    world.namespace = world.add_namespace("coded", 2, 3)
    stored, registry = world.publish(DATA), world.contracts.file_registry
    lost = stored.manifest.nodes[0].node
    later = stored.publication.expires_at + MONTH
    for change in (
        Change(Cause.REPAIR, drop=[registry.holding_on(stored.file_id, lost)]),
        Change(Cause.RECODE, redundancy=Redundancy(1, 2)),
        Change(Cause.RENEWAL, expires_at=later),
    ):
        signer = world.signer(world.owner)
        made = prepare_revision(stored.file_id, stored.file_key, signer, world.nodes, change)
        registry.revise(made.revision, made.acknowledgements, sender=world.owner)
        for node in world.real:
            node.sweep()
        assert world.open(stored.file_id).read() == DATA
        holdings = [registry.holding(number) for number in registry.holdings_of(stored.file_id)]
        assert sum(node.status().used for node in world.real) == sum(held.size for held in holdings)
    assert {held.expires_at for held in holdings} == {later}
