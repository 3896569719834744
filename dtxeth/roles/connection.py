"""The front door to a real network: ``dtxeth.connect``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dtxeth.chain import load_keystore
from dtxeth.errors import ConfigError
from dtxeth.roles.remote import RemoteNetwork, connect_network

PASSWORD_VARIABLE = "DTXETH_PASSWORD"  # noqa: S105 - the variable's name


def connect(
    url: str,
    *,
    keystore: Path | str,
    password: str | None = None,
    deployment: Path | str = "deployments",
    home: Path | str | None = None,
) -> RemoteNetwork:
    """Take part in a network of many hosts, with one account.

    ::

        with dtxeth.connect("http://localhost:8545", keystore="lab.json", home="lab") as net:
            model = net.requester("lab").train("logistic-vl", files=files, id="id", label="ill").result()

    Whoever joins has the account of the keystore. Data owners look after their files and answer applications while
    something is waited for here, or in ``net.serve(stop)``; a daemon (``dtxeth node run``) does so all the time.

    Args:
        url: JSON-RPC URL of the chain's node.
        keystore: Keystore file of the account.
        password: Opens it; by default ``$DTXETH_PASSWORD``.
        deployment: Record of the contracts' deployment, or the folder of such records.
        home: Folder for the index of the chain's events, to be found again next time; by default a temporary one.

    Raises:
        KeystoreError: The keystore is missing or broken, or the password is wrong.
        ConfigError: No password is given.
        ChainUnavailableError: No chain answers at the URL.
        DeploymentError: There is no record for this chain, or its contracts are not there or not ours.
    """
    if password is None:
        password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        raise ConfigError(f"no password for keystore {keystore}: give password=… or set ${PASSWORD_VARIABLE}")
    account = load_keystore(Path(keystore), password)
    temporary = None if home is not None else tempfile.TemporaryDirectory(prefix="dtxeth-")
    folder = Path(temporary.name) if temporary is not None else Path(home or "")
    try:
        network = connect_network(url, Path(deployment), folder, lambda role, name: account)
    except BaseException:
        if temporary is not None:
            temporary.cleanup()
        raise
    network.temporary = temporary
    return network
