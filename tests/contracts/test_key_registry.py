"""KeyRegistry: publishing and rotating encryption keys."""

from __future__ import annotations

from dtxeth.chain.bindings.errors import ZeroKey
from dtxeth.chain.bindings.events import KeyPublished
from tests.contracts.world import NOTHING, World, account, event, refused

KEY, NEXT = b"\x01" * 32, b"\x02" * 32


def test_an_account_without_a_key_has_version_0(world: World) -> None:
    assert world.keys.key_of(account("stranger").address) == (NOTHING, 0)


def test_a_key_is_published_and_rotated(world: World) -> None:
    owner = account("owner-1")
    receipt = world.keys.publish(KEY, sender=owner)
    assert receipt.events == (event(KeyPublished, owner.address, KEY, 1),)
    assert world.keys.key_of(owner.address) == (KEY, 1)
    receipt = world.keys.publish(NEXT, sender=owner)
    assert receipt.events == (event(KeyPublished, owner.address, NEXT, 2),)
    assert world.keys.key_of(owner.address) == (NEXT, 2)


def test_an_account_publishes_for_itself_only(world: World) -> None:
    world.keys.publish(KEY, sender=account("owner-1"))
    world.keys.publish(NEXT, sender=account("stranger"))
    assert world.keys.key_of(account("owner-1").address) == (KEY, 1)


def test_the_zero_key_is_refused(world: World) -> None:
    with refused(ZeroKey):
        world.keys.publish(NOTHING, sender=account("owner-1"))
