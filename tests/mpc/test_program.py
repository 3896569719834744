"""Programs: StableHLO of one's own is run as approved, and nothing else is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dtxeth.errors import ConfigError
from dtxeth.learning import Policy
from dtxeth.learning.mpc.link import LOOPBACK
from dtxeth.learning.mpc.program import SEPARATOR, read_program, write_program
from dtxeth.learning.mpc.session import Site, check_ability
from tests.mpc.trio import ALICE, PARTIES, Trio, network_spec


def linear(features: int = 6, batch: int = 300, rows: int = 128) -> bytes:
    """Linear regression by gradient descent, as a program."""

    def step(w: jax.Array, x: jax.Array, y: jax.Array, rate: jax.Array) -> tuple[jax.Array]:
        return (w - rate * x.T @ (x @ w - y) / batch,)

    return write_program(
        lambda: (jnp.zeros((features, 1)),),
        step,
        lambda w, x: x @ w,
        features=features,
        batch=batch,
        rows=rows,
    )


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_approved_program_is_trained_and_predicts(tmp_path: Path) -> None:
    program = linear()
    (tmp_path / f"{digest(program)}.mlir").write_bytes(program)
    random = np.random.default_rng(1)
    values = random.standard_normal((300, 6))
    trio = Trio(values, values @ np.arange(6) + random.standard_normal(300))
    spec = network_spec(program=digest(program), epochs=12, learning_rate=0.5)
    policy = Policy(honest_majority=True, programs=frozenset({digest(program)}))
    site = Site(LOOPBACK, tmp_path)
    trained = trio.train(spec, policy=policy, further=dict.fromkeys(PARTIES, (site,)))
    assert trained[ALICE].report["rounds"] == 12
    import dataclasses

    import tests.mpc.trio as module

    arguments = trio._arguments(spec.model_copy(update={"kind": "predict"}), {"policy": policy})
    for party, given in arguments.items():
        given.insert(2, trained[party].part)
        given.append(site)
    ours = module.run_all(module.predict_network, arguments)[ALICE]
    assert dataclasses.is_dataclass(ours)
    truth = trio.truth(ours.ids)
    assert np.corrcoef(ours.values, truth)[0, 1] > 0.97


def test_another_program_than_the_approved_one_is_refused(tmp_path: Path) -> None:
    program = linear()
    altered = program.replace(b"dense<0.0", b"dense<1.0", 1)
    with pytest.raises(ConfigError, match="SHA-256 is not"):
        read_program(altered, digest(program))
    spec = network_spec(program=digest(program))
    with pytest.raises(ConfigError, match="is not here"):
        check_ability(spec, 3, Site(LOOPBACK, tmp_path))


def test_programs_that_do_not_fit_or_do_more_are_refused() -> None:
    start, step, predict = linear().decode().split(f"\n{SEPARATOR}\n")

    def complaint(*parts: str) -> str:
        data = f"\n{SEPARATOR}\n".join(parts).encode()
        with pytest.raises(ConfigError) as refusal:
            read_program(data, digest(data))
        return str(refusal.value)

    assert "2 parts" in complaint(start, step)
    assert "does not fit together" in complaint(start, predict, step)
    assert "no StableHLO" in complaint(start, step, predict[:-20])
    assert "without a function @main" in complaint(start, step, predict.replace("@main", "@other"))
    printing = predict.replace(
        "return ",
        "%secret = stablehlo.custom_call @spu.dbg_print(%arg1) : (tensor<128x6xf32>) -> tensor<128x6xf32>\n    return ",
        1,
    )
    assert "stablehlo.custom_call" in complaint(start, step, printing)
    assert "f32" in complaint(start, step, predict.replace("f32", "f64"))
