"""What can be armed, how it is counted, and how a wrong setting is refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from beatd.errors import BrokerUnavailable, DatabaseUnavailable, FieldError
from beatd.faultpoints import WORKER, arm, reach


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def test_nothing_is_armed_by_itself() -> None:
    reach("before-commit")


def test_a_fault_is_done_once_at_its_count() -> None:
    arm("after-commit:2=lose, before-publish=fail,after-commit:4=lose")
    reach("after-commit")
    with pytest.raises(DatabaseUnavailable, match="after-commit: lose"):
        reach("after-commit")
    reach("after-commit")
    with pytest.raises(DatabaseUnavailable):
        reach("after-commit")
    reach("after-commit")
    with pytest.raises(BrokerUnavailable):
        reach("before-publish", BrokerUnavailable)
    reach("before-publish", BrokerUnavailable)


def test_forked_processes_count_together() -> None:
    arm("after-claim:2", WORKER)
    ended = []
    for _ in range(3):
        child = os.fork()
        if not child:
            reach("after-claim")
            os._exit(0)
        ended.append(os.waitpid(child, 0)[1])
    assert [os.waitstatus_to_exitcode(status) for status in ended] == [0, -signal.SIGKILL, 0]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("nowhere", "NAME[:COUNT][=ACTION]"),
        ("after-commit:0", "NAME[:COUNT][=ACTION]"),
        ("after-commit:x=kill", "NAME[:COUNT][=ACTION]"),
        ("after-commit=explode", "what can be done at after-commit is kill, stop, lose"),
        ("before-commit=lose", "what can be done at before-commit is kill, stop, fail"),
        ("after-commit,before-claim", "'before-claim'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_armed(setting: str, told: str) -> None:
    with pytest.raises(FieldError) as refused:
        arm(setting)
    assert told in str(refused.value)
    reach("after-commit")
