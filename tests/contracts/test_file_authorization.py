"""FileAuthorization: apply, approve, reject, revoke, grant, and when an authorization is current."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dtxeth.chain.bindings.errors import (
    AuthorizationOpen,
    AuthorizationReasonTooLong,
    FileExpired,
    InvalidAuthorizationExpiry,
    InvalidGrantedKey,
    NotAuthorizationOwner,
    NotFileOwner,
    OwnerNeedsNoAuthorization,
    UnknownAuthorization,
    UnknownFile,
    WrongAuthorizationStatus,
    ZeroApplier,
)
from dtxeth.chain.bindings.events import (
    AuthorizationApplied,
    AuthorizationApproved,
    AuthorizationRejected,
    AuthorizationRevoked,
)
from dtxeth.chain.bindings.types import Authorization, AuthorizationStatus
from tests.contracts.world import DAY, HOUR, NOTHING, ZERO, World, account, event, refused

OWNER, APPLIER, STRANGER = account("owner-1"), account("executor-1"), account("stranger")
KEY, TASK = b"wrapped for the applier", 7


def test_an_application_waits_for_the_owner(world: World) -> None:
    file = world.publish("owner-1")
    receipt = world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    assert receipt.events == (
        event(AuthorizationApplied, 1, file.file_id, APPLIER.address, OWNER.address, TASK),
    )
    assert world.authorizations.authorization(1) == Authorization(
        file.file_id, APPLIER.address, TASK, AuthorizationStatus.UNAPPROVED, 0, b""
    )
    assert world.authorizations.latest_of(file.file_id, APPLIER.address, TASK) == 1
    assert not world.authorizations.is_current(1, APPLIER.address, file.file_id)


def test_an_approved_application_is_current_until_it_expires(world: World) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    expires_at = world.now() + DAY
    receipt = world.authorizations.approve(1, KEY, expires_at, sender=OWNER)
    assert receipt.events == (
        event(AuthorizationApproved, 1, file.file_id, APPLIER.address, OWNER.address, TASK, expires_at),
    )
    assert world.authorizations.authorization(1) == Authorization(
        file.file_id, APPLIER.address, TASK, AuthorizationStatus.APPROVED, expires_at, KEY
    )
    world.view_at(expires_at)
    assert world.authorizations.is_current(1, APPLIER.address, file.file_id)
    world.chain.mine()
    assert not world.authorizations.is_current(1, APPLIER.address, file.file_id)


def test_an_authorization_is_for_one_account_and_one_file(world: World) -> None:
    file, other = world.publish("owner-1"), world.publish("owner-1")
    number = world.authorize(file, "executor-1", TASK)
    assert world.authorizations.is_current(number, APPLIER.address, file.file_id)
    assert not world.authorizations.is_current(number, STRANGER.address, file.file_id)
    assert not world.authorizations.is_current(number, APPLIER.address, other.file_id)
    assert not world.authorizations.is_current(number + 1, APPLIER.address, file.file_id)
    assert not world.authorizations.is_current(0, ZERO, NOTHING)


def test_a_rejected_application_is_not_current(world: World) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    receipt = world.authorizations.reject(1, "unknown requester", sender=OWNER)
    assert receipt.events == (
        event(AuthorizationRejected, 1, file.file_id, APPLIER.address, "unknown requester"),
    )
    assert world.authorizations.authorization(1).status == AuthorizationStatus.REJECTED
    assert not world.authorizations.is_current(1, APPLIER.address, file.file_id)


def test_a_revoked_authorization_is_not_current_and_has_no_key(world: World) -> None:
    file = world.publish("owner-1")
    number = world.authorize(file, "executor-1", TASK)
    receipt = world.authorizations.revoke(number, "consent withdrawn", sender=OWNER)
    assert receipt.events == (
        event(AuthorizationRevoked, number, file.file_id, APPLIER.address, "consent withdrawn"),
    )
    assert world.authorizations.authorization(number) == Authorization(
        file.file_id, APPLIER.address, TASK, AuthorizationStatus.REVOKED, 0, b""
    )
    assert not world.authorizations.is_current(number, APPLIER.address, file.file_id)


def test_a_grant_needs_no_application(world: World) -> None:
    file = world.publish("owner-1")
    expires_at = file.expires_at
    receipt = world.authorizations.grant(file.file_id, STRANGER.address, TASK, KEY, expires_at, sender=OWNER)
    assert receipt.events == (
        event(AuthorizationApproved, 1, file.file_id, STRANGER.address, OWNER.address, TASK, expires_at),
    )
    assert world.authorizations.is_current(1, STRANGER.address, file.file_id)
    with refused(AuthorizationOpen, 1):
        world.authorizations.grant(file.file_id, STRANGER.address, TASK, KEY, expires_at, sender=OWNER)


def test_nobody_blocks_a_grant_by_applying(world: World) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    receipt = world.authorizations.grant(
        file.file_id, APPLIER.address, TASK, KEY, file.expires_at, sender=OWNER
    )
    assert receipt.event(AuthorizationApproved).authorization_id == 1
    assert world.authorizations.latest_of(file.file_id, APPLIER.address, TASK) == 1


def test_grants_come_from_the_owner_for_somebody_else(world: World) -> None:
    file = world.publish("owner-1")
    with refused(NotFileOwner, file.file_id, STRANGER.address, OWNER.address):
        world.authorizations.grant(
            file.file_id, STRANGER.address, TASK, KEY, file.expires_at, sender=STRANGER
        )
    with refused(OwnerNeedsNoAuthorization, file.file_id, OWNER.address):
        world.authorizations.grant(file.file_id, OWNER.address, TASK, KEY, file.expires_at, sender=OWNER)
    with refused(ZeroApplier):
        world.authorizations.grant(file.file_id, ZERO, TASK, KEY, file.expires_at, sender=OWNER)
    with refused(UnknownFile, NOTHING):
        world.authorizations.grant(NOTHING, STRANGER.address, TASK, KEY, file.expires_at, sender=OWNER)


def test_one_application_at_a_time(world: World) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    with refused(AuthorizationOpen, 1):
        world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    world.authorizations.apply_for(file.file_id, TASK + 1, sender=APPLIER)
    world.authorizations.apply_for(file.file_id, TASK, sender=STRANGER)

    expires_at = world.now() + HOUR
    world.authorizations.approve(1, KEY, expires_at, sender=OWNER)
    world.at(expires_at)
    with refused(AuthorizationOpen, 1):
        world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    world.at(expires_at + 1)
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    assert world.authorizations.latest_of(file.file_id, APPLIER.address, TASK) == 4


@pytest.mark.parametrize("end", ["reject", "revoke"])
def test_after_an_end_one_may_apply_again(world: World, end: str) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    if end == "reject":
        world.authorizations.reject(1, "", sender=OWNER)
    else:
        world.authorizations.approve(1, KEY, file.expires_at, sender=OWNER)
        world.authorizations.revoke(1, "", sender=OWNER)
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    assert world.authorizations.latest_of(file.file_id, APPLIER.address, TASK) == 2


def test_the_owner_does_not_apply(world: World) -> None:
    file = world.publish("owner-1")
    with refused(OwnerNeedsNoAuthorization, file.file_id, OWNER.address):
        world.authorizations.apply_for(file.file_id, TASK, sender=OWNER)


def test_the_file_must_be_live(world: World) -> None:
    file = world.publish("owner-1")
    with refused(UnknownFile, NOTHING):
        world.authorizations.apply_for(NOTHING, TASK, sender=APPLIER)
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    world.at(file.expires_at + 1)
    with refused(FileExpired, file.file_id, file.expires_at):
        world.authorizations.apply_for(file.file_id, TASK, sender=STRANGER)
    with refused(FileExpired, file.file_id, file.expires_at):
        world.authorizations.approve(1, KEY, file.expires_at, sender=OWNER)
    with refused(FileExpired, file.file_id, file.expires_at):
        world.authorizations.grant(file.file_id, STRANGER.address, TASK, KEY, file.expires_at, sender=OWNER)
    world.authorizations.reject(1, "too late", sender=OWNER)


def test_an_expiry_lies_between_now_and_the_files(world: World) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    now = world.now() + 1
    for expires_at in (0, now, file.expires_at + 1):
        with refused(InvalidAuthorizationExpiry, expires_at, now, file.expires_at):
            world.authorizations.approve(1, KEY, expires_at, sender=OWNER)
    world.authorizations.approve(1, KEY, now + 1, sender=OWNER)


@pytest.mark.parametrize("length", [0, 257])
def test_a_wrapped_key_of_odd_length_is_refused(world: World, length: int) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    with refused(InvalidGrantedKey, length, 256):
        world.authorizations.approve(1, bytes(length), file.expires_at, sender=OWNER)
    world.authorizations.approve(1, bytes(256), file.expires_at, sender=OWNER)


def test_a_long_reason_is_refused(world: World) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    number = world.authorize(file, "stranger", TASK)
    with refused(AuthorizationReasonTooLong, 257, 256):
        world.authorizations.reject(1, "r" * 257, sender=OWNER)
    with refused(AuthorizationReasonTooLong, 257, 256):
        world.authorizations.revoke(number, "r" * 257, sender=OWNER)
    world.authorizations.reject(1, "r" * 256, sender=OWNER)
    world.authorizations.revoke(number, "r" * 256, sender=OWNER)


def decisions(world: World) -> dict[str, Callable[..., object]]:
    """What an owner can do with authorization 1."""
    expires_at = world.now() + DAY
    return {
        "approve": lambda number, sender: world.authorizations.approve(
            number, KEY, expires_at, sender=sender
        ),
        "reject": lambda number, sender: world.authorizations.reject(number, "", sender=sender),
        "revoke": lambda number, sender: world.authorizations.revoke(number, "", sender=sender),
    }


@pytest.mark.parametrize("decision", ["approve", "reject", "revoke"])
def test_only_the_owner_decides(world: World, decision: str) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    for caller in (APPLIER, STRANGER, account("owner-2")):
        with refused(NotAuthorizationOwner, 1, caller.address, OWNER.address):
            decisions(world)[decision](1, caller)
    for number in (0, 2):
        with refused(UnknownAuthorization, number):
            decisions(world)[decision](number, OWNER)
        with refused(UnknownAuthorization, number):
            world.authorizations.authorization(number)


@pytest.mark.parametrize("status", list(AuthorizationStatus)[1:], ids=lambda status: status.name)
@pytest.mark.parametrize("decision", ["approve", "reject", "revoke"])
def test_no_transition_but_the_drawn_ones(world: World, status: AuthorizationStatus, decision: str) -> None:
    file = world.publish("owner-1")
    world.authorizations.apply_for(file.file_id, TASK, sender=APPLIER)
    road = {
        AuthorizationStatus.UNAPPROVED: (),
        AuthorizationStatus.APPROVED: ("approve",),
        AuthorizationStatus.REJECTED: ("reject",),
        AuthorizationStatus.REVOKED: ("approve", "revoke"),
    }[status]
    for step in road:
        decisions(world)[step](1, OWNER)
    assert world.authorizations.authorization(1).status == status

    expected = AuthorizationStatus.APPROVED if decision == "revoke" else AuthorizationStatus.UNAPPROVED
    if status == expected:
        decisions(world)[decision](1, OWNER)
    else:
        with refused(WrongAuthorizationStatus, 1, status, expected):
            decisions(world)[decision](1, OWNER)
