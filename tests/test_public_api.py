"""The public face: what ``import dtxeth`` offers, that it is typed, and that everything says what it is for."""

from __future__ import annotations

import importlib
import importlib.resources
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

import dtxeth

OFFERED = [
    "ChallengeResult", "DataOwner", "Deadlines", "DtxethError", "Executor", "LocalNetwork", "Policy", "Requester",
    "StorageNode", "StoredFile", "Task", "TrainedModel", "VerticalLinearRegression", "VerticalLogisticRegression",
    "VerticalMLPClassifier", "VerticalMLPRegressor", "connect",
]  # fmt: skip


def test_the_face_is_exactly_this() -> None:
    assert dtxeth.__all__ == OFFERED
    assert dir(dtxeth) == OFFERED
    for name in OFFERED:
        assert inspect.isclass(getattr(dtxeth, name)) or name == "connect"
        assert getattr(dtxeth, name).__name__ == name
    with pytest.raises(AttributeError, match=r"no attribute 'open'; it has ChallengeResult, "):
        _ = dtxeth.open


def test_the_package_says_that_it_is_typed() -> None:
    assert importlib.resources.files("dtxeth").joinpath("py.typed").is_file()


def test_importing_costs_nothing_that_is_not_used() -> None:
    """A party's process imports the protocols, not the whole house."""
    code = "import sys, dtxeth.learning.sample; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"web3", "pandas", "rich"} & set(ran.stdout.split())


def modules() -> Iterator[str]:
    yield "dtxeth"
    for module in pkgutil.walk_packages(dtxeth.__path__, "dtxeth."):
        if not module.name.endswith("__main__"):
            yield module.name


@pytest.mark.parametrize("name", list(modules()))
def test_everything_public_says_what_it_is_for(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    for public, member in vars(module).items():
        if public.startswith("_") or getattr(member, "__module__", None) != name:
            continue
        if inspect.isclass(member) or inspect.isfunction(member):
            assert inspect.getdoc(member), f"{name}.{public}"
        if inspect.isclass(member):
            for method, function in vars(member).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    assert inspect.getdoc(getattr(member, method)), f"{name}.{public}.{method}"
