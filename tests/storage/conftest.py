from __future__ import annotations

from tests.storage.memory import town
from tests.storage.world import world

__all__ = ["town", "world"]
