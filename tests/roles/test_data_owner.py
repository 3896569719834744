"""Data owners: files go in and come out, bad ones stop at the door, applications are answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtxeth.chain import reverts
from dtxeth.chain.bindings.events import AuthorizationApplied, AuthorizationRejected, TaskPublished
from dtxeth.chain.bindings.types import Kind, Party, Proposal, TaskStatus
from dtxeth.errors import DataError, InputError, NotEnoughNodesError, PolicyError, TaskError, UnknownNameError
from dtxeth.learning.policy import Policy
from dtxeth.roles import LocalNetwork
from tests.roles.town import Town


def test_a_file_comes_back_bit_for_bit(town: Town, tmp_path: Path) -> None:
    owner, path = town.owner(), tmp_path / "notes.bin"
    path.write_bytes(bytes(range(256)) * 5000)
    done = []
    stored = owner.upload(path, "any", progress=lambda now, total: done.append((now, total)))
    assert (stored.name, stored.owner, stored.namespace) == ("notes.bin", owner.address, "any")
    assert 1_280_000 < stored.size < 1_281_000
    assert stored.rows == 0
    assert stored.expires_at - stored.published_at == pytest.approx(365 * 86_400, abs=10)
    assert done
    assert done[-1][0] == done[-1][1]
    assert owner.download(stored, tmp_path / "copy") == 1_280_000
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    assert owner.files() == [stored]


def test_the_rows_of_a_table_are_counted(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('id,note\n1,"two\nlines"\n\n2,b\n')
    assert town.owner().upload(path, "any").rows == 2


def test_files_belong_to_their_owner(town: Town, tmp_path: Path) -> None:
    one, other = town.owner(), town.owner()
    (tmp_path / "x").write_bytes(b"x")
    stored = one.upload(tmp_path / "x", "any")
    assert (one.file(stored), one.file(stored.id), other.files()) == (stored, stored, [])
    with pytest.raises(UnknownNameError, match="has no file"):
        other.file(stored)
    with pytest.raises(PolicyError, match="no current authorization"):
        other.download(stored, tmp_path / "y")
    assert not (tmp_path / "y").exists()


def test_an_unknown_namespace_is_named(town: Town, tmp_path: Path) -> None:
    owner = town.owner()
    owner.default_replicas = None
    owner.add_namespace("known", 2)
    before = town.block
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(UnknownNameError, match=r"'unknown' \(there are: known\)"):
        owner.upload(tmp_path / "x", "unknown")
    assert town.block == before


def test_a_namespace_exists_once(town: Town) -> None:
    owner = town.owner()
    owner.add_namespace("study")
    with pytest.raises(reverts.NamespaceExists):
        owner.add_namespace("study")


@pytest.mark.parametrize("days", [0, -1, 10**15])
def test_days_have_bounds(town: Town, tmp_path: Path, days: int) -> None:
    owner = town.owner()
    before = town.block
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(InputError, match=f"{days} days"):
        owner.upload(tmp_path / "x", "any", days=days)
    assert town.block == before


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "cannot be read"),
        (b"", "no header line"),
        (b"id,x\n", "no rows"),
        (b"id,x\n1,\xff\n", "not CSV in UTF-8"),
        (b'id,x\n1,"2\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_table_stops_at_the_door(
    town: Town, tmp_path: Path, content: bytes | None, wrong: str
) -> None:
    owner, path = town.owner(), tmp_path / "table.csv"
    before = town.block
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=wrong):
        owner.upload(path, "any")
    assert town.block == before


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("id,x,y\n1,2,0\n1,3,1\n", "'1' in row 2 is a duplicate"),
        ("key,x,y\n1,2,0\n2,3,1\n", "no id column 'id'"),
        ("id,x,z\n1,2,0\n2,3,1\n", "no label column 'y'"),
        ("id,x,y\n1,two,0\n2,3,1\n", "column 'x', row 1: 'two' is not a finite number"),
        ("id,x,y\n1,,0\n2,3,1\n", "column 'x', row 1: the value is missing"),
        ("id,x,y\n1,2,\n2,3,1\n", "column 'y', row 1: the value is missing"),
        ("id,x,y\n1,2,0\n2,3,1\n3,4,2\n", "must have two values"),
    ],
)
def test_a_table_is_checked_as_executors_will(town: Town, tmp_path: Path, content: str, wrong: str) -> None:
    owner, path = town.owner(), tmp_path / "table.csv"
    before = town.block
    path.write_text(content)
    with pytest.raises(DataError, match=wrong):
        owner.upload(path, "any", id="id", label="y", binary=True)
    assert town.block == before


def test_too_few_nodes_leave_the_chain_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with LocalNetwork(storage_nodes=1, executors=0) as network:
        owner = network.data_owner("owner")
        before = network.chain.block_number
        with pytest.raises(NotEnoughNodesError, match="1 usable storage nodes, 2 replicas"):
            owner.upload(tmp_path / "x", "new")
        assert network.chain.block_number == before
        assert network.storage_nodes[0].service.holdings() == []


def test_a_policy_admits(town: Town) -> None:
    lab = town.requester(starts=False)
    policy = Policy(requesters=frozenset({lab.address}), algorithms=frozenset({"logistic-vl"}))
    task = town.task(lab, town.files(town.owner(policy)))
    town.settle()
    assert task.status is TaskStatus.READY
    lab.cancel(task.task_id)


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        (Policy(requesters=frozenset()), "is not among the 0"),
        (Policy(algorithms=frozenset({"linear-vl"})), "algorithm logistic-vl is not allowed"),
        (Policy(max_tasks=0), "the owner allows 0"),
    ],
)
def test_a_policy_refuses(town: Town, policy: Policy, wrong: str) -> None:
    strict, lab = town.owner(policy), town.requester()
    task = town.task(lab, town.files(strict))
    with pytest.raises(TaskError, match=r"REJECTED.*did not authorise"):
        task.result()
    (refused,) = _rejections(town, strict.address)
    assert wrong in refused


def test_a_task_that_asks_somebody_else_is_refused(town: Town) -> None:
    """An application has to be for a task that names the applier and the file."""
    owner, stranger = town.owner(), town.requester()
    file, _ = town.files(owner)
    for task_id in (0, 10**6):
        stranger.contracts.file_authorization.apply_for(file.id, task_id, sender=stranger.account)
    town.settle()
    assert len(_rejections(town, owner.address)) == 2
    assert all("does not ask" in reason for reason in _rejections(town, owner.address))


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        (b"[[[", "cannot be used: the task spec is not a JSON object"),
        (
            b'{"algorithm":"linear-vl","id":"' + 300 * b"x" + b'","label":"y"}',
            "cannot be used: task setting id",
        ),
    ],
)
def test_an_unusable_spec_is_refused(town: Town, spec: bytes, wrong: str) -> None:
    owner, lab = town.owner(), town.requester()
    files = town.files(owner)
    now = town.network.chain.now()
    proposal = Proposal(
        kind=Kind.TRAIN,
        spec=spec,
        parties=tuple(
            Party(executor=executor.address, file_id=file.id, share_bps=5000)
            for executor, file in zip(town.network.executors, files, strict=True)
        ),
        confirm_by=now + 600,
        start_by=now + 700,
        finish_by=now + 800,
        model_task_id=0,
    )
    receipt = lab.contracts.task_registry.publish(proposal, sender=lab.account)
    task_id, careless = receipt.event(TaskPublished).task_id, town.network.executors[0]
    # an executor of ours rejects such a task; one that does not look applies
    lab.contracts.file_authorization.apply_for(files[0].id, task_id, sender=careless.account)
    town.settle()
    assert lab.task(task_id).status is TaskStatus.REJECTED
    (reason,) = _rejections(town, owner.address)
    assert wrong in reason
    assert len(reason.encode()) <= 256


def test_an_owner_answers_by_hand(town: Town) -> None:
    careful, lab = town.owner(manual=True), town.requester()
    files = town.files(careful)
    task = town.task(lab, files)
    with pytest.raises(TaskError, match="nobody in this network has anything left to do"):
        task.result()
    (applied,) = careful.applications()
    assert applied.task_id == task.task_id
    careful.reject(applied.authorization_id, "not this year")
    with pytest.raises(TaskError, match="REJECTED"):
        task.result()
    assert _rejections(town, careful.address) == ["not this year"]
    assert careful.applications() == []


def test_revoking_ends_reading(town: Town) -> None:
    careful, lab = town.owner(manual=True), town.requester(starts=False)
    files = town.files(careful)
    task = town.task(lab, files)
    town.settle()
    (applied,) = careful.applications()
    careful.approve(applied.authorization_id)
    executor = town.network.executors[0]
    file, _ = executor.open_file(files[0], task.task_id)
    assert file.read() == town.tables[0].read_bytes()
    careful.revoke(applied.authorization_id, "second thoughts")
    with pytest.raises(PolicyError, match="no current authorization"):
        executor.open_file(files[0], task.task_id)
    with pytest.raises(NotEnoughNodesError, match="no current authorization"):
        file.read()
    town.settle()
    assert task.status is TaskStatus.REJECTED


@pytest.mark.parametrize("manual", [False, True])
def test_floors_travel_with_the_key(town: Town, manual: bool) -> None:
    demanding = town.owner(Policy(min_rows=299, max_leverage=0.25), manual=manual)
    files, lab = town.files(demanding), town.requester(starts=False)
    task = town.task(lab, files)
    town.settle()
    for applied in demanding.applications():
        demanding.approve(applied.authorization_id)
    _, policy = town.network.executors[0].open_file(files[0], task.task_id)
    assert (policy.min_rows, policy.max_leverage) == (299, 0.25)
    lab.cancel(task.task_id)


def _rejections(town: Town, owner: str) -> list[str]:
    index = town.network.index
    index.sync()
    return [
        rejected.reason
        for applied in index.events(AuthorizationApplied, owner=owner)
        for rejected in index.events(AuthorizationRejected, authorization_id=applied.authorization_id)
    ]
