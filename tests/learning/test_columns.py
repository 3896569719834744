"""Missing values and columns of words: learned on training rows, kept in the part, used again in prediction."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dtxeth.errors import DataError
from dtxeth.learning import Policy, Table
from dtxeth.learning.columns import Column, encode, fill, learn_columns, learn_fills, read_inputs
from dtxeth.learning.part import ModelPart
from dtxeth.learning.plain import retrace
from tests.learning.parties import ACTIVE, PASSIVE, made_up_tables, predict_all, small_key_spec, train_all

LOW = {name: Policy(min_rows=40) for name in (ACTIVE, PASSIVE)}
TOWNS = ["north"] * 60 + ["south"] * 40 + ["east"] * 35 + ["west"] * 5 + [""] * 4


def csv_with_gaps(rows: int = len(TOWNS)) -> bytes:
    random = np.random.default_rng(3)
    lines = ["id,town,age,debt"]
    for row, town in enumerate(random.permutation(TOWNS[:rows])):
        age = "NA" if row % 9 == 4 else f"{random.normal(40, 9):.3f}"
        lines.append(f"row {row},{town},{age},{random.normal():.3f}")
    return "\n".join(lines).encode()


def test_a_model_of_gaps_and_words_equals_its_twin_and_predicts() -> None:
    count = len(TOWNS)
    alice = made_up_tables(common=count, own=0, features=3)[ACTIVE]
    bob = Table.from_csv(csv_with_gaps(), "id", words=None, missing=True)
    assert (bob.features, list(bob.words)) == (("age", "debt"), ["town"])
    spec = small_key_spec(missing="median", categorical="one-hot", max_rounds=4)
    tables = {ACTIVE: alice, PASSIVE: bob}
    trainings = train_all(tables, spec, LOW)
    part = trainings[PASSIVE].part
    # north is the reference; west is on too few rows
    assert part.features == ["age", "debt", "town=east", "town=south"]
    assert part.columns[0].fill == np.nanmedian(bob.values[:, 0])
    (described,) = [party for party in trainings[ACTIVE].report["parties"] if party["party"] == PASSIVE]
    assert (described["features"], described["missing"]) == (4, 20)

    encoded = encode(bob, part.columns)
    filled = Table(bob.ids, encoded.features, fill(part.columns, encoded.values))
    ids = {name: training.ids for name, training in trainings.items()}
    starts = {name: training.start for name, training in trainings.items()}
    twin = retrace(spec, tables | {PASSIVE: filled}, ids, starts)
    assert twin[PASSIVE] == pytest.approx(part.weights, abs=1e-5)

    again = ModelPart.from_bytes(part.to_bytes())
    fresh = b"id,debt,town,age\nrow 0,0.5,nowhere,\nrow 1,0.5,south,30\nrow 2,0.5,north,NA\n"
    inputs = read_inputs(fresh, "id", again.columns)
    assert inputs.values[:, 2:].tolist() == [[0, 0], [0, 1], [0, 0]]
    scores = again.score(inputs.values)
    assert scores[0] == scores[2]  # a word never seen counts as the reference, a gap as the median
    small = {ACTIVE: alice.take(["row 2", "row 1"]), PASSIVE: inputs}
    got = predict_all(small, trainings, spec)[ACTIVE]
    own = trainings[ACTIVE].part
    z = own.score(alice.take(got.ids).values) + again.score(inputs.take(got.ids).values)
    assert got.values == pytest.approx(own.label.offset + own.label.scale * z)


def test_fills_are_learned_on_the_training_rows_only() -> None:
    values = np.array([[1.0], [1.0], [4.0], [np.nan], [100.0]])
    columns = [Column(name="x")]
    expected = {"mean": 2.0, "median": 1.0, "most-frequent": 1.0}
    for strategy, value in expected.items():
        (filled,) = learn_fills(columns, values[:4], strategy)
        assert filled.fill == value
        assert fill([filled], values)[:, 0].tolist() == [1, 1, 4, value, 100]
    with pytest.raises(DataError, match="column 'x' has no value in any of 1 rows"):
        learn_fills(columns, values[3:4], "mean")


def test_categories_need_support() -> None:
    table = Table(tuple("abcd"), (), np.empty((4, 0)), words={"town": ("n", "n", "s", "")})
    with pytest.raises(DataError, match="column 'town' has 0 categories with 32 rows or more, it takes two"):
        learn_columns(table)


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        ({}, b"id,x\na,1\nb,\n", "column 'x', row 2: the value is missing"),
        ({"missing": True}, b"id,x\na,NA\nb,\n", "column 'x' has no value in all 2 rows"),
        ({"words": None}, b"id,x\na,n\nb,\n", "column 'x', row 2: the value is missing"),
        ({"missing": True}, b"id,x\na,n\nb,\n", "column 'x', row 1: 'n' is not a finite number"),
        (
            {},
            b"id,x\na,1e200\nb,3\n",
            r"column 'x', row 1: 1e200 is beyond 1e\+100, change the column's unit",
        ),
        ({}, b"id,x\na,1e17\nb,100000000000000001\n", "column 'x' has the same value in all 2 rows"),
    ],
)
def test_bad_columns(settings, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table.from_csv(data, "id", **settings)


def test_a_gap_where_training_had_none() -> None:
    columns = [Column(name="x"), Column(name="y", fill=2.0)]
    with pytest.raises(DataError, match="column 'x' has missing values, in training it had none"):
        read_inputs(b"id,x,y\na,,1\n", "id", columns)
    assert np.isnan(read_inputs(b"id,x,y\na,1,\n", "id", columns).values[0, 1])


def test_a_column_that_two_parties_have() -> None:
    tables = made_up_tables(common=60, features=2)
    twice = Table(tables[PASSIVE].ids, ("bob 0", "alice 1"), tables[PASSIVE].values)
    outcome = train_all(tables | {PASSIVE: twice}, small_key_spec(), LOW)
    for name, peer in ((ACTIVE, PASSIVE), (PASSIVE, ACTIVE)):
        with pytest.raises(
            DataError, match=f"column 'alice 1' is in the file of {peer} too: remove or rename"
        ):
            raise outcome[name]


def test_class_weights_shift_the_odds() -> None:
    tables = made_up_tables(logistic=True, common=60, features=2)
    secrets = {name: name.encode().ljust(32) for name in tables}
    offsets = {}
    for weight in (None, 3.0, "balanced"):
        spec = small_key_spec(algorithm="logistic-vl", class_weight=weight, max_rounds=1)
        training = train_all(tables, spec, LOW, secrets=secrets)[ACTIVE]
        offsets[weight] = training.part.label.offset
        assert json.loads(training.result)["rounds"] == 1
    second = tables[ACTIVE].take(training.ids).label.mean()
    assert offsets[3.0] - offsets[None] == pytest.approx(math.log(3))
    assert offsets["balanced"] - offsets[None] == pytest.approx(math.log((1 - second) / second))
