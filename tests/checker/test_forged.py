"""Clean histories give no finding; each error that is forged into one is found, and called what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beatd.checker.check import Verdict, check
from beatd.checker.evidence import Claim, Evidence, Execution, Message, Run, Suppressed, Timer
from beatd.planning.task import run_id
from beatd.testing import Simulation
from tests.checker.histories import evidence_of, window
from tests.simulation.scripts import small

START = "2026-03-09T00:00:00Z"
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def told(simulation: Simulation) -> bool:
    """Where the clock was set back the versions that held then are not told; where no scheduler is there at
    the end, what is due waits for one.
    """
    world = simulation.world
    return not world.clock.set_back and not (world.outages and world.outages[-1][1] is None)


def wrong(verdict: Verdict) -> list[str]:
    return [f"{one.kind} {one.entry}: {one.text}" for one in verdict.findings if one.kind != "late"]


# Clean histories


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.floats(0, 1), st.floats(0, 1))
def test_clean_histories_give_no_finding_whole_or_in_part(random: Random, one: float, other: float) -> None:
    script = small(random)
    simulation = script.simulation()
    if not told(simulation):
        return
    whole = evidence_of(simulation, outside=True)
    part = [whole.since + (whole.until - whole.since) * share for share in sorted((one, other))]
    for evidence in (whole, window(whole, *part)):
        verdict = check(evidence)
        assert wrong(verdict) == [], repr(script)
        assert verdict.ok
        assert verdict.runs == len(evidence.runs)


def test_every_fire_of_a_clean_history_is_counted() -> None:
    evidence = history()
    verdict = check(evidence)
    assert wrong(verdict) == []
    assert verdict.lateness is not None
    assert verdict.fires > 200
    assert verdict.suppressed > 5
    assert verdict.fires - verdict.suppressed == sum(run.scheduled for run in evidence.runs)


# Forged ones


def history() -> Evidence:
    """Three days of a shell command, a plain task and others, with an outage, a pause and an edit in them."""
    simulation = Simulation(START)
    simulation.calendar("closed", dates="2026-03-10")
    simulation.add("shell", task="beatd.shell", args=["true"], cron="0 * * * *", duration="5s")
    simulation.add("plain", task="proj.task", cron="30 * * * *", duration="1m", jitter="5m", misfire="all")
    simulation.add("skips", task="proj.task", every="20m", overlap="skip", duration="50m", expires="2h")
    simulation.add("daily", task="proj.task", cron="0 12 * * *", calendar="closed")
    simulation.add("delayed", task="proj.task", every="1h", fixed_delay=True, duration="20m")
    simulation.add("few", task="proj.task", cron="15 * * * *", max_runs=5)
    simulation.outage("2026-03-09T20:00:30Z", "2026-03-09T22:40:00Z")
    simulation.pause("2026-03-10T03:10:00Z", "plain")
    simulation.resume("2026-03-10T06:10:00Z", "plain")
    simulation.pause_all("2026-03-11T01:10:00Z", until="2026-03-11T02:50:00Z")
    simulation.edit("2026-03-11T10:10:00Z", "shell", cron="10 * * * *")
    simulation.trigger("2026-03-11T11:00:00Z", "shell")
    simulation.run_until("2026-03-12T00:30:00Z")
    evidence = evidence_of(simulation, outside=True)
    return replace(evidence, runs=[replace(run, attempt=1) for run in evidence.runs])


def at_noon(evidence: Evidence, name: str, near: datetime = NOON) -> Run:
    """The first run of an entry from then on."""
    [entry_id] = [entry.id for entry in evidence.entries if entry.name == name]
    return min(
        (run for run in evidence.runs if run.entry_id == entry_id and run.fire_time >= near),
        key=lambda run: run.fire_time,
    )


def without(evidence: Evidence, gone: Run) -> Evidence:
    """As if the run had never been."""
    assert evidence.messages is not None
    assert evidence.executions is not None
    return replace(
        evidence,
        runs=[run for run in evidence.runs if run.id != gone.id],
        claims=[claim for claim in evidence.claims if claim.run_id != gone.id],
        messages=[message for message in evidence.messages if message.run_id != gone.id],
        executions=[execution for execution in evidence.executions if execution.run_id != gone.id],
    )


def changed(evidence: Evidence, run: Run, **values: object) -> Evidence:
    return replace(
        evidence,
        runs=[replace(one, **values) if one.id == run.id else one for one in evidence.runs],  # type: ignore[arg-type]
    )


def moved(evidence: Evidence, run: Run, by: timedelta) -> Evidence:
    """The run as it would be of another instant, id and all."""
    fire_time = run.fire_time + by
    id_ = run_id(evidence.installation, run.entry_id, fire_time, run.origin)
    return changed(
        without_outside(evidence, run), run, id=id_, fire_time=fire_time, due_time=run.due_time + by
    )


def without_outside(evidence: Evidence, run: Run) -> Evidence:
    kept = without(evidence, run)
    return replace(kept, runs=evidence.runs)


def with_run(evidence: Evidence, run: Run) -> Evidence:
    return replace(evidence, runs=[*evidence.runs, run])


def with_message(evidence: Evidence, run: Run, number: int = 1) -> Evidence:
    one = Message(run.id, "x", run.fire_time, run.published_at)
    return replace(evidence, messages=[*(evidence.messages or ()), *[one] * number])


def with_execution(evidence: Evidence, run: Run, after: timedelta = SECOND) -> Evidence:
    assert run.started_at is not None
    one = Execution(run.id, "x", run.fire_time, run.started_at + after, "w2", run.run_once)
    return replace(evidence, executions=[*(evidence.executions or ()), one])


def executed_at(evidence: Evidence, run: Run, at: datetime) -> Evidence:
    executions = [
        replace(one, started_at=at) if one.run_id == run.id else one for one in evidence.executions or ()
    ]
    return replace(evidence, executions=executions)


def claimed_at(evidence: Evidence, run: Run, at: datetime) -> Evidence:
    claims = [replace(one, claimed_at=at) if one.run_id == run.id else one for one in evidence.claims]
    return replace(evidence, claims=claims)


def second_of_one_fire(evidence: Evidence) -> Evidence:
    run = at_noon(evidence, "shell")
    return with_run(evidence, replace(run, id=run_id(evidence.installation, 99, run.fire_time, run.origin)))


def of_a_pause(evidence: Evidence) -> Evidence:
    run = at_noon(evidence, "plain")
    by = datetime(2026, 3, 10, 4, 30, tzinfo=UTC) - run.fire_time
    return moved(evidence, run, by)


def record_of(evidence: Evidence, reason: str) -> Suppressed:
    return next(one for one in evidence.suppressions if one.reason == reason)


def without_record(evidence: Evidence, reason: str) -> Evidence:
    gone = record_of(evidence, reason)
    return replace(evidence, suppressions=[one for one in evidence.suppressions if one is not gone])


def with_record(evidence: Evidence, record: Suppressed) -> Evidence:
    return replace(evidence, suppressions=[*evidence.suppressions, record])


def counted_and_run(evidence: Evidence) -> Evidence:
    run = at_noon(evidence, "plain")
    record = Suppressed(
        run.entry_id, run.version, "misfire", 1, True, run.fire_time, run.fire_time, run.recorded_at
    )
    return with_record(evidence, record)


def counts_too_many(evidence: Evidence) -> Evidence:
    record = record_of(evidence, "paused")
    return with_record(without_record(evidence, "paused"), replace(record, count=record.count + 1))


def strange_run(evidence: Evidence) -> Evidence:
    run = at_noon(evidence, "shell")
    return changed(without_outside(evidence, run), run, id="00000000-0000-5000-8000-000000000000")


def of_nobody(evidence: Evidence) -> Evidence:
    run = at_noon(evidence, "shell")
    id_ = run_id(evidence.installation, 77, run.fire_time, "schedule")
    return with_run(evidence, replace(run, id=id_, entry_id=77))


def timer_at(evidence: Evidence, name: str, at: datetime | None) -> Evidence:
    def shown(timer: Timer | None) -> Timer | None:
        return timer and replace(timer, next_due_at=at)

    entries = [replace(one, timer=shown(one.timer)) if one.name == name else one for one in evidence.entries]
    return replace(evidence, entries=entries)


def never_sent(evidence: Evidence) -> Evidence:
    run = at_noon(evidence, "plain")
    return changed(without_outside(evidence, run), run, state="published", started_at=None, finished_at=None)


FORGERIES: dict[str, tuple[str, str, Callable[[Evidence, Any], Evidence]]] = {
    # what it is called, whose run it is, how it is done
    "a run is lost": ("missed", "shell", without),
    "a run with jitter is lost": ("missed", "plain", without),
    "a run of a fixed delay is lost": ("missed", "delayed", without),
    "a record is lost": ("missed", "plain", lambda e, _: without_record(e, "paused")),
    "a record of an overlap is lost": ("missed", "skips", lambda e, _: without_record(e, "overlap")),
    "a record of a calendar is lost": ("missed", "daily", lambda e, _: without_record(e, "calendar")),
    "a record of a pause of everything is lost": (
        "missed",
        "shell",
        lambda e, _: without_record(e, "all paused"),
    ),
    "a message is lost": ("missed", "plain", lambda e, _: never_sent(e)),
    "a run is shifted": ("missed", "shell", lambda e, run: moved(e, run, SECOND)),
    "a run is of no fire": ("unexpected", "shell", lambda e, run: moved(e, run, SECOND)),
    "a run is of a rule that was edited": ("unexpected", "shell", lambda e, run: changed(e, run, version=2)),
    "a run is of a time that was paused": ("unexpected", "plain", lambda e, _: of_a_pause(e)),
    "a run is more than max_runs allows": (
        "unexpected",
        "few",
        lambda e, _: with_run(e, extra_run(e, "few")),
    ),
    "two runs of one fire": ("doubled", "shell", lambda e, _: second_of_one_fire(e)),
    "a fire is a run and counted": ("doubled", "plain", lambda e, _: counted_and_run(e)),
    "a record is there twice": (
        "doubled",
        "plain",
        lambda e, _: with_record(e, replace(record_of(e, "paused"))),
    ),
    "a record counts too many": ("unexpected", "plain", lambda e, _: counts_too_many(e)),
    "more messages than attempts": ("doubled", "shell", with_message),
    "a run-once run is executed twice": ("doubled", "shell", with_execution),
    "a plain run is executed twice for no reason": ("doubled", "plain", with_execution),
    "a claim after the expiry": (
        "expired-yet-executed",
        "shell",
        lambda e, run: claimed_at(e, run, run.expires_at),
    ),
    "an execution after the expiry": (
        "expired-yet-executed",
        "plain",
        lambda e, run: executed_at(e, run, run.expires_at + 10 * SECOND),
    ),
    "an execution long after a claim in time": (
        "expired-yet-executed",
        "shell",
        lambda e, run: executed_at(e, run, run.expires_at + 10 * SECOND),
    ),
    "a start after the expiry": (
        "expired-yet-executed",
        "plain",
        lambda e, run: changed(
            e, run, started_at=run.expires_at + 10 * SECOND, finished_at=run.expires_at + 20 * SECOND
        ),
    ),
    "a message of nothing": ("orphan", "shell", lambda e, run: with_message(without(e, run), run)),
    "an execution of nothing": ("orphan", "shell", lambda e, run: with_execution(without(e, run), run)),
    "a claim of nothing": (
        "orphan",
        "shell",
        lambda e, run: replace(e, claims=[*e.claims, Claim("nothing", "w", run.recorded_at)]),
    ),
    "an id that is not the run's": ("orphan", "shell", lambda e, _: strange_run(e)),
    "a run of no entry": ("orphan", "shell", lambda e, _: of_nobody(e)),
    "recorded late": (
        "late",
        "plain",
        lambda e, run: changed(
            e, run, recorded_at=run.due_time + 90 * SECOND, published_at=run.due_time + 91 * SECOND
        ),
    ),
    "published late": (
        "late",
        "plain",
        lambda e, run: changed(e, run, published_at=run.due_time + 90 * SECOND),
    ),
    "not published": (
        "late",
        "plain",
        lambda e, run: changed(
            without_outside(e, run),
            run,
            state="pending",
            published_at=None,
            started_at=None,
            finished_at=None,
            expires_at=None,
        ),
    ),
    "executed without a claim": (
        "state",
        "shell",
        lambda e, run: replace(e, claims=[one for one in e.claims if one.run_id != run.id]),
    ),
    "succeeded without an execution": (
        "state",
        "shell",
        lambda e, run: replace(e, executions=[x for x in e.executions or () if x.run_id != run.id]),
    ),
    "executed and pending for long": (
        "state",
        "plain",
        lambda e, run: changed(e, run, state="pending", started_at=None, finished_at=None),
    ),
    "executed and expired": ("state", "shell", lambda e, run: changed(e, run, state="expired")),
    "published and never closed": (
        "state",
        "plain",
        lambda e, run: changed(e, run, state="published", started_at=None, finished_at=None),
    ),
    "published, nothing tells when": (
        "state",
        "plain",
        lambda e, run: changed(e, run, state="published", published_at=None, finished_at=None),
    ),
    "ended, nothing tells when": ("state", "plain", lambda e, run: changed(e, run, finished_at=None)),
    "ended and leased": (
        "state",
        "plain",
        lambda e, run: changed(e, run, lease_until=run.due_time + HOUR),
    ),
    "ended before it started": (
        "state",
        "plain",
        lambda e, run: changed(e, run, finished_at=run.started_at - HOUR),
    ),
    "published before it was due": (
        "state",
        "plain",
        lambda e, run: changed(e, run, published_at=run.due_time - 10 * SECOND),
    ),
    "another due time": (
        "state",
        "plain",
        lambda e, run: changed(e, run, due_time=run.due_time + SECOND),
    ),
    "another expiry": (
        "state",
        "plain",
        lambda e, run: changed(e, run, expires_at=run.expires_at + SECOND),
    ),
    "a timer that shows another fire": ("state", "daily", lambda e, _: timer_at(e, "daily", e.now + HOUR)),
    "a timer that shows none": ("state", "daily", lambda e, _: timer_at(e, "daily", None)),
}


def extra_run(evidence: Evidence, name: str) -> Run:
    """One more than `max_runs` allows."""
    run = at_noon(evidence, name, NOON - timedelta(days=3))
    fire_time = run.fire_time + 30 * HOUR
    id_ = run_id(evidence.installation, run.entry_id, fire_time, run.origin)
    shift = fire_time - run.fire_time
    return replace(
        run,
        id=id_,
        fire_time=fire_time,
        due_time=fire_time,
        expires_at=run.expires_at and run.expires_at + shift,
        recorded_at=fire_time,
        published_at=None,
        state="revoked",
        started_at=None,
        finished_at=fire_time,
    )


@pytest.fixture(scope="module")
def clean() -> Evidence:
    evidence = history()
    assert wrong(check(evidence)) == []
    return evidence


@pytest.mark.parametrize("forgery", FORGERIES)
def test_each_error_is_found_and_called_what_it_is(clean: Evidence, forgery: str) -> None:
    kind, name, forge = FORGERIES[forgery]
    [entry_id] = [entry.id for entry in clean.entries if entry.name == name]
    near = NOON if any(r.entry_id == entry_id and r.fire_time >= NOON for r in clean.runs) else clean.since
    verdict = check(forge(clean, at_noon(clean, name, near)))
    kinds = {finding.kind for finding in verdict.findings}
    assert kind in kinds, verdict.findings
    assert verdict.ok == (kinds == {"late"})
    # a whole history is not in doubt for one error in it
    assert len(verdict.findings) < 20


def test_a_message_twice_is_explained_by_a_second_attempt(clean: Evidence) -> None:
    run = at_noon(clean, "plain")
    twice = with_execution(with_message(changed(clean, run, attempt=2), run), run)
    verdict = check(twice)
    assert wrong(verdict) == []
    assert verdict.duplicates_explained == check(clean).duplicates_explained + 2


def test_a_third_message_is_not(clean: Evidence) -> None:
    run = at_noon(clean, "plain")
    verdict = check(with_message(changed(clean, run, attempt=2), run, 2))
    assert [finding.kind for finding in verdict.findings if finding.run_id == run.id] == ["doubled"]


def test_what_retention_has_cut_is_not_judged(clean: Evidence) -> None:
    shell = next(entry for entry in clean.entries if entry.name == "shell")
    cut = replace(clean, runs=[r for r in clean.runs if r.entry_id != shell.id or r.fire_time >= NOON])
    assert check(cut).count("missed") > 10
    entries = [replace(e, judged_from=NOON - SECOND) if e is shell else e for e in clean.entries]
    messages = [m for m in clean.messages or () if m.run_id in {run.id for run in cut.runs}]
    executions = [x for x in clean.executions or () if x.run_id in {run.id for run in cut.runs}]
    claims = [one for one in clean.claims if one.run_id in {run.id for run in cut.runs}]
    kept = replace(cut, entries=entries, messages=messages, executions=executions, claims=claims)
    assert wrong(check(kept)) == []
