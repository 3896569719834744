from __future__ import annotations

from tests.roles.town import brief, town

__all__ = ["brief", "town"]
