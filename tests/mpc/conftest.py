"""Tests of three-party networks: three SPU processes each, so only where the extra is installed (`.venv-mpc`)."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("spu") else ["test_*.py"]
