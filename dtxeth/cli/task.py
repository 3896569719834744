"""``dtxeth task``: train, predict, follow, cancel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from dtxeth.chain.bindings.types import TaskStatus
from dtxeth.chain.rows import TaskRow
from dtxeth.cli.context import DEFAULT_HOME, As, Home, Json, opened
from dtxeth.cli.output import require_folder, show_record, show_rows
from dtxeth.cli.progress import followed
from dtxeth.cli.tables import (
    Before,
    OfFile,
    Paging,
    Since,
    ether,
    namer,
    paged,
    show_page,
)
from dtxeth.cli.task_estimate import show_estimate
from dtxeth.cli.task_report import report
from dtxeth.cli.task_settings import task_settings
from dtxeth.errors import ConfigError
from dtxeth.learning import TaskSpec
from dtxeth.roles import Deadlines, MemberNetwork, Task, TrainedModel, listing
from dtxeth.roles.requester import DAY

app = typer.Typer(
    name="task", no_args_is_help=True, help="Tasks: train, predict, wait, list, show, cancel, time out."
)

app.command()(report)

Number = Annotated[int, typer.Argument(help="Number of the task.")]
Files = Annotated[list[str], typer.Option("--file", help="File id; once for each party.")]
Reward = Annotated[int, typer.Option(help="Wei to lock in escrow for the executors.")]
ConfirmWithin = Annotated[int, typer.Option(help="Seconds for owners to authorise and executors to confirm.")]
StartWithin = Annotated[int, typer.Option(help="Seconds to start the task then.")]
FinishWithin = Annotated[int, typer.Option(help="Seconds for the executors to report then.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Publish only; `dtxeth task wait` goes on.")]


@app.command()
def train(
    algorithm: Annotated[str, typer.Argument(help="linear-vl, logistic-vl or dnn-vl.")],
    file: Files,
    requester: As,
    id: Annotated[str, typer.Option(help="Column of row ids, in every file.")],
    label: Annotated[str, typer.Option(help="Column to learn, in exactly one file.")],
    executor: Annotated[
        list[str] | None,
        typer.Option(help="Name of an executor, once for each file; default those registered first."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Further setting KEY=VALUE, such as max_rounds=30, l2=0.1, batch_size=512."
        ),
    ] = None,
    evaluate: Annotated[
        str | None,
        typer.Option(help="folds:5, split:0.2 (share to test) or leave-one-out; see `task report`."),
    ] = None,
    live: Annotated[
        int | None, typer.Option(help="Evaluate on held-out rows every so many rounds; keep the best round.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="With --live: stop after so many evaluations that are no better.")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(help="Fill missing values with the mean, median or most-frequent one.")
    ] = None,
    categorical: Annotated[
        str | None, typer.Option(help="one-hot: take columns of words, a feature for each category.")
    ] = None,
    class_weight: Annotated[
        str | None,
        typer.Option(help="Rows of the first class that one of the second counts as; or balanced."),
    ] = None,
    warm_start: Annotated[
        int | None, typer.Option(help="Start from the model of this training task.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Publish nothing; estimate time, bytes and leakage.")
    ] = False,
    features: Annotated[
        list[int] | None,
        typer.Option(help="With --dry-run: features of each file, once a file, the label's first."),
    ] = None,
    reward: Reward = 0,
    confirm_within: ConfirmWithin = DAY,
    start_within: StartWithin = DAY,
    finish_within: FinishWithin = DAY,
    no_wait: NoWait = False,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Publish a training task and wait for the model; its parts stay with the executors."""
    settings = task_settings(
        setting or (), evaluate, live, patience, missing, categorical, class_weight, warm_start
    )
    if dry_run != (features is not None):
        raise ConfigError("--dry-run and --features go together: say how many features each file has")
    with opened(home) as network:
        if features is not None:
            spec = TaskSpec(algorithm=algorithm, id=id, label=label, **settings)
            show_estimate(network, spec, file, features, json)
            return
        executors = (
            None if executor is None else [network.node_named(name, "executor").address for name in executor]
        )
        task = network.requester(requester).train(
            algorithm,
            files=file,
            id=id,
            label=label,
            executors=executors,
            reward=reward,
            deadlines=Deadlines(confirm_within, start_within, finish_within),
            **settings,
        )
        _finish(network, task, no_wait, json)


