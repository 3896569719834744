from __future__ import annotations

import numpy as np
import pytest

from dtxeth.errors import DataError
from dtxeth.learning.table import Table

CSV = b"id,age,height,sick\nann,30,1.5,yes\nbob,40,1.75,no\ncid,50,1.625,yes\n"


def test_reads_features_and_label() -> None:
    table = Table.from_csv(CSV, "id", "sick", binary=True)
    assert table.ids == ("ann", "bob", "cid")
    assert table.features == ("age", "height")
    assert table.values.tolist() == [[30, 1.5], [40, 1.75], [50, 1.625]]
    assert table.classes == ("no", "yes")
    assert table.label is not None
    assert table.label.tolist() == [1, 0, 1]
    assert len(table) == 3


def test_repr_shows_no_contents() -> None:
    shown = repr(Table.from_csv(CSV, "id", "sick", binary=True))
    assert "ann" not in shown
    assert "30" not in shown


def test_byte_order_mark_and_numeric_classes() -> None:
    table = Table.from_csv(b"\xef\xbb\xbfid,x,y\na,1,10\nb,2,2\n", "id", "y", binary=True)
    assert table.classes == ("2", "10")
    assert table.label is not None
    assert table.label.tolist() == [1, 0]


def test_quantity_as_label() -> None:
    numbers = Table.from_csv(b"id,x,y\na,1,-1e3\nb,2,2.5\n", "id", "y")
    assert numbers.label is not None
    assert numbers.label.tolist() == [-1000.0, 2.5]
    assert numbers.classes is None


def test_chosen_features_may_be_constant_and_others_are_ignored() -> None:
    table = Table.from_csv(b"id,b,note,a\nr,1,text,2\ns,1,more,2\n", "id", features=["a", "b"])
    assert table.values.tolist() == [[2, 1], [2, 1]]


def test_take_and_keep() -> None:
    table = Table.from_csv(CSV, "id", "sick", binary=True)
    taken = table.take(["cid", "ann"])
    assert taken.ids == ("cid", "ann")
    assert taken.values.tolist() == [[50, 1.625], [30, 1.5]]
    assert np.array_equal(taken.keep([1]).values, [[30, 1.5]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "f.csv is not a readable CSV file .*: save it as UTF-8"),
        (b'id,x\n"a,1\n', "f.csv is not a readable CSV file"),
        (b"", "f.csv is empty"),
        (b"\n", "f.csv is empty"),
        (b"id,x,y\n", "f.csv has no rows"),
        (b"id,x,x,y\na,1,2,3\n", "f.csv has the column 'x' more than once"),
        (b"no,x,y\na,1,2\n", "f.csv has no id column 'id', its columns are: no, x, y"),
        (b"id,x,z\na,1,2\n", "f.csv has no label column 'y', its columns are: id, x, z"),
        (b"id,y\na,1\n", "f.csv has no feature column beside 'id'"),
        (b"id,x,y\na,1,1\nb,2\n", "f.csv: row 2 has 2 values, the header has 3"),
        (b"id,x,y\na,1,1\na,2,1\n", "f.csv: id 'a' in row 2 is a duplicate"),
        (b"id,x,y\na,1,1\n,2,1\n", "f.csv: row 2 has no id in column 'id'"),
        (b"id,x,y\na,1,1\nb,two,1\n", "f.csv: column 'x', row 2: 'two' is not a finite number"),
        (b"id,x,y\na,1,1\nb,inf,1\n", "f.csv: column 'x', row 2: 'inf' is not a finite number"),
        (b"id,x,y\na,1,1\nb, ,1\n", "f.csv: column 'x', row 2: the value is missing"),
        (b"id,x,y\na,1,1\nb,1,0\n", "f.csv: column 'x' has the same value in all 2 rows"),
        (b"id,x,y\na,1,1\nb,2,1\n", "f.csv: label 'y' must have two values for logistic, it has 1: '1'"),
        (b"id,x,y\na,1,1\nb,2,2\nc,3,3\n", "f.csv: label 'y' must have two values for logistic, it has 3"),
        (b"id,x,y\na,1,1\nb,2,\n", "f.csv: column 'y', row 2: the value is missing"),
    ],
)
def test_bad_tables(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        Table.from_csv(data, "id", "y", binary=True, name="f.csv")
    assert "\n" not in str(caught.value)


def test_missing_feature_of_the_model() -> None:
    with pytest.raises(DataError, match="has no column 'weight', which the model was trained on"):
        Table.from_csv(CSV, "id", features=["age", "weight"])
