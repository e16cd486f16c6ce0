"""The fault suite in its short form: a few seconds of a fixed seed. `make faults` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.injectors import INJECTORS
from tests.faults.suite.drive import Options, drive
from tests.faults.suite.report import table


@pytest.mark.timeout(300)
def test_nothing_is_missed_and_nothing_doubled_while_nodes_and_workers_die(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    options = Options(
        pair="servers",
        seed=3,
        seconds=12,
        rate=60,
        worked=16,
        faults="kill-9-node,sigstop-node,kill-9-worker",
        nodes=2,
        workers=1,
        folder=tmp_path,
        log_level="info",
        command="make faults",
        first=1.0,
    )
    result = drive(options, INJECTORS, say=print)
    told = "\n".join([table(result), *result.first_findings(5, tmp_path)])
    print(told)
    assert result.faults, "no fault was injected"
    assert result.judgement.counts["executions"], "no worker ran anything"
    assert result.ok, told
