"""Compile contracts/ into dtxeth/chain/artifacts; with --check, only say whether they are in step."""

from __future__ import annotations

import argparse
import sys

from dtxeth.chain.compile import ARTIFACTS, compile_contracts, serialize
from dtxeth.errors import DtxethError


def main() -> int:
    """Write or check the artifacts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if an artifact differs"
    )
    check = parser.parse_args().check
    try:
        artifacts = {f"{name}.json": serialize(artifact) for name, artifact in compile_contracts().items()}
    except DtxethError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    ARTIFACTS.mkdir(exist_ok=True)
    shipped = {path.name: path.read_text(encoding="utf-8") for path in ARTIFACTS.glob("*.json")}
    stale = sorted(
        name for name in artifacts.keys() | shipped.keys() if artifacts.get(name) != shipped.get(name)
    )
    for name in stale:
        print(f"{'differs from contracts/' if check else 'written'}: {name}")
        if check:
            continue
        if name in artifacts:
            (ARTIFACTS / name).write_text(artifacts[name], encoding="utf-8")
        else:
            (ARTIFACTS / name).unlink()
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
