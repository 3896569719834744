"""The machines' walks on pyrevm, played again on eth-tester through the same bindings: both EVMs agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dtxeth.chain import open_chain
from tests.contracts.machines.play import Machine, walk
from tests.contracts.machines.stage import Stage
from tests.contracts.machines.test_authorization_machine import AuthorizationMachine
from tests.contracts.machines.test_challenge_machine import ChallengeMachine
from tests.contracts.machines.test_storage_machine import StorageMachine
from tests.contracts.machines.test_task_machine import TaskMachine


@pytest.fixture(scope="module")
def eth_tester_stage() -> Iterator[Stage]:
    with open_chain() as chain:
        yield Stage(chain)


@pytest.mark.parametrize("machine", [AuthorizationMachine, ChallengeMachine, StorageMachine, TaskMachine])
def test_both_evms_agree(machine: type[Machine], eth_tester_stage: Stage) -> None:
    first = walk(machine, seed=1, steps=60)
    second = machine.play_of(eth_tester_stage)
    for name, arguments in first.trace:
        getattr(second, name)(*arguments)
    second.check()
    assert second.outcomes == first.outcomes  # who, when, every event, every error
