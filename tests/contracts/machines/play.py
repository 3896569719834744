"""Steps a contract and its model along together, and compares."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from dtxeth.chain import Receipt
from dtxeth.chain.custom_error import CustomError
from tests.contracts.machines.models import AuthorizationModel, FilesModel, Sent
from tests.contracts.machines.revm import RevmChain
from tests.contracts.machines.stage import Stage

CHOICES = st.randoms(use_true_random=True)

Step = tuple[str, tuple[Any, ...]]


class Play:
    """One run of a machine on a chain.

    A step is a method's name with plain arguments, good on every chain: no block hash, no signature. So a
    trace taken on one chain can be played again on another.
    """

    def __init__(self, stage: Stage) -> None:
        stage.reset()
        self.stage = stage
        self.chain = stage.chain
        self.contracts = stage.contracts
        self.accounts = stage.accounts
        self.files = FilesModel(stage.files)
        self.authorizations = AuthorizationModel(self.files)
        self.trace: list[Step] = []
        self.outcomes: list[tuple[Any, ...]] = []

    def step(self, name: str, *arguments: Any) -> None:
        """Do one step, and check that all is as the model says."""
        self.trace.append((name, arguments))
        getattr(self, name)(*arguments)
        self.check()

    def check(self) -> None:
        """Compare the contract's state with the model's."""

    def both(
        self, contract: Any, model: Any, name: str, who: str, *arguments: Any, **value: int
    ) -> Receipt | None:
        """Call a function of a contract and of its model; either both succeed or both raise the same error.

        Returns:
            The receipt, None if it was refused.
        """
        account = self.accounts[who]
        sent = Sent(account.address, value.get("value", 0), self.stage.next_time, self.chain.block_number + 1)
        expected = actual = receipt = None
        try:
            getattr(model, name)(sent, *arguments)
        except CustomError as error:
            expected = error
        try:
            receipt = getattr(contract, name)(*arguments, sender=account, **value)
        except CustomError as error:
            actual = error
        assert _told(actual) == _told(expected), f"{name}{arguments} by {who}"
        came = (
            tuple(type(event).__name__ for event in receipt.events) if receipt else (type(actual).__name__,)
        )
        self.outcomes.append((name, who, came, sent.now))
        return receipt

    def names(self) -> list[str]:
        """All events and errors that came of the steps."""
        return [name for _, _, came, _ in self.outcomes for name in came]

    def authorize(self, name: str, who: str, *arguments: Any) -> None:
        """Call a function of the file authorization."""
        self.both(self.contracts.file_authorization, self.authorizations, name, who, *arguments)

    def wait(self, seconds: int) -> None:
        """Let the next transaction come so much later."""
        self.stage.at(self.stage.next_time + seconds)


def run(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    """Let hypothesis drive a machine; the same way each time, so that CI is deterministic."""
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=profile)


class Machine(RuleBasedStateMachine):
    """Base of the machines: plays on pyrevm. ``ACTIONS`` are its rules, as often as a walk may take them."""

    play_of: type[Play]
    stage: Stage | None = None
    ACTIONS: tuple[Callable[..., None], ...] = ()

    def __init__(self) -> None:
        super().__init__()
        Machine.stage = Machine.stage or Stage(RevmChain())
        self.play = self.play_of(Machine.stage)


def walk(machine: type[Machine], seed: int, steps: int) -> Play:
    """Take rules of a machine at random, each as likely: hypothesis repeats itself, and seldom gets far."""
    walker, random = machine(), Random(seed)
    for _ in range(steps):
        random.choice(machine.ACTIONS)(walker, random)
    return walker.play


def _told(error: CustomError | None) -> tuple[Any, ...] | None:
    return None if error is None else (type(error).__name__, *error.arguments.values())
