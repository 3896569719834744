"""What an actor keeps on disk: sealed under its account's key, and durable before it is relied upon."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from dtxeth.storage.seal import seal_bytes, unseal_bytes


@dataclass(frozen=True)
class Vault:
    """A folder of sealed files; serves as the journal of a learning session too.

    Attributes:
        folder: Where it is; made when something is put into it.
        key: 32 bytes that seal it.
        label: Bound into each file with its name, so that one does not pass for another.
    """

    folder: Path
    key: bytes = field(repr=False)
    label: str = ""

    def load(self, name: str) -> bytes | None:
        """What was saved under a name, or None.

        Raises:
            CryptoError: It was altered, moved, or sealed under another account's key.
        """
        try:
            sealed = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        return unseal_bytes(self.key, self._purpose(name), sealed)

    def save(self, name: str, data: bytes) -> None:
        """Keep ``data`` under a name: it survives a crash from when this returns, and is whole or not there before."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / name
        draft = path.with_name(f"{name}.{os.getpid()}.draft")
        with draft.open("wb") as file:
            file.write(seal_bytes(self.key, self._purpose(name), data))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def discard(self, name: str) -> None:
        """Remove what was saved under a name, if anything was."""
        (self.folder / name).unlink(missing_ok=True)

    def inner(self, name: str) -> Vault:
        """The vault in a folder of this one."""
        return Vault(self.folder / name, self.key, f"{self.label}{name}/")

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _purpose(self, name: str) -> bytes:
        return f"vault {self.label}{name}".encode()
