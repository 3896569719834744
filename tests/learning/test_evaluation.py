"""Evaluation as part of a task: folds and splits beside scikit-learn, live evaluation, what is refused before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from dtxeth.errors import DataError, PeerError, PolicyError, TaskError
from dtxeth.learning import Policy, Table, Training, evaluation, train
from dtxeth.learning.plain import retrace
from dtxeth.learning.progress import Step
from dtxeth.learning.secrets import TaskSecrets
from dtxeth.learning.settings import Evaluation
from dtxeth.learning.splits import split
from dtxeth.transport import memory_channels
from tests.learning.parties import (
    ACTIVE,
    PASSIVE,
    context_of,
    made_up_tables,
    run_parties,
    small_key_spec,
    train_all,
)

TABLES = made_up_tables(common=120, features=3)
CLASSES = made_up_tables(logistic=True, common=120, features=3)
LOW = {name: Policy(min_rows=40, leave_one_out=True) for name in (ACTIVE, PASSIVE)}

SECRETS = {name: name.encode().ljust(32) for name in (ACTIVE, PASSIVE)}


def report_of(trainings: dict[str, Training]) -> dict:
    """The requester's report, whose hash both parties put into the same result."""
    report = trainings[ACTIVE].evaluation
    assert trainings[PASSIVE].evaluation is None
    results = {training.result for training in trainings.values()}
    assert len(results) == 1
    assert json.loads(results.pop())["report"] == hashlib.sha256(report).hexdigest()
    return json.loads(report)


def pooled(tables: dict[str, Table], ids) -> tuple[np.ndarray, np.ndarray]:
    alice, bob = (tables[name].take(ids) for name in (ACTIVE, PASSIVE))
    return np.column_stack([alice.values, bob.values]), alice.label


def test_folds_are_as_good_as_scikit_learn_on_the_same_folds() -> None:
    spec = small_key_spec(evaluation={"folds": 3}, max_rounds=40, l2=0.0)
    trainings = train_all(TABLES, spec, LOW, secrets=SECRETS)
    report = report_of(trainings)["evaluation"]
    tested, ids = trainings[ACTIVE].tested, trainings[ACTIVE].ids
    assert tested == trainings[PASSIVE].tested
    assert sorted(row for rows in tested for row in rows) == sorted(ids)
    errors = []
    for rows, fold in zip(tested, report["folds"], strict=True):
        assert (fold["rows"], fold["trained_rows"], fold["rounds"]) == (40, 80, 40)
        model = LinearRegression().fit(*pooled(TABLES, [row for row in ids if row not in rows]))
        values, truth = pooled(TABLES, rows)
        errors.append(root_mean_squared_error(truth, model.predict(values)))
    assert [fold["rmse"] for fold in report["folds"]] == pytest.approx(errors, rel=0.01)
    assert report["mean"]["rmse"] == pytest.approx(np.mean(errors), rel=0.01)
    assert report["deviation"]["rmse"] == pytest.approx(np.std(errors, ddof=1), rel=0.05)
    assert report["pooled"]["rows"] == 120
    assert report["roc"] == []


def test_stratified_folds_of_classes() -> None:
    spec = small_key_spec(algorithm="logistic-vl", evaluation={"folds": 2}, max_rounds=25)
    trainings = train_all(CLASSES, spec, LOW, secrets=SECRETS)
    report = report_of(trainings)["evaluation"]
    tested, ids = trainings[ACTIVE].tested, trainings[ACTIVE].ids
    positives = [pooled(CLASSES, rows)[1].sum() for rows in tested]
    assert max(positives) - min(positives) <= 1
    assert (
        np.sum([fold["confusion"] for fold in report["folds"]], axis=0).tolist()
        == report["pooled"]["confusion"]
    )
    for rows, fold in zip(tested, report["folds"], strict=True):
        model = LogisticRegression().fit(*pooled(CLASSES, [row for row in ids if row not in rows]))
        values, truth = pooled(CLASSES, rows)
        assert fold["auc"] > roc_auc_score(truth, model.decision_function(values)) - 0.03
    assert report["roc"][0] == [0.0, 0.0]
    assert report["roc"][-1] == [1.0, 1.0]


