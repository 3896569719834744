"""A block store on any IPFS daemon (Kubo, js-ipfs, or ours), through ``ipfshttpclient``."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import ipfshttpclient
from ipfshttpclient import exceptions

from dtxeth.errors import InputError, IntegrityError, StorageError, UnknownNameError
from dtxeth.storage.blockstore.base import MAX_BLOCK_SIZE, RepoStat
from dtxeth.storage.blockstore.cid import cid_of, digest_of_cid

T = TypeVar("T")

# ipfshttpclient 0.8.0a2 passes urllib3 an argument that it no longer reads; no user can change that.
warnings.filterwarnings(
    "ignore", message="The 'strict' parameter is no longer needed", category=FutureWarning
)

# The daemons spell one option differently: Kubo asks for a codec, js-ipfs for a format and a CID version.
_RAW_CID_V1 = {"cid-codec": "raw", "format": "raw", "version": "1", "mhtype": "sha2-256"}
_BASE32 = {"cid-base": "base32"}  # js-ipfs lists CIDs in base58 otherwise


class IpfsBlockStore:
    """Blocks in an IPFS daemon.

    The daemon's RPC has no access control: keep it on loopback. Requests ask it to stay offline; a daemon
    that looks for a missing block on the network all the same is cut short by the timeout, and the block
    counts as missing.

    Args:
        address: Multiaddr of the RPC, such as ``/ip4/127.0.0.1/tcp/5001``.
        timeout: Seconds for one request.

    Raises:
        StorageError: Nothing that speaks the RPC answers there.
    """

    shared = True

    def __init__(self, address: str, timeout: float = 10.0) -> None:
        self._address = address
        try:
            # Client, not connect(): the latter refuses daemons newer than the client knows.
            self._client: Any = ipfshttpclient.Client(address, offline=True, session=True, timeout=timeout)
        except exceptions.AddressError as error:
            raise InputError(f"IPFS address {address!r}: expected such as /ip4/127.0.0.1/tcp/5001") from error
        self._ask(lambda: self._client.repo.stat())

    def block_put(
        self, data: bytes, *, pin: bool = False, cid: str | None = None, durably: bool = True
    ) -> str:
        """See :meth:`BlockStore.block_put`; as durable as the daemon makes it, in any case."""
        if len(data) > MAX_BLOCK_SIZE:
            raise InputError(f"block of {len(data)} bytes: at most {MAX_BLOCK_SIZE}")
        options = {**_RAW_CID_V1, "pin": "true" if pin else "false"}
        answer = self._ask(lambda: self._client.block.put(io.BytesIO(data), opts=options))
        cid = cid or cid_of(data)
        if answer.get("Key") != cid:
            key = answer.get("Key")
            raise StorageError(f"IPFS daemon {self._address} stored block {cid} as {key!r}; use another")
        return cid

    def sync(self, cids: Iterable[str]) -> None:
        """See :meth:`BlockStore.sync`; the daemon has done what it does."""

    def block_get(self, cid: str) -> bytes:
        """See :meth:`BlockStore.block_get`."""
        data: bytes = self._ask(lambda: self._client.block.get(cid), cid)
        if cid_of(data) != cid:
            raise IntegrityError(f"block {cid}: the IPFS daemon {self._address} returned other bytes")
        return data

    def block_stat(self, cid: str) -> int:
        """See :meth:`BlockStore.block_stat`."""
        return int(self._ask(lambda: self._client.block.stat(cid), cid)["Size"])

    def block_rm(self, cid: str) -> None:
        """See :meth:`BlockStore.block_rm`."""
        # ipfshttpclient has no method for block/rm; its generic request does it.
        answers = self._ask(lambda: self._client._client.request("/block/rm", (cid,), decoder="json"), cid)
        for reason in (answer.get("Error", "") for answer in answers):
            if "pinned" in reason:
                raise InputError(f"block {cid} is pinned: unpin it first")
            if reason and not _means_missing(reason):
                raise StorageError(f"IPFS daemon {self._address} does not remove block {cid}: {reason}")

    def pin_add(self, cid: str) -> None:
        """See :meth:`BlockStore.pin_add`."""
        self._ask(lambda: self._client.pin.add(cid), cid)

    def pin_rm(self, cid: str) -> None:
        """See :meth:`BlockStore.pin_rm`."""
        try:
            self._ask(lambda: self._client.pin.rm(cid), cid)
        except UnknownNameError:
            return

    def pin_ls(self, cids: Iterable[str] | None = None) -> set[str]:
        """See :meth:`BlockStore.pin_ls`."""
        pins = self._ask(lambda: self._client.pin.ls(type="recursive", opts=dict(_BASE32)))["Keys"]
        return {cid for cid in pins if _is_raw(cid)} if cids is None else pins.keys() & set(cids)

    def repo_stat(self) -> RepoStat:
        """See :meth:`BlockStore.repo_stat`."""
        answer = self._ask(lambda: self._client.repo.stat())
        return RepoStat(int(answer["NumObjects"]), int(answer["RepoSize"]))

    def repo_gc(self) -> set[str]:
        """See :meth:`BlockStore.repo_gc`."""
        removed = (
            answer.get("Key") for answer in self._ask(lambda: self._client.repo.gc(opts=dict(_BASE32)))
        )
        # Kubo wraps the CID as {"/": cid}, js-ipfs and we write it plainly.
        names = (key["/"] if isinstance(key, Mapping) else key for key in removed)
        return {cid for cid in names if cid and _is_raw(cid)}

    def _ask(self, request: Callable[[], T], cid: str | None = None) -> T:
        if cid is not None:
            digest_of_cid(cid)
        try:
            return request()
        except exceptions.TimeoutError as error:
            if cid is not None:
                raise UnknownNameError(f"block {cid}: no answer from {self._address} in time") from error
            raise StorageError(f"IPFS daemon {self._address} does not answer in time; is it busy?") from error
        except exceptions.ErrorResponse as error:
            if cid is not None and _means_missing(str(error)):
                raise UnknownNameError(f"block {cid} is not in the IPFS daemon {self._address}") from error
            raise StorageError(f"IPFS daemon {self._address} refuses: {error}") from error
        except (exceptions.Error, OSError) as error:  # OSError: requests' own, when the body breaks off
            raise StorageError(f"no IPFS daemon answers at {self._address}; start one there") from error


def _means_missing(reason: str) -> bool:
    return re.search(r"not found|not pinned|no such|could not find", reason, re.IGNORECASE) is not None


def _is_raw(cid: str) -> bool:
    try:
        digest_of_cid(cid)
    except InputError:
        return False
    return True
