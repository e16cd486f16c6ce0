"""A few histories of the simulation, that they replay exactly, and that planted bugs are found."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos.history import play
from tests.chaos.planted import BUGS, planted


@pytest.mark.parametrize("first", [0, 6])
def test_nodes_keep_their_promises_whatever_fails(first: int) -> None:
    for seed in range(first, first + 4):
        told = play(seed)
        assert not told.violations, f"seed {seed}"
        assert told.fires >= 500
        assert told.faults.total() >= 20


def test_a_seed_replays_exactly() -> None:
    program = "from tests.chaos.__main__ import main; main(['--seeds', '1', '--first', '7', '--trace'])"
    traces = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert len(traces[0].splitlines()) > 500
    assert traces[0] == traces[1]


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    with planted(bug):
        assert any(play(seed).violations for seed in range(20))