def test_a_split_and_leave_one_out() -> None:
    share = {"method": "split", "share": 0.25}
    trainings = train_all(TABLES, small_key_spec(evaluation=share, max_rounds=2), LOW)
    (rows,) = trainings[PASSIVE].tested
    assert len(rows) == 30
    (fold,) = report_of(trainings)["evaluation"]["folds"]
    assert (fold["rows"], fold["trained_rows"]) == (30, 90)

    few = {
        name: table.keep([table.ids.index(f"row {i}") for i in range(41)]) for name, table in TABLES.items()
    }
    single = small_key_spec(evaluation={"method": "leave-one-out"}, max_rounds=1)
    report = report_of(train_all(few, single, LOW))["evaluation"]
    assert (report["pooled"]["rows"], report["folds"], report["mean"]) == (41, [], {})
    assert report["pooled"]["r2"] is not None
    for name in TABLES:  # one owner who does not say so is enough
        outcome = train_all(few, single, LOW | {name: Policy(min_rows=40)})
        with pytest.raises(PolicyError, match="leave-one-out is not allowed by the owner"):
            raise outcome[name]


def test_live_evaluation_keeps_the_best_round_and_stops_early() -> None:
    """A learning rate near divergence gets worse again: the best round is not the last."""
    steps: list[Step] = []
    live = {"every": 2, "share": 0.25, "patience": 1}
    tables = {name: replace(t, values=t.values) for name, t in made_up_tables(common=120, features=9).items()}
    spec = small_key_spec(live=live, max_rounds=16, learning_rate=0.75, momentum=0.0)
    channels = memory_channels(tables)
    trainings = run_parties(
        {
            name: lambda name=name: train(
                channels[name],
                ACTIVE,
                tables[name],
                spec,
                LOW[name],
                context_of(tables),
                steps.append,
                SECRETS[name],
            )
            for name in tables
        }
    )
    report = report_of(trainings)["live"]
    losses = [point["rmse"] for point in report["curve"]]
    best = report["best_round"]
    assert report["curve"][int(np.argmin(losses))]["round"] == best
    assert report["curve"][-1]["round"] == best + 2
    assert trainings[ACTIVE].report["rounds"] == best + 2 < 16
    assert report["rows"] == 30
    shown = [step.metrics["rmse"] for step in steps if step.metrics]
    assert shown == losses
    ids = {name: training.ids for name, training in trainings.items()}
    assert len(ids[ACTIVE]) == 90
    starts = {name: training.start for name, training in trainings.items()}
    for name, weights in retrace(spec, tables, ids, starts, rounds=best).items():
        assert weights == pytest.approx(trainings[name].part.weights, abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"evaluation": {"folds": 100}}, DataError, "the evaluation has 100 folds, the common rows are 60"),
        (
            {"live": {"every": 1}, "max_rounds": 3},
            PolicyError,
            "3 scores of a row, and the file has 3 features",
        ),
        ({"live": {"every": 2}, "max_rounds": 4, "evaluation": {}}, PolicyError, "3 scores of a row"),
        ({"evaluation": {"folds": 2}}, PolicyError, "30 rows, the data owners' floor is 40"),
    ],
)
def test_refused_before_any_ciphertext(settings, error, message) -> None:
    tables = {name: table.keep(range(len(table))) for name, table in TABLES.items()}
    few = {
        name: table.keep([table.ids.index(f"row {i}") for i in range(60)]) for name, table in tables.items()
    }
    channels = memory_channels(few)
    outcome = train_all(few, small_key_spec(**settings), LOW, channels)
    for failure in outcome.values():
        if "gave up" in str(failure):
            assert failure is outcome[ACTIVE]  # the passive party's owner is the one who minds
            continue
        assert isinstance(failure, error), failure
        assert message in str(failure)
        assert "\n" not in str(failure)
    assert (
        max(channel.bytes_sent for channel in channels.values()) < 10_000
    )  # one round of ciphertexts is more


def test_an_owner_may_let_scores_be_shown() -> None:
    spec = small_key_spec(live={"every": 1}, max_rounds=3)
    shown = LOW | {PASSIVE: replace(LOW[PASSIVE], show_scores=True)}
    assert len(report_of(train_all(TABLES, spec, shown))["live"]["curve"]) == 3


