"""Measure the gas of every operation and the size of every contract into tests/contracts/gas.json.

With --check, only compare: what differs is shown, and the exit status is 1. The scenario runs on an in-process
chain whose time and randomness are fixed, so that the same contracts always give the same numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from dtxeth.chain import Contracts, Parameters, deploy, open_chain
from dtxeth.chain.chain import DEVELOPER
from dtxeth.chain.deploy import NAMES
from scripts.gas_scenario import GENESIS, Scenario

SNAPSHOT = Path(__file__).parents[1] / "tests" / "contracts" / "gas.json"
SIZE_LIMIT = 24_576
"""Most bytes of code that a contract may have (EIP-170)."""


def main() -> int:
    """Write or check the snapshot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a number differs")
    check = parser.parse_args().check
    measured = measure()
    known = json.loads(SNAPSHOT.read_text(encoding="utf-8")) if SNAPSHOT.exists() else {}
    differing = list(differences(known, measured))
    for line in differing:
        print(line)
    too_big = [name for name, size in measured["bytes"].items() if size > SIZE_LIMIT]
    for name in too_big:
        print(f"{name} has more than {SIZE_LIMIT} bytes of code; no chain would deploy it")
    if check and differing:
        print("the gas snapshot differs; if that is meant, run scripts/gas.py and commit what it writes")
    elif not check:
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    return 1 if too_big or (check and differing) else 0


def differences(known: dict[str, dict[str, int]], measured: dict[str, dict[str, int]]) -> Iterator[str]:
    """Yield a line for each number that is not as known."""
    for unit in measured:
        old, new = known.get(unit, {}), measured[unit]
        for name in sorted(old.keys() | new.keys()):
            before, after = old.get(name), new.get(name)
            if before != after:
                change = f"{after - before:+,}" if before is not None and after is not None else "new or gone"
                print_of = ("-" if number is None else f"{number:,}" for number in (before, after))
                yield f"{unit:5} {name:48} {' -> '.join(print_of):>24} {change:>12}"


def measure() -> dict[str, dict[str, int]]:
    """Run the scenario.

    Returns:
        Under ``bytes`` the runtime code's size by contract, under ``gas`` what each operation used.
    """
    with _fixed_chain() as scenario:
        sizes = {
            name: len(scenario.chain.code(scenario.contracts.deployment.addresses[name])) for name in NAMES
        }
        scenario.run()
        return {"bytes": dict(sorted(sizes.items())), "gas": dict(sorted(scenario.gas.items()))}


@contextmanager
def _fixed_chain() -> Iterator[Scenario]:
    """An in-process chain whose block hashes never change: they draw the leaves of challenges."""
    zeros, clock = SimpleNamespace(urandom=bytes), SimpleNamespace(time=lambda: GENESIS)
    with (
        patch.multiple("dtxeth.chain.evm", os=zeros, time=clock),
        patch("eth_tester.backends.pyevm.main.os", zeros),
        open_chain() as chain,
    ):
        yield Scenario(Contracts(chain, deploy(chain, DEVELOPER, Parameters(min_interval=0))))


if __name__ == "__main__":
    sys.exit(main())
