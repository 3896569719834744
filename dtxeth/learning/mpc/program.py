"""Programs: what the parties run on shares, as StableHLO text that anyone can read and hash.

A program has three parts, split as MLIR tools split their inputs, by lines ``// -----``:

1. start: no inputs → the state before the first step, as many tensors as it likes;
2. step: (state…, x: B×F, y: B×1, rate: scalar) → the state after one step on a batch of B rows;
3. predict: (state…, x: P×F) → P×1.

All numbers are ``f32``; F counts the columns of all parties, in the order of their names. Layers of a task's spec
become a program of this form; a program of one's own is named by its SHA-256, which every owner has to approve:
its outputs are what it says they are, but nobody can tell from outside what they reveal.

Source: https://openxla.org/stablehlo/spec
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dtxeth.errors import ConfigError
from dtxeth.learning.mpc import layers
from dtxeth.learning.mpc.network import Network

SEPARATOR: Final = "// -----"
MAX_PROGRAM: Final = 4 * 1024 * 1024
"""Longest program in bytes."""
_DIALECTS: Final = ("builtin", "func", "stablehlo", "chlo")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Module:
    """One part of a program: its text, and the shapes of what goes in and comes out."""

    text: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]


@dataclass(frozen=True)
class Program:
    """A program that is known to fit together.

    Raises:
        ConfigError: Its parts do not fit each other.
    """

    start: Module
    step: Module
    predict: Module

    def __post_init__(self) -> None:
        state = self.start.outputs
        inputs, outputs = self.step.inputs, self.step.outputs
        batch, features = inputs[-3] if len(inputs) > 2 and len(inputs[-3]) == 2 else (0, 0)
        rows = self.predict.inputs[-1][0] if self.predict.inputs and self.predict.inputs[-1] else 0
        demands = (
            ("start takes no inputs and returns a state", not self.start.inputs and bool(state)),
            ("step takes state, x, y and rate", inputs == (*state, (batch, features), (batch, 1), ())),
            ("step returns the state", outputs == state),
            ("predict takes state and x", self.predict.inputs == (*state, (rows, features))),
            ("predict returns one number a row", self.predict.outputs == ((rows, 1),)),
        )
        for demand, kept in demands:
            if not kept:
                raise ConfigError(f"the program does not fit together: {demand}; see docs/protocols/dnn.md")

    @property
    def batch(self) -> int:
        """Rows of a batch."""
        return self.step.inputs[-2][0]

    @property
    def rows(self) -> int:
        """Rows that one run of ``predict`` takes."""
        return self.predict.outputs[0][0]

    @property
    def features(self) -> int:
        """Columns of all parties together."""
        return self.predict.inputs[-1][1]

    @property
    def state(self) -> tuple[Shape, ...]:
        """Shapes of the state."""
        return self.start.outputs

    def compile(self, part: str) -> bytes:
        """Compile a part, ``"start"``, ``"step"`` or ``"predict"``, for SPU.

        Raises:
            ConfigError: SPU does not know an operation.
        """
        import spu

        module: Module = getattr(self, part)
        secret, public = spu.Visibility.VIS_SECRET, spu.Visibility.VIS_PUBLIC
        visibilities = [secret if shape else public for shape in module.inputs]
        # a state may hold numbers of its own; only the rate, a step's last input, is public
        visibilities[: len(self.state)] = [secret] * min(len(self.state), len(module.inputs))
        source = spu.CompilationSource(spu.SourceIRType.STABLEHLO, module.text.encode(), visibilities)
        try:
            code: bytes = spu.compile(source, spu.CompilerOptions())
        except RuntimeError as error:
            raise ConfigError(f"SPU cannot compile the program's {part}: {str(error)[:200]}") from None
        return code


def from_layers(network: Network, features: int, batch: int, rows: int) -> Program:
    """Write a network of layers as a program.

    Args:
        network: With layers.
        features: Columns of all parties together.
        batch: Rows of a training batch.
        rows: Rows that are predicted at once.
    """
    import jax
    import jax.numpy as jnp

    ops = _Jax(jax, jnp)
    state = layers.start(network, features)
    x, y, rate = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((batch, features), (batch, 1), ()))
    z = jax.ShapeDtypeStruct((rows, features), jnp.float32)

    def step(*values: Any) -> Any:
        *old, x, y, rate = values
        return layers.step(ops, network, tuple(old), x, y, rate)

    def predict(*values: Any) -> Any:
        *old, x = values
        return layers.predict(ops, network, tuple(old), x)

    return _write(lambda: tuple(jnp.asarray(value) for value in state), step, predict, state, x, y, rate, z)


def compile_join(rows: int, widths: Sequence[int]) -> bytes:
    """Compile the program that puts the columns of all parties side by side; it costs no message."""
    import jax
    import jax.numpy as jnp
    import spu

    columns = [jax.ShapeDtypeStruct((rows, width), jnp.float32) for width in widths]
    lowered = jax.jit(lambda *parts: jnp.concatenate(parts, axis=1)).lower(*columns)
    visibilities = [spu.Visibility.VIS_SECRET] * len(columns)
    source = spu.CompilationSource(spu.SourceIRType.STABLEHLO, lowered.as_text().encode(), visibilities)
    code: bytes = spu.compile(source, spu.CompilerOptions())
    return code


def write_program(
    start: Callable[[], tuple[Any, ...]],
    step: Callable[..., tuple[Any, ...]],
    predict: Callable[..., Any],
    *,
    features: int,
    batch: int,
    rows: int,
) -> bytes:
    """Write JAX functions as a program, to be approved and named by its SHA-256.

    Args:
        start: Returns the state before the first step.
        step: Takes the state's tensors, x (batch, features), y (batch, 1) and the learning rate; returns the state.
        predict: Takes the state's tensors and x (rows, features); returns (rows, 1).
        features: Columns of all parties together.
        batch: Rows of a training batch.
        rows: Rows that are predicted at once.

    Raises:
        ConfigError: The functions do not fit together, or SPU is not installed.
    """
    import jax
    import jax.numpy as jnp

    x, y, rate = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((batch, features), (batch, 1), ()))
    z = jax.ShapeDtypeStruct((rows, features), jnp.float32)
    program = _write(start, step, predict, start(), x, y, rate, z)
    return f"\n{SEPARATOR}\n".join(
        part.text for part in (program.start, program.step, program.predict)
    ).encode()


def read_program(data: bytes, digest: str) -> Program:
    """Read a program of one's own.

    Args:
        data: What :func:`write_program` returned, or another tool made.
        digest: Its SHA-256, which the task names and the owners approved; lower-case hexadecimal.

    Raises:
        ConfigError: It is another program, too long, no StableHLO, calls something outside of it, or its parts do not
            fit each other.
    """
    if hashlib.sha256(data).hexdigest() != digest:
        raise ConfigError(f"the program's SHA-256 is not {digest}: place the one that the owners approved")
    if len(data) > MAX_PROGRAM:
        raise ConfigError(f"the program has {len(data)} bytes, at most {MAX_PROGRAM} are allowed")
    try:
        parts = data.decode().split(f"\n{SEPARATOR}\n")
    except UnicodeDecodeError:
        parts = []
    if len(parts) != 3:
        raise ConfigError(
            f"the program has {len(parts)} parts: start, step and predict, split by lines {SEPARATOR!r}, are due"
        )
    return Program(*(_read(part) for part in parts))


def _write(
    start: Any, step: Any, predict: Any, state: tuple[Any, ...], x: Any, y: Any, rate: Any, z: Any
) -> Program:
    import jax

    def lowered(function: Any, *arguments: Any) -> Module:
        return _read(jax.jit(function, keep_unused=True).lower(*arguments).as_text())

    held = [jax.ShapeDtypeStruct(np.shape(value), np.float32) for value in state]
    return Program(lowered(start), lowered(step, *held, x, y, rate), lowered(predict, *held, z))


def _read(text: str) -> Module:
    """Parse one module, and make sure that it computes and does nothing else."""
    from jax.interpreters import mlir
    from jaxlib.mlir import ir

    with mlir.make_ir_context() as context:
        context.allow_unregistered_dialects = False
        try:
            module = ir.Module.parse(text)
        except (ir.MLIRError, ValueError) as error:
            raise ConfigError(f"the program is no StableHLO: {str(error)[:200]}") from None
        main = None
        for function in module.body.operations:
            _check_operations(function.operation)
            if function.operation.name == "func.func" and function.name.value == "main":
                main = function.type
        if main is None:
            raise ConfigError("the program has a part without a function @main: see docs/protocols/dnn.md")
        return Module(text, _shapes(main.inputs), _shapes(main.results))


def _check_operations(operation: Any) -> None:
    name = operation.name
    # custom calls reach into SPU itself, where one prints secrets
    if name.split(".")[0] not in _DIALECTS or name == "stablehlo.custom_call":
        raise ConfigError(f"the program uses {name}: only StableHLO without custom calls is run")
    for region in operation.regions:
        for block in region:
            for inner in block:
                _check_operations(inner.operation)


def _shapes(types: Any) -> tuple[Shape, ...]:
    from jaxlib.mlir import ir

    shapes = []
    for type in types:
        if not ir.RankedTensorType.isinstance(type):
            raise ConfigError(f"the program passes {type}: only tensors of f32 are allowed")
        tensor = ir.RankedTensorType(type)
        if not tensor.has_static_shape or str(tensor.element_type) != "f32":
            raise ConfigError(f"the program passes {type}: only f32 tensors of fixed shape are allowed")
        shapes.append(tuple(tensor.shape))
    return tuple(shapes)


class _Jax:
    """The operations of :mod:`dtxeth.learning.mpc.layers`, as JAX has them."""

    def __init__(self, jax: Any, jnp: Any) -> None:
        self.maximum, self.where, self.sqrt, self.tanh = jnp.maximum, jnp.where, jnp.sqrt, jnp.tanh
        self.ones_like, self.sigmoid = jnp.ones_like, jax.nn.sigmoid
