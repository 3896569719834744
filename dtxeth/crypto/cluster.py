"""Clusters of a party's own machines, as joblib has them: Dask and Ray.

The workers are handed what this party computes on, its private key included, and run what they are told. So a
cluster belongs to one party, in a network of its own, or behind Dask's TLS (``dask:tls://…``, with the
certificates that Dask's own configuration names). One thread a worker: gmpy2 holds the interpreter lock.
"""

from __future__ import annotations

import threading
from importlib import metadata
from typing import Any

import joblib

from dtxeth.errors import ConfigError

CONNECT_SECONDS = 10
_FORMS = "dask:tcp://HOST:PORT, dask:tls://HOST:PORT or ray:HOST:PORT"

_lock = threading.Lock()
_address: str | None = None
_settings: dict[str, Any] = {}


def connect(address: str) -> joblib.parallel_config:
    """Connect to a cluster, once for all calls with this address.

    Args:
        address: ``dask:`` and the address of its scheduler, or ``ray:`` and one that ``ray.init`` takes.

    Returns:
        A context in which joblib uses the cluster.

    Raises:
        ConfigError: The address has another form, the library is not installed, or nobody answers.
    """
    global _address, _settings
    with _lock:
        if address != _address:
            _disconnect()
            _settings = _open(address)
            _address = address
        return joblib.parallel_config(**_settings)


def disconnect() -> None:
    """Close the connection, if there is one."""
    with _lock:
        _disconnect()


def _disconnect() -> None:
    global _address, _settings
    if "client" in _settings:
        _settings["client"].close()
    _address, _settings = None, {}


def _open(address: str) -> dict[str, Any]:
    kind, _, place = address.partition(":")
    if kind not in ("dask", "ray") or not place:
        raise ConfigError(f"the cluster {address!r} has no form that is known: give {_FORMS}")
    try:
        return _dask(place) if kind == "dask" else _ray(place)
    except ImportError:
        package = "dtxeth[cluster]" if kind == "dask" else "ray"
        raise ConfigError(f"the cluster {address!r} needs a library: pip install '{package}'") from None
    except (OSError, TimeoutError) as error:
        raise ConfigError(
            f"the cluster {address!r} does not answer ({error}): start it, or unset it to use this machine"
        ) from None


def _dask(place: str) -> dict[str, Any]:
    from distributed import Client

    client: Any = Client(place, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        _refuse_strangers(client, place)
    except BaseException:
        client.close()
        raise
    return {"backend": "dask", "client": client}


def _refuse_strangers(client: Any, place: str) -> None:
    """Check that all workers know what they are to run: joblib waits for ever for one that does not."""
    try:
        versions = set(client.run(_version).values())
    except Exception as error:
        raise ConfigError(f"a worker at {place} cannot run dtxeth: install it there ({error})") from None
    if versions != {_version()}:
        found = ", ".join(sorted(versions))
        raise ConfigError(f"workers at {place} have dtxeth {found}: install {_version()} there, as here")


def _version() -> str:
    return metadata.version("dtxeth")


def _ray(place: str) -> dict[str, Any]:
    import ray
    from ray.util.joblib import register_ray

    ray.init(address=place, ignore_reinit_error=True, log_to_driver=False)
    register_ray()
    return {"backend": "ray"}
