"""Deploy the contracts to a chain, once; running it again verifies and changes nothing.

Parameters that are not given have the defaults of dtxeth.chain.Parameters.
"""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import os
import sys
from pathlib import Path

from dtxeth.chain import Parameters, deploy, load_keystore, open_chain
from dtxeth.errors import DtxethError


def main() -> int:
    """Deploy, and print where the contracts are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="JSON-RPC URL of the chain")
    parser.add_argument("--keystore", required=True, type=Path, help="keystore file of the account that pays")
    parser.add_argument("--directory", type=Path, default=Path("deployments"), help="where the record goes")
    for field in dataclasses.fields(Parameters):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int, default=field.default)
    options = parser.parse_args()
    parameters = Parameters(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(Parameters)}
    )
    try:
        password = os.environ.get("DTXETH_PASSWORD") or getpass.getpass(f"Password of {options.keystore}: ")
        account = load_keystore(options.keystore, password)
        with open_chain(options.url) as chain:
            deployment = deploy(chain, account, parameters, options.directory)
    except DtxethError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(
        f"chain {deployment.chain_id}: verified, recorded in {options.directory}/{deployment.chain_id}.json"
    )
    for name, address in deployment.addresses.items():
        print(f"  {name:18} {address}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
