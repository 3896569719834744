from __future__ import annotations

import pytest

from tests.storage.memory import town
from tests.storage.sender import Sender
from tests.storage.world import World, world

__all__ = ["town", "world"]


@pytest.fixture
def sender(world: World) -> Sender:
    return Sender(world, world.real[0], world.owner)
