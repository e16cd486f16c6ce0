from __future__ import annotations
from collections.abc import Callable
from tests.store.recording import record
from tests.worker.conftest import Bench, Worker, both_brokers

@both_brokers
def test_a_command_runs_and_is_reported(bench: Bench, start_worker: Callable[..., Worker]) -> None:
    w = start_worker()
    run_id = bench.publish("beatd.shell", "echo $BEATD_ENTRY $BEATD_FIRE_TIME", run_id=record(bench.database))
    r = bench.wait_for(run_id, "succeeded")
    print(r, bench.reports)
    print(w.text())
    assert r.result == "exit status 0\nnightly 2026-03-29T01:00:00+00:00\n"
    assert bench.states(run_id) == ["started", "succeeded"]
    assert w.stop() == 0
