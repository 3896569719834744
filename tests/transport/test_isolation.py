"""Parties in processes of their own: the same program, results and errors, and no silence when one dies."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dtxeth.errors import NodeError, PeerError, PolicyError, TaskError
from dtxeth.transport import Channel, memory_channels, run_in_process


def greet(channel: Channel, word: str, progress: Callable[..., None]) -> tuple[int, list[str]]:
    heard = []
    for peer in channel.peers:
        channel.send(peer, "word", word.encode())
    for number, peer in enumerate(channel.peers, start=1):
        heard.append(channel.recv(peer, "word").decode())
        progress(number, len(channel.peers), 0.5)
    assert channel.bytes_sent > 0
    return os.getpid(), heard


def fail(channel: Channel, progress: Callable[..., None]) -> None:
    channel.abort("NodeError")
    raise NodeError("node 1", "lied")


def die(channel: Channel, progress: Callable[..., None]) -> None:
    os._exit(3)


def wait(channel: Channel, progress: Callable[..., None]) -> bytes:
    return channel.recv(channel.peers[0], "word")


def consult(
    channel: Channel, progress: Callable[..., None], twice: Callable[[int], int], refuse: Callable[[], None]
) -> tuple[int, str]:
    try:
        refuse()
    except PolicyError as refusal:
        return twice(21), str(refusal)
    return 0, ""


def together(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    with ThreadPoolExecutor(2) as pool:
        futures = pool.submit(first), pool.submit(second)
        return tuple(future.exception(60) or future.result() for future in futures)


def test_two_processes_talk() -> None:
    channels = memory_channels("ab")
    channels["a"].send("b", "before", b"")
    channels["b"].recv("a", "before")
    seen: list[tuple[int, int, float]] = []
    a, b = together(
        lambda: run_in_process(greet, channels["a"], "hello", progress=lambda *event: seen.append(event)),
        lambda: run_in_process(greet, channels["b"], "bye"),
    )
    assert (a[1], b[1]) == (["bye"], ["hello"])
    assert len({a[0], b[0], os.getpid()}) == 3
    assert seen == [(1, 1, 0.5)]
    channels["a"].send("b", "more", b"after")  # the channels carry on where the programs left them
    assert channels["b"].recv("a", "more") == b"after"


def test_a_program_calls_back_and_hears_what_is_returned_or_raised() -> None:
    asked = []

    def twice(number: int) -> int:
        asked.append(os.getpid())
        return 2 * number

    def refuse() -> None:
        raise PolicyError("not these rows")

    answer = run_in_process(consult, memory_channels("ab")["a"], twice=twice, refuse=refuse)
    assert answer == (42, "not these rows")
    assert asked == [os.getpid()]


def test_errors_come_back_whole_and_reach_the_peer() -> None:
    channels = memory_channels("ab")
    a, b = together(lambda: run_in_process(fail, channels["a"]), lambda: run_in_process(wait, channels["b"]))
    assert isinstance(a, NodeError)
    assert (a.node, a.reason, str(a)) == ("node 1", "lied", "storage node node 1: lied")
    assert isinstance(b, PeerError)
    assert (b.peer, b.reason) == ("a", "gave up: NodeError")


def test_a_dead_process_fails_the_task_on_both_sides() -> None:
    channels = memory_channels("ab")
    a, b = together(lambda: run_in_process(die, channels["a"]), lambda: run_in_process(wait, channels["b"]))
    assert isinstance(a, TaskError)
    assert "the process of a ended with exit code 3" in str(a)
    assert isinstance(b, PeerError)
    assert b.reason == "gave up: its process ended"


def test_silence_ends_there_too() -> None:
    channels = memory_channels("ab", timeout=0.05)
    with pytest.raises(PeerError, match=r"peer b: sent no 'word' within 0\.05 s"):
        run_in_process(wait, channels["a"])
