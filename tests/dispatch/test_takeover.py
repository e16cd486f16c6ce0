"""Nodes of this host that died are seen at once; nodes that live, or live elsewhere, are left alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from beatd.dispatch.takeover import is_alive, release_dead, this_process
from beatd.store import nodes
from beatd.store.engine import Database
from beatd.store.nodes import Process
from tests.dispatch.turned import NODE, OTHER, Turned, settle


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def process_of(child: subprocess.Popen[bytes]) -> Process:
    here = this_process()
    stat = Path(f"/proc/{child.pid}/stat").read_text()
    return replace(here, pid=child.pid, pid_started=int(stat.rpartition(")")[2].split()[19]))


def join(turned: Turned, node: str, process: Process) -> None:
    with turned.database.write() as connection:
        nodes.register(connection, node, "node", process, "0.1.0", turned.now(), "")


def test_a_process_is_told_from_a_later_one_with_its_number(child: subprocess.Popen[bytes]) -> None:
    process = process_of(child)
    assert is_alive(process)
    assert not is_alive(replace(process, pid_started=process.pid_started - 1))
    child.kill()
    child.wait()
    assert not is_alive(process)


def test_the_outbox_of_a_dead_node_is_free_at_once(turned: Turned, child: subprocess.Popen[bytes]) -> None:
    turned.add("a", every="1h", expires="never")
    dead = turned.dispatcher(OTHER)
    settle(dead)
    turned.turn(hours=1)
    settle(dead)
    join(turned, OTHER, process_of(child))
    assert release_dead(turned.database, this_process()) == 0
    assert turned.dispatcher(NODE).take_over().taken_over == 0, "it lives, and its lease holds"
    child.kill()
    child.wait()
    assert release_dead(turned.database, this_process()) == 1
    assert turned.dispatcher(NODE).take_over().taken_over == 1
    assert turned.rows("SELECT id FROM nodes") == []


def test_nodes_of_other_hosts_and_other_boots_are_left_to_their_leases(
    turned: Turned, child: subprocess.Popen[bytes]
) -> None:
    process = process_of(child)
    child.kill()
    child.wait()
    join(turned, NODE, replace(process, host="elsewhere"))
    join(turned, OTHER, replace(process, boot_id="another-boot/pid:[1]"))
    assert release_dead(turned.database, this_process()) == 0
    assert len(turned.rows("SELECT id FROM nodes")) == 2
