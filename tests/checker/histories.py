"""Histories to judge: those of simulated worlds, with the messages and executions that belong to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from beatd.checker import evidence as told
from beatd.checker.evidence import Evidence
from beatd.planning.world import Entry, Run
from beatd.testing import Simulation
from beatd.testing.simulation import _INSTALLATION as INSTALLATION

#: By then the node has done what was due.
SETTLED = timedelta(minutes=5)


def evidence_of(simulation: Simulation, *, outside: bool = False) -> Evidence:
    """The whole of a simulated world. `outside`: with what its broker and its workers would have seen."""
    world = simulation.world
    start = min((entry.created_at for entry in world.entries), default=world.clock.now)
    runs = [run for entry in world.entries for run in entry.runs]
    return Evidence(
        since=start - timedelta(seconds=1),
        until=world.clock.now - SETTLED,
        now=world.clock.now,
        entries=[_entry(entry) for entry in world.entries],
        runs=[_run(run) for run in runs],
        suppressions=[
            told.Suppressed(
                entry.id, one.version, one.reason, one.count, one.exact, one.first, one.last, one.recorded_at
            )
            for entry in world.entries
            for one in entry.suppressed
        ],
        pauses=[told.Pause(pause.since, pause.until, pause.reason) for pause in world.pauses],
        claims=_claims(runs) if outside else (),
        messages=[
            told.Message(run.id, run.entry, run.fire_time, run.published_at)
            for run in runs
            if run.published_at
        ]
        if outside
        else None,
        executions=[
            told.Execution(
                run.id, run.entry, run.fire_time, run.started_at, "w1", run_once=run.definition.run_once
            )
            for run in runs
            if run.started_at
        ]
        if outside
        else None,
        installation=INSTALLATION,
    )


def _entry(entry: Entry) -> told.Entry:
    versions = tuple(told.Version(one.version, one.since, one.definition) for one in entry.versions)
    timer = told.Timer(entry.planned_from, entry.planned_version, entry.next_due, entry.state)
    return told.Entry(entry.id, entry.name, versions, timer)


def _run(run: Run) -> told.Run:
    return told.Run(
        id=run.id,
        entry_id=run.entry_id,
        version=run.version,
        origin=run.origin,
        fire_time=run.fire_time,
        due_time=run.due_time,
        expires_at=run.expires_at,
        state=run.state,
        recorded_at=run.recorded_at,
        published_at=run.published_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        attempt=max(run.starts, 1),
        run_once=run.definition.run_once,
        reason=run.reason,
        lease_until=run.lease_until if run.state == "pending" else None,
    )


def _claims(runs: list[Run]) -> list[told.Claim]:
    return [
        told.Claim(run.id, "w1", run.started_at, run.finished_at)
        for run in runs
        if run.started_at and run.definition.run_once
    ]


def window(evidence: Evidence, since: datetime, until: datetime) -> Evidence:
    """What a look at a part of a history sees of it: the rules that held there, and the timers of later."""
    runs = [run for run in evidence.runs if since < run.fire_time <= until]
    ids = {run.id for run in runs}
    return replace(
        evidence,
        since=since,
        until=until,
        entries=[_in_window(entry, evidence, since) for entry in evidence.entries],
        runs=runs,
        suppressions=[one for one in evidence.suppressions if one.last > since and one.first <= until],
        claims=[claim for claim in evidence.claims if claim.run_id in ids],
    )


def _in_window(entry: told.Entry, evidence: Evidence, since: datetime) -> told.Entry:
    before = [one for one in evidence.runs if one.entry_id == entry.id and one.fire_time <= since]
    return replace(entry, made_before=sum(run.scheduled for run in before))
