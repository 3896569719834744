"""Roles found out from the files: exactly one has the label."""

from __future__ import annotations

from functools import partial

import pytest

from dtxeth.errors import DataError
from dtxeth.learning import Policy, TaskContext
from dtxeth.learning.sample import train_on_sample
from dtxeth.transport import memory_channels
from tests.learning.parties import run_parties, small_key_spec

WITH, WITHOUT = b"id,x,y\na,1,2\nb,2,3\n", b"id,z\na,1\nb,3\n"


@pytest.mark.parametrize(("samples", "holders"), [((WITH, WITH), 2), ((WITHOUT, WITHOUT), 0)])
def test_two_label_holders_or_none(samples: tuple[bytes, bytes], holders: int) -> None:
    channels = memory_channels("ab")
    context = TaskContext(b"task", "lab", {"a": 2, "b": 2})
    outcome = run_parties(
        {
            name: partial(train_on_sample, channels[name], sample, small_key_spec(), Policy(), context)
            for name, sample in zip("ab", samples, strict=True)
        }
    )
    for error in outcome.values():
        with pytest.raises(DataError, match=f"{holders} of the files have the label column: exactly one"):
            raise error