@app.command()
def predict(
    model: Annotated[int, typer.Argument(help="Number of the training task.")],
    file: Files,
    requester: As,
    out: Annotated[Path | None, typer.Option(help="Write the predictions to this CSV file.")] = None,
    reward: Reward = 0,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Publish a prediction task and fetch its result."""
    if out is not None:
        require_folder(out)
    with opened(home) as network:
        lab = network.requester(requester)
        with followed(network):
            table = lab.predict(lab.model(model), files=file, reward=reward).result()
        if out is not None:
            table.to_csv(out, index=False)
            show_record({"rows": len(table), "path": str(out)}, as_json=json)
        else:
            _show_predictions(table, json)


@app.command()
def wait(number: Number, requester: As, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Wait for a task published earlier."""
    with opened(home) as network:
        _finish(network, network.requester(requester).task(number), False, json)


@app.command("list")
@paged
def list_(
    page: Paging,
    requester: Annotated[str | None, typer.Option(help="Only of this requester: name or address.")] = None,
    executor: Annotated[str | None, typer.Option(help="Only with this executor: name or address.")] = None,
    file: OfFile = None,
    status: Annotated[
        str | None,
        typer.Option(
            help="confirming, ready, to_process, processing, finished, failed, rejected, cancelled or timed_out."
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only train or predict.")] = None,
    overdue: Annotated[
        bool | None, typer.Option("--overdue/--in-time", help="Only those whose deadline passed, or not.")
    ] = None,
    since: Since = None,
    before: Before = None,
) -> None:
    """List tasks; --since and --before ask when they were published."""
    with opened(page.home) as network:
        named = namer(network)
        show_page(
            network,
            page,
            TaskRow,
            {
                "task": "task",
                "kind": "kind",
                "algorithm": listing.algorithm,
                "status": "status",
                "requester": lambda row: named(row.requester),
                "reward": lambda row: ether(row.reward),
                "published_at": "published_at",
            },
            extra={"algorithm": listing.algorithm},
            empty="no tasks yet: publish one with `dtxeth task train`",
            requester=requester,
            executor=executor,
            file=file,
            status=status,
            kind=kind,
            overdue=overdue,
            published_since=since,
            published_before=before,
        )


@app.command()
def show(number: Number, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show one task: status, spec, parties, result."""
    with opened(home) as network:
        show_record(listing.task(network, number), as_json=json)


@app.command()
def cancel(number: Number, requester: As, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Withdraw a task that has not started; the reward comes back."""
    with opened(home) as network:
        lab = network.requester(requester)
        lab.cancel(number)
        show_record({"task": number, "status": "cancelled", "refunded": lab.withdraw()}, as_json=json)


@app.command("time-out")
def time_out(number: Number, requester: As, home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """End a task that missed a deadline; the reward comes back."""
    with opened(home) as network:
        lab = network.requester(requester)
        lab.time_out(number)
        show_record({"task": number, "status": "timed_out", "refunded": lab.withdraw()}, as_json=json)


def _finish(network: MemberNetwork, task: Task[Any], no_wait: bool, as_json: bool) -> None:
    if no_wait:
        show_record({"task": task.task_id, "status": task.status.name.lower()}, as_json=as_json)
        return
    with followed(network):
        result = task.result()
    if isinstance(result, TrainedModel):
        status = TaskStatus.FINISHED.name.lower()
        show_record({"task": task.task_id, "status": status} | result.report, as_json=as_json)
    else:
        _show_predictions(result, as_json)


def _show_predictions(table: pd.DataFrame, as_json: bool) -> None:
    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    show_rows(rows, as_json=as_json, empty="the files have no id in common")
