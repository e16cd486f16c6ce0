"""The service manager's protocol, over a real datagram socket."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from pathlib import Path

import pytest

from beatd.systemd import Notifier, writes_to_journal


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """(what a service manager receives on, the NOTIFY_SOCKET that names it)"""
    address = str(tmp_path / "notify") if request.param == "path" else f"@beatd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0", 1) if request.param == "abstract" else address)
        receiver.settimeout(5)
        yield receiver, address


def test_each_state_is_one_datagram(manager):
    receiver, address = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    for send, expected in [
        (lambda: notifier.ready("7 entries"), "READY=1\nSTATUS=7 entries"),
        (lambda: notifier.status("waiting for\n the database"), "STATUS=waiting for the database"),
        (notifier.watchdog, "WATCHDOG=1"),
        (notifier.stopping, "STOPPING=1"),
    ]:
        send()
        assert receiver.recv(4096).decode() == expected


def test_reloading_carries_the_monotonic_time(manager):
    receiver, address = manager
    before = time.monotonic_ns() // 1000
    Notifier.from_environment({"NOTIFY_SOCKET": address}).reloading()
    found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", receiver.recv(4096).decode())
    assert found
    assert before <= int(found[1]) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_manager_nothing_is_sent(environ):
    notifier = Notifier.from_environment({**environ, "WATCHDOG_USEC": "1000000"})
    assert notifier == Notifier(None, None)
    notifier.ready("x")
    notifier.watchdog()


def test_a_manager_that_is_gone_does_not_stop_the_daemon(tmp_path):
    Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")


def test_a_manager_that_hangs_does_not_stop_the_daemon(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        notifier = Notifier(str(tmp_path / "deaf"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.sendto(b"x", str(tmp_path / "deaf"))
        start = time.monotonic()
        notifier.watchdog()
        assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_interval(environ, seconds):
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": "/run/x", **environ})
    assert notifier.watchdog_interval == seconds


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path):
    with (tmp_path / "log").open("w") as stream:
        found = os.fstat(stream.fileno())
        assert writes_to_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not writes_to_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not writes_to_journal(stream, {})