def test_a_column_that_is_constant_without_one_fold() -> None:
    spec = small_key_spec(evaluation={"folds": 2, "shuffle": False}, max_rounds=1)
    bob = TABLES[PASSIVE]
    ids = train_all(TABLES, spec.model_copy(update={"evaluation": None}), LOW, secrets=SECRETS)[PASSIVE].ids
    values = bob.values.copy()
    values[[bob.ids.index(row) for row in ids[60:]], 1] = 7.0
    tables = TABLES | {PASSIVE: replace(bob, values=values)}
    outcome = train_all(tables, spec, LOW, secrets=SECRETS)
    with pytest.raises(DataError, match="column 'bob 1' has the same value in all 60 rows of fold 1"):
        raise outcome[PASSIVE]


def parts(evaluation: Evaluation, active_classes: np.ndarray, rows: int, seed: int = 0):
    channels = memory_channels((ACTIVE, PASSIVE))

    def program(name: str):
        classes = active_classes if name == ACTIVE else None
        secrets = TaskSecrets(f"{name} {seed}".encode().ljust(32), b"task")
        return split(channels[name], ACTIVE, "evaluation", evaluation, rows, classes, b"task", secrets)

    return run_parties({name: partial(program, name) for name in channels})


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("rows", [50, 53])
def test_every_row_is_tested_once_and_parts_are_even(stratified: bool, rows: int) -> None:
    classes = (np.arange(rows) % 3 == 0).astype(float)
    outcome = parts(Evaluation(folds=5, stratified=stratified), classes, rows)
    for ours, theirs in zip(outcome[ACTIVE], outcome[PASSIVE], strict=True):
        assert ours.tolist() == theirs.tolist()
    assert sorted(np.concatenate(outcome[ACTIVE])) == list(range(rows))
    assert {len(part) for part in outcome[ACTIVE]} <= {rows // 5, -(-rows // 5)}
    if stratified:
        counts = [classes[part].sum() for part in outcome[ACTIVE]]
        assert max(counts) - min(counts) <= 1
    again = parts(Evaluation(folds=5, stratified=stratified), classes, rows, seed=1)
    same = [a.tolist() == b.tolist() for a, b in zip(outcome[ACTIVE], again[ACTIVE], strict=True)]
    assert all(same) != stratified  # public parts follow from the task, stratified ones from a secret


def test_stratified_parts_do_not_tell_classes() -> None:
    """Rows of the two classes fall into a fold alike: over many tasks no row is more often in the same part."""
    classes = np.array([1.0] * 10 + [0.0] * 30)
    order = np.zeros((40, 2))
    for seed in range(60):
        for number, part in enumerate(
            parts(Evaluation(folds=2, stratified=True), classes, 40, seed)[PASSIVE]
        ):
            order[part, number] += 1
    assert order.min() > 12  # of 60, with probability above 1 - 10^-4


def test_parts_of_another_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dtxeth.learning import splits

    honest = splits.send
    monkeypatch.setattr(splits, "send", lambda c, p, t, m: honest(c, p, t, splits.Parts(parts=m.parts[:-1])))
    outcome = parts(Evaluation(folds=2, stratified=True), np.array([0.0, 1.0] * 10), 20)
    with pytest.raises(PeerError, match="sent parts of 19 rows where 20"):
        raise outcome[PASSIVE]


def test_a_fold_that_fails_ends_the_task_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = evaluation.fit_model

    def failing(ring, design, spec, secrets, task, stage, *rest):
        if stage == "fold 2" and ring.channel.name == PASSIVE:
            raise TaskError("the second fold broke")
        return honest(ring, design, spec, secrets, task, stage, *rest)

    monkeypatch.setattr(evaluation, "fit_model", failing)
    outcome = train_all(TABLES, small_key_spec(evaluation={"folds": 3}, max_rounds=2), LOW)
    with pytest.raises(TaskError, match="the second fold broke"):
        raise outcome[PASSIVE]
    with pytest.raises(PeerError, match=f"peer {PASSIVE}: gave up: TaskError"):
        raise outcome[ACTIVE]


def test_folds_in_processes_of_their_own_find_the_same() -> None:
    spec = small_key_spec(evaluation={"folds": 3}, max_rounds=2)
    threads, processes = (
        train_all(TABLES, spec, LOW, secrets=SECRETS, isolated=isolated) for isolated in (False, True)
    )
    assert processes[ACTIVE].tested == threads[ACTIVE].tested
    ours, theirs = (report_of(trainings)["evaluation"]["folds"] for trainings in (threads, processes))
    assert [fold["rmse"] for fold in theirs] == pytest.approx([fold["rmse"] for fold in ours])
