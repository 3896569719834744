"""PullPayments: credits are withdrawn once, by their owner, also if the owner is hostile."""

from __future__ import annotations

from typing import Any

import pytest

from dtxeth.chain.abi import Call, Function
from dtxeth.chain.bindings.errors import NothingToWithdraw, PaymentRefused
from dtxeth.chain.bindings.events import Credited, Withdrawn
from dtxeth.chain.chain import DEVELOPER
from dtxeth.errors import ContractRevert
from tests.contracts.world import World, account, event, refused

REQUESTER, STRANGER = account("requester"), account("stranger")
REWARD = 12345

LOOT = Function("loot", (), ("uint256", "uint256"))
PERFORM = Function("perform", ("address", "bytes"), ("bytes",))
PUBLISH = Function(
    "publish",
    ("(uint8,bytes,(address,bytes32,uint16)[],uint64,uint64,uint64,uint256)",),
)
REFUSE = Function("setRefuses", ("bool",))
WITHDRAW = Function("withdraw", ())
CANCEL = Function("cancel", ("uint256",))


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


# --- a contract as the requester ---


class Puppet:
    """A HostilePayee that has a cancelled task's reward to withdraw, beside an honest requester's."""

    def __init__(self, world: World, artifact: dict[str, Any]) -> None:
        self.world = world
        self.address = world.deploy(artifact)
        cancelled_task(world)
        files = [world.publish("owner-1"), world.publish("owner-2")]
        receipt = self.act(PUBLISH, world.proposal(files), value=REWARD)
        assert receipt is not None
        self.act(CANCEL, world.tasks.task_count())
        assert world.tasks.credit_of(self.address) == REWARD
        assert world.chain.balance(world.tasks.address) == 2 * REWARD

    def act(self, function: Function, *arguments: Any, value: int = 0) -> Any:
        """Call the task registry in the puppet's name."""
        inner = Call.of(self.world.tasks.address, function, *arguments).data
        outer = Call.of(self.address, PERFORM, self.world.tasks.address, inner)
        return self.world.chain.transact(DEVELOPER, outer, value)

    def loot(self) -> tuple[int, int]:
        """How often it was paid, and what a nested withdrawal gave it."""
        payments, stolen = self.world.chain.call(Call.of(self.address, LOOT))
        return payments, stolen


def test_a_payee_that_re_enters_is_paid_once(world: World, test_artifacts: dict[str, Any]) -> None:
    puppet = Puppet(world, test_artifacts["HostilePayee"])
    puppet.act(WITHDRAW)
    assert puppet.loot() == (1, 0)
    assert world.chain.balance(puppet.address) == REWARD
    assert world.chain.balance(world.tasks.address) == REWARD
    assert world.tasks.credit_of(REQUESTER.address) == REWARD


def test_a_payee_that_refuses_keeps_its_credit(world: World, test_artifacts: dict[str, Any]) -> None:
    puppet = Puppet(world, test_artifacts["HostilePayee"])
    world.chain.transact(DEVELOPER, Call.of(puppet.address, REFUSE, True))
    with refused(PaymentRefused, puppet.address, REWARD):
        puppet.act(WITHDRAW)
    assert world.tasks.credit_of(puppet.address) == REWARD
    world.tasks.withdraw(sender=REQUESTER)
    world.chain.transact(DEVELOPER, Call.of(puppet.address, REFUSE, False))
    puppet.act(WITHDRAW)
    assert puppet.loot() == (1, 0)


def test_a_credit_of_nothing_is_not_told(world: World) -> None:
    task_id = world.propose([world.publish("owner-1"), world.publish("owner-2")], 0)
    receipt = world.tasks.cancel(task_id, sender=REQUESTER)
    assert not [found for found in receipt.events if isinstance(found, Credited)]
