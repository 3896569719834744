"""Three-party neural networks on secret shares, computed by SPU (the extra ``mpc``).

Each of three executors shares its standardised columns with the others in such a way that one of them alone sees
noise; SPU's ABY3 protocol computes on the shares, and the model stays shared, too. **Any two of the three could
reconstruct everything**, so owners approve such tasks by name (see :class:`dtxeth.learning.policy.Policy`).

Source: P. Mohassel, P. Rindal, ABY3, ACM CCS 2018; J. Ma et al., SecretFlow-SPU, USENIX ATC 2023.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from dtxeth.errors import ConfigError

PARTIES: Final = 3
"""Executors of a task: ABY3 is a protocol of three."""


def require_spu() -> None:
    """Make sure that the extra ``mpc`` is installed.

    Raises:
        ConfigError: It is not; the message has the command that installs it.
    """
    if find_spec("spu") is None or find_spec("jax") is None:
        raise ConfigError("three-party networks need SPU, on CPython 3.10 or 3.11: pip install 'dtxeth[mpc]'")
