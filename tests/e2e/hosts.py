"""Hosts on one machine: network namespaces with addresses of their own, on an Ethernet switch that can misbehave.

Each host has a TAP device whose other end is here; a thread carries frames from one to the other. So packets are lost
and links are cut without any help of the kernel's (netem and packet filters are often missing in containers).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

NETWORK = "10.213.77"
OUTSIDE = "outside"

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_MTU = 1500


class Hosts:
    """A switch and the hosts on it.

    Attributes:
        loss: Part of the packets that is lost.
        carried: Packets that were not.
        lost: Packets that were.
    """

    def __init__(self, names: list[str], seed: int = 7) -> None:
        self.loss, self.carried, self.lost = 0.0, 0, 0
        self._names = [*names, OUTSIDE]
        self._random = random.Random(seed)
        self._cut: set[frozenset[str]] = set()
        self._ports: dict[int, str] = {}
        self._made: list[str] = []
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="switch")

    def address(self, name: str) -> str:
        """Address of a host; of this process, ``outside``."""
        return f"{NETWORK}.{self._names.index(name) + 1}"

    def command(self, name: str, *command: str | Path) -> list[str]:
        """A command, to be run on a host."""
        return ["ip", "netns", "exec", self._space(name), *map(str, command)]

    def cut(self, a: str, b: str) -> None:
        """Let nothing pass between two hosts; neither is told."""
        self._cut.add(frozenset((a, b)))

    def mend(self) -> None:
        """Let everything pass again."""
        self._cut.clear()
        self.loss = 0.0

    def open(self) -> None:
        """Make everything.

        Raises:
            OSError, CalledProcessError: It is not allowed here.
        """
        for name in self._names:
            device = f"dtx{os.getpid() % 10000}{self._names.index(name)}"
            port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            self._ports[port] = name
            fcntl.ioctl(port, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TAP | _IFF_NO_PI))
            if name == OUTSIDE:
                _ip("addr", "add", f"{self.address(name)}/24", "dev", device)
                _ip("link", "set", device, "up")
                continue
            _ip("netns", "add", self._space(name))
            self._made.append(self._space(name))
            _ip("link", "set", device, "netns", self._space(name))
            inside = ("-n", self._space(name))
            _ip(*inside, "link", "set", "lo", "up")
            _ip(*inside, "addr", "add", f"{self.address(name)}/24", "dev", device)
            _ip(*inside, "link", "set", device, "up")
        self._thread.start()

    def close(self) -> None:
        """Remove everything."""
        if self._thread.is_alive():
            os.write(self._waker, b".")
            self._thread.join()
        for port in (*self._ports, self._wake, self._waker):
            os.close(port)
        for space in self._made:
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)

    def _space(self, name: str) -> str:
        return f"dtx-{os.getpid()}-{name}"

    def _carry(self) -> None:
        places: dict[bytes, int] = {}
        while True:
            ready, _, _ = select.select([self._wake, *self._ports], [], [])
            if self._wake in ready:
                return
            for port in ready:
                with contextlib.suppress(OSError):
                    frame = os.read(port, _MTU + 64)
                    places[frame[6:12]] = port
                    known = places.get(frame[:6])
                    for other in self._ports if known is None else [known]:
                        if other != port:
                            self._pass(frame, port, other)

    def _pass(self, frame: bytes, source: int, target: int) -> None:
        if frozenset((self._ports[source], self._ports[target])) in self._cut:
            return
        if self._random.random() < self.loss:
            self.lost += 1
            return
        with contextlib.suppress(OSError):  # the host's queue is full, or it is down
            os.write(target, frame)
            self.carried += 1


@contextlib.contextmanager
def hosts(*names: str) -> Iterator[Hosts]:
    """Hosts of these names; skips the test where they cannot be made."""
    made = Hosts(list(names))
    try:
        made.open()
    except (OSError, subprocess.CalledProcessError) as error:
        made.close()
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        pytest.skip(f"network namespaces or TAP devices are not allowed here: {reason}")
    try:
        yield made
    finally:
        made.close()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
