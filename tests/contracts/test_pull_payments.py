"""PullPayments: credits are withdrawn once, by their owner, also if the owner is hostile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dtxeth.chain.abi import Call, Function
from dtxeth.chain.bindings.errors import NothingToWithdraw, PaymentRefused
from dtxeth.chain.bindings.events import Credited, Withdrawn
from dtxeth.chain.bindings.types import Role, TaskStatus
from dtxeth.chain.chain import DEVELOPER
from dtxeth.errors import ContractRevert
from tests.contracts.world import NOTHING, World, account, event, refused

REQUESTER, STRANGER, SECOND = account("requester"), account("stranger"), account("executor-2")
REWARD = 12345

LOOT = Function("loot", (), ("uint256", "uint256", "uint256"))
PERFORM = Function("perform", ("address", "bytes"), ("bytes",))
PREPARE = Function("prepare", ("bytes",))
PUBLISH = Function(
    "publish",
    ("(uint8,bytes,(address,bytes32,uint16)[],uint64,uint64,uint64,uint256)",),
)
REFUSE = Function("setRefuses", ("bool",))
REGISTER = Function("register", ("uint8", "string", "string", "bytes32", "uint64"))
WITHDRAW = Function("withdraw", ())
CANCEL = Function("cancel", ("uint256",))
CONFIRM = Function("confirm", ("uint256", "uint256"))
REPORT = Function("report", ("uint256", "bytes", "bytes32"))
FAIL = Function("fail", ("uint256", "string"))
TIME_OUT = Function("timeOut", ("uint256", "string"))


def cancelled_task(world: World) -> int:
    """A task with a reward, cancelled."""
    task_id = world.propose([world.publish("owner-1"), world.publish("owner-2")], REWARD)
    world.tasks.cancel(task_id, sender=REQUESTER)
    return task_id


def test_a_credit_is_withdrawn_once(world: World) -> None:
    cancelled_task(world)
    assert world.tasks.credit_of(REQUESTER.address) == REWARD
    assert world.chain.balance(world.tasks.address) == REWARD
    receipt = world.tasks.withdraw(sender=REQUESTER)
    assert receipt.events == (event(Withdrawn, REQUESTER.address, REWARD),)
    assert world.tasks.credit_of(REQUESTER.address) == 0
    assert world.chain.balance(world.tasks.address) == 0
    with refused(NothingToWithdraw, REQUESTER.address):
        world.tasks.withdraw(sender=REQUESTER)


def test_the_payee_gets_the_money(world: World) -> None:
    cancelled_task(world)
    before = world.chain.balance(REQUESTER.address)
    receipt = world.tasks.withdraw(sender=REQUESTER)
    fee = receipt.gas_used * int(world.chain.block("latest")["baseFeePerGas"], 16)
    assert world.chain.balance(REQUESTER.address) == before + REWARD - fee


def test_credits_add_up(world: World) -> None:
    cancelled_task(world)
    cancelled_task(world)
    assert world.tasks.credit_of(REQUESTER.address) == 2 * REWARD


def test_nobody_withdraws_anothers_credit(world: World) -> None:
    cancelled_task(world)
    with refused(NothingToWithdraw, STRANGER.address):
        world.tasks.withdraw(sender=STRANGER)
    assert world.tasks.credit_of(REQUESTER.address) == REWARD


def test_money_sent_without_a_call_is_refused(world: World) -> None:
    for contract in (world.tasks, world.challenges):
        with pytest.raises(ContractRevert):
            world.chain.faucet(contract.address, 1)


# --- a contract as the requester, and as an executor ---


class Puppet:
    """A contract that calls back when it is paid, and what an honest requester has to get beside it."""

    def __init__(self, world: World, artifact: dict[str, Any]) -> None:
        self.world = world
        self.address = world.deploy(artifact)
        cancelled_task(world)

    def act(self, function: Function, *arguments: Any, value: int = 0, at: str | None = None) -> Any:
        """Call the task registry, or another contract, in the puppet's name."""
        target = at or self.world.tasks.address
        inner = Call.of(target, function, *arguments).data
        return self.world.chain.transact(DEVELOPER, Call.of(self.address, PERFORM, target, inner), value)

    def prepare(self, function: Function, *arguments: Any) -> None:
        """Have it call this when the task registry pays it."""
        data = Call.of(self.world.tasks.address, function, *arguments).data
        self.world.chain.transact(DEVELOPER, Call.of(self.address, PREPARE, data))

    def loot(self) -> tuple[int, int, int]:
        """How often it was paid, how much in all, and how many of its calls back went through."""
        payments, received, successes = self.world.chain.call(Call.of(self.address, LOOT))
        return payments, received, successes

    def publish(self, reward: int) -> int:
        """Publish a task as its requester."""
        world = self.world
        self.act(PUBLISH, world.proposal([world.publish("owner-1"), world.publish("owner-2")]), value=reward)
        return world.tasks.task_count()

    def join(self, reward: int) -> int:
        """Register as an executor and work on a task up to the other's report; return the task."""
        world = self.world
        self.act(REGISTER, Role.EXECUTOR, "puppet", "http://puppet", NOTHING, 0, at=world.nodes.address)
        files = [world.publish("owner-1"), world.publish("owner-2")]
        proposal = world.proposal(files)
        parties = (replace(proposal.parties[0], executor=self.address), proposal.parties[1])
        world.tasks.publish(replace(proposal, parties=parties), sender=REQUESTER, value=reward)
        task_id = world.tasks.task_count()
        world.authorizations.grant(
            *(files[0].file_id, self.address, task_id, b"key", files[0].expires_at), sender=files[0].owner
        )
        self.act(CONFIRM, task_id, world.authorizations.latest_of(files[0].file_id, self.address, task_id))
        world.tasks.confirm(task_id, world.authorize(files[1], "executor-2", task_id), sender=SECOND)
        world.tasks.start(task_id, sender=REQUESTER)
        world.tasks.begin(task_id, sender=SECOND)
        world.tasks.report(task_id, b"{}", NOTHING, sender=SECOND)
        return task_id


