"""A network from the requester's call to the predictions; and the refusal of executors that have no SPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

import dtxeth
from dtxeth.errors import InputError, TaskError
from dtxeth.learning import Policy
from dtxeth.learning import mpc as extra
from dtxeth.roles import LocalNetwork

NETWORK = {"layers": [{"units": 1, "activation": "linear"}], "epochs": 12, "learning_rate": 0.3}
COLUMNS = {"clinic": ["age", "sex", "bmi"], "lab": ["bp", "s1", "s2"], "insurer": ["s3", "s4", "s5", "s6"]}


@pytest.fixture(scope="module")
def network() -> Iterator[LocalNetwork]:
    with dtxeth.LocalNetwork(storage_nodes=3, executors=3) as network:
        yield network


@pytest.fixture(scope="module")
def files(network: LocalNetwork, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    data = load_diabetes(as_frame=True).frame.reset_index(names="id")
    uploaded = []
    for name, columns in COLUMNS.items():
        path: Path = tmp_path_factory.mktemp(name) / "table.csv"
        data[["id", *columns, *(["target"] if name == "clinic" else [])]].to_csv(path, index=False)
        owner = network.data_owner(name, Policy(honest_majority=True))
        uploaded.append(owner.upload(path, namespace="study"))
    return uploaded


def test_a_network_is_trained_and_predicts(network: LocalNetwork, files: list[object]) -> None:
    requester = network.requester("university")
    model = requester.train("dnn-vl", files=files, id="id", label="target", network=NETWORK).result()
    assert model.report["engine"].startswith("spu")
    predicted: pd.DataFrame = requester.predict(model, files=files).result()
    truth = load_diabetes().target[predicted["id"].astype(int)]
    assert np.corrcoef(predicted["target"], truth)[0, 1] > 0.6


def test_two_files_make_no_network(network: LocalNetwork, files: list[object]) -> None:
    with pytest.raises(InputError, match="takes 3 files of 3 owners, got 2"):
        network.requester("university").train(
            "dnn-vl", files=files[:2], id="id", label="target", network=NETWORK
        )


def test_executors_without_spu_reject_the_task_and_name_the_command(
    network: LocalNetwork, files: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    task = network.requester("university").train(
        "dnn-vl", files=files, id="id", label="target", network=NETWORK
    )
    with pytest.raises(TaskError, match=r"pip install 'dtxeth\[mpc\]'"):
        task.result()
