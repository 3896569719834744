"""The vertical protocol by itself: its start, its batches, its ring, and what travels on it."""

from __future__ import annotations

import numpy as np
import pytest

from dtxeth.crypto.paillier import generate_keypair
from dtxeth.learning.learner import Fit, partition, start_weights
from dtxeth.learning.optimiser import Optimiser
from dtxeth.learning.plain import train_plain
from dtxeth.learning.ring import Ring
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.spec import TaskSpec
from dtxeth.learning.vertical import fit
from dtxeth.transport import memory_channels
from tests.learning.parties import run_parties

SECRETS = TaskSecrets(b"s" * 32, b"task")
ROWS = 90


def correlated(random: np.random.Generator, *widths: int) -> list[np.ndarray]:
    hidden = random.standard_normal((ROWS, 2))
    return [hidden @ random.standard_normal((2, w)) + random.standard_normal((ROWS, w)) for w in widths]


@pytest.mark.parametrize("algorithm", ["linear-vl", "logistic-vl"])
@pytest.mark.parametrize("widths", [(3, 2), (1, 4), (3, 2, 4), (2, 1, 3, 2)])
def test_any_number_of_parties_equals_the_twin(algorithm: str, widths: tuple[int, ...]) -> None:
    random = np.random.default_rng(len(widths))
    columns = correlated(random, *widths)
    quantity = sum(x.sum(axis=1) for x in columns) + random.standard_normal(ROWS)
    label = (quantity > 0).astype(float) if algorithm == "logistic-vl" else quantity
    spec = TaskSpec(algorithm=algorithm, id="id", label="y", max_rounds=30, tolerance=0.0)
    target = label - label.mean() if spec.logistic else (label - label.mean()) / label.std()
    names = tuple("abcd"[: len(widths)])
    channels = memory_channels(names)
    keys = [generate_keypair(256, insecure_test_key=True) for _ in names]
    public = tuple(key.public_key for key in keys)

    def program(i: int) -> Fit:
        values = (columns[i] - columns[i].mean(axis=0)) / columns[i].std(axis=0)
        ring = Ring(channels[names[i]], names, public, widths, keys[i], names[-1])
        own = TaskSecrets(bytes([i]) * 32, b"task")
        return fit(ring, values, target if i == len(names) - 1 else None, spec, own)

    fits = run_parties({name: lambda i=i: program(i) for i, name in enumerate(names)})
    twin = train_plain(spec, columns, label, [fits[name].start for name in names])
    for name, weights in zip(names, twin, strict=True):
        assert np.abs(fits[name].weights - weights).max() < 1e-5


@pytest.mark.parametrize("features", [1, 5, 30])
def test_start_is_secret_random_and_large(features: int) -> None:
    values = np.random.default_rng(1).standard_normal((400, features))
    starts = [start_weights(values, TaskSecrets(bytes([i]) * 32, b"task")) for i in range(50)]
    deviations = [float((values @ start).std()) for start in starts]
    assert min(deviations) >= 1 - 1e-9
    assert max(deviations) < 2
    assert len({round(deviation, 6) for deviation in deviations}) == 50
    assert np.array_equal(starts[0], start_weights(values, TaskSecrets(bytes(32), b"task")))
    assert not np.allclose(starts[0], start_weights(values, TaskSecrets(bytes(32), b"other task")))


@pytest.mark.parametrize(("rows", "size"), [(300, None), (300, 300), (300, 299), (1000, 256), (7, 3), (5, 9)])
def test_partition_covers_all_rows_once(rows: int, size: int | None) -> None:
    batches = partition(rows, size)
    assert [i for batch in batches for i in range(batch.start, batch.stop)] == list(range(rows))
    assert min(batch.stop - batch.start for batch in batches) >= min(size or rows, rows)


@pytest.mark.parametrize("l1", [0.0, 0.05])
def test_local_curvature_converges_for_any_collinearity(l1: float) -> None:
    random = np.random.default_rng(3)
    base = random.standard_normal((200, 3))
    columns = [base + 1e-3 * random.standard_normal((200, 3)) for _ in range(3)]
    spec = TaskSpec(algorithm="linear-vl", id="id", label="y", l1=l1, l2=0.01)
    optimisers = [Optimiser(x, 1.0, 3, spec) for x in columns]
    weights = [random.standard_normal(3) * 10 for _ in columns]
    goal = base.sum(axis=1)
    for _ in range(200):
        error = sum(x @ w for x, w in zip(columns, weights, strict=True)) - goal
        weights = [
            o.step(w, o.gradient(w, x.T @ error / 200))
            for o, w, x in zip(optimisers, weights, columns, strict=True)
        ]
    assert np.sqrt(np.mean(error**2)) < (0.2 if l1 else 0.05)


def test_secrets_depend_on_their_whole_path() -> None:
    values = {
        SECRETS.derive(16, "mask", 1),
        SECRETS.derive(16, "mask", 2),
        SECRETS.derive(16, "mask", "1"),
        SECRETS.derive(16, "mask1"),
        TaskSecrets(b"s" * 32, b"task 2").derive(16, "mask", 1),
        TaskSecrets(b"t" * 32, b"task").derive(16, "mask", 1),
    }
    assert len(values) == 6
    drawn = SECRETS.integers(2000, 1000, "numbers")
    assert set(drawn) <= set(range(1000))
    assert 450 < np.mean(drawn) < 550
    assert sorted(SECRETS.permutation(100, "order")) == list(range(100))
    assert SECRETS.permutation(100, "order") != list(range(100))


def test_secret_has_a_fixed_length() -> None:
    with pytest.raises(ValueError, match="a task secret has 32 bytes, got 5"):
        TaskSecrets(b"short", b"task")