@pytest.fixture
def puppet(world: World, test_artifacts: dict[str, Any]) -> Puppet:
    return Puppet(world, test_artifacts["HostilePayee"])


def test_a_requester_that_re_enters_is_paid_once(world: World, puppet: Puppet) -> None:
    refunded, waiting = puppet.publish(REWARD), puppet.publish(REWARD)
    puppet.act(CANCEL, refunded)
    for function, *arguments in (
        (WITHDRAW,),
        (CANCEL, refunded),
        (TIME_OUT, refunded, ""),
        (TIME_OUT, waiting, ""),
    ):
        puppet.prepare(function, *arguments)
    puppet.act(WITHDRAW)
    assert puppet.loot() == (1, REWARD, 0)
    assert world.chain.balance(world.tasks.address) == 2 * REWARD  # the honest one's, and the open task's
    assert world.tasks.credit_of(REQUESTER.address) == REWARD


def test_a_refund_within_a_refund_is_the_one_that_was_due(world: World, puppet: Puppet) -> None:
    """Cancelling another task while being paid is a right, but gives what it gives at any other time."""
    refunded, waiting = puppet.publish(REWARD), puppet.publish(REWARD)
    puppet.act(CANCEL, refunded)
    puppet.prepare(CANCEL, waiting)
    puppet.prepare(WITHDRAW)
    puppet.act(WITHDRAW)
    # paid once for each task; in the second payment its calls back find nothing left to cancel or withdraw
    assert puppet.loot() == (2, 2 * REWARD, 2)
    assert world.chain.balance(world.tasks.address) == REWARD == world.tasks.credit_of(REQUESTER.address)


def test_an_executor_that_re_enters_is_paid_once(world: World, puppet: Puppet) -> None:
    task_id = puppet.join(REWARD)
    puppet.act(REPORT, task_id, b"{}", NOTHING)
    assert world.tasks.task_of(task_id).status == TaskStatus.FINISHED
    share = world.tasks.credit_of(puppet.address)
    assert share == REWARD - world.tasks.credit_of(SECOND.address) > 0
    again: tuple[tuple[Any, ...], ...] = (
        (WITHDRAW,),
        (REPORT, task_id, b"{}", NOTHING),
        (FAIL, task_id, ""),
        (TIME_OUT, task_id, ""),
        (CONFIRM, task_id, 1),
    )
    for function, *arguments in again:
        puppet.prepare(function, *arguments)
    puppet.act(WITHDRAW)
    assert puppet.loot() == (1, share, 0)
    assert world.tasks.task_of(task_id).status == TaskStatus.FINISHED
    assert world.tasks.credit_of(SECOND.address) == REWARD - share
    assert world.chain.balance(world.tasks.address) == REWARD - share + REWARD
    assert world.tasks.concurrency_of(puppet.address)[0] == 0


def test_an_executor_that_refuses_payment_keeps_nobody_from_theirs(world: World, puppet: Puppet) -> None:
    task_id = puppet.join(REWARD)
    world.chain.transact(DEVELOPER, Call.of(puppet.address, REFUSE, True))
    puppet.act(REPORT, task_id, b"{}", NOTHING)  # finishing pays nobody: it credits
    share = world.tasks.credit_of(puppet.address)
    with refused(PaymentRefused, puppet.address, share):
        puppet.act(WITHDRAW)
    for sender, owed in ((SECOND, REWARD - share), (REQUESTER, REWARD)):
        assert world.tasks.withdraw(sender=sender).events == (event(Withdrawn, sender.address, owed),)
    world.chain.transact(DEVELOPER, Call.of(puppet.address, REFUSE, False))
    puppet.act(WITHDRAW)
    assert puppet.loot() == (1, share, 0)
    assert world.chain.balance(world.tasks.address) == 0


def test_a_credit_of_nothing_is_not_told(world: World) -> None:
    task_id = world.propose([world.publish("owner-1"), world.publish("owner-2")], 0)
    receipt = world.tasks.cancel(task_id, sender=REQUESTER)
    assert not [found for found in receipt.events if isinstance(found, Credited)]
