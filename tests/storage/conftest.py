from __future__ import annotations

from tests.storage.world import world

__all__ = ["world"]
