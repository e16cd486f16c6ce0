"""Why an entry did or did not run: a story each of what is on record, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from beatd.planning.definition import Definition, parse_definition
from beatd.planning.explain import (
    Explanation,
    Fire,
    Records,
    Version,
    explain_fire,
    explain_next,
    explain_quiet,
    explain_run,
    fires_between,
)
from beatd.planning.timing import Surroundings
from beatd.schedules import parse_date_set

UTC_ZONE = ZoneInfo("UTC")
CREATED = datetime(2026, 3, 1, tzinfo=UTC)
CALENDARS = Surroundings(calendars={"holidays": parse_date_set("2026-03-10")})
TICK = timedelta(microseconds=1)


def at(text: str) -> datetime:
    """`10 03:00` in March 2026, with seconds if given."""
    day, _, time = text.partition(" ")
    return datetime.fromisoformat(f"2026-03-{day}T{time}").replace(tzinfo=UTC)


def entry(**columns: Any) -> Definition:
    """At three every night, unless another rule is given."""
    given = {"name": "backup", "task": "proj.backup", **columns}
    if not {"cron", "every", "at"} & set(given):
        given["cron"] = "0 3 * * *"
    return parse_definition(given, created_at=CREATED, surroundings=CALENDARS)


def version(number: int = 1, since: str | datetime = CREATED, **columns: Any) -> Version:
    start = since if isinstance(since, datetime) else at(since)
    enabled = columns.get("enabled", True)
    note = columns.pop("pause_note", None)
    return Version(number, start, entry(**columns), enabled=enabled, note=note, who="anna", door="cli")


FIRED, EXPIRY, NEXT_FIRE = at("10 03:00"), at("10 09:00"), at("11 03:00")
RECORDED, COUNTED = at("10 03:00:00.040"), at("10 03:00:00.050")
PUBLISHED, STARTED, ENDED = at("10 03:00:00.090"), at("10 03:00:01"), at("10 03:05:01")
HEARD, NOW = at("10 11:59:58"), at("10 12:00")


@dataclass(frozen=True)
class Run:
    """One that went well, unless said otherwise."""

    fire_time: datetime = FIRED
    state: str = "succeeded"
    id: str = "1a2b3c4d-0000-5000-8000-000000000000"
    version: int = 1
    origin: str = "schedule"
    due_time: datetime = FIRED
    expires_at: datetime | None = EXPIRY
    reason: str | None = None
    recorded_at: datetime = RECORDED
    published_at: datetime | None = PUBLISHED
    started_at: datetime | None = STARTED
    finished_at: datetime | None = ENDED
    worker: str | None = "w1@host"
    attempt: int = 1
    retries: int = 0
    result: str | None = "exit status 0\n12 files"
    error: str | None = None


@dataclass(frozen=True)
class Suppressed:
    reason: str
    first_fire_at: datetime = FIRED
    last_fire_at: datetime = FIRED
    count: int = 1
    exact: bool = True
    version: int = 1
    recorded_at: datetime = COUNTED


@dataclass(frozen=True)
class Timer:
    planned_from: datetime = NOW
    planned_version: int = 1
    state: str = "active"
    error: str | None = None
    next_fire_at: datetime | None = NEXT_FIRE
    next_due_at: datetime | None = NEXT_FIRE
    runs_made: int = 0


@dataclass(frozen=True)
class Pause:
    since: datetime
    until: datetime | None = None
    note: str | None = "fire drill"
    who: str | None = "bert"


@dataclass(frozen=True)
class Node:
    name: str = "node-1"
    heartbeat_at: datetime = HEARD
    status: str = "running"
    shadow: bool = False


def records(*versions: Version, now: str = "10 12:00", **known: Any) -> Records:
    given = {"timer": Timer(), "alive": [Node()], **known}
    return Records("backup", at(now), UTC_ZONE, versions or (version(),), **given)


def fire(known: Records, when: str = "10 03:00") -> Fire:
    return next(fires_between(known, at(when), at(when) + TICK))


def said(explanation: Explanation) -> list[str]:
    """`03:00:00 text`, without the time what has none."""
    return [
        f"{statement.at:%H:%M:%S} {statement.text}" if statement.at else statement.text
        for statement in explanation.statements
    ]


def commands(explanation: Explanation) -> list[str]:
    return [advice.command for advice in explanation.advice]


# What became of a run

WAITING = {"published_at": None, "started_at": None, "finished_at": None, "worker": None, "result": None}
CLOSED = WAITING | {"finished_at": at("10 03:00:02")}
UNSTARTED = {"started_at": None, "worker": None, "result": None}

RUNS: list[tuple[Run, str, str, list[str], list[str]]] = [
    (
        Run(),
        "succeeded",
        "it ran, and succeeded",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "03:00:00 published, 90ms after it was due",
            "03:00:01 started on w1@host",
            "03:05:01 succeeded after 5m: 12 files",
        ],
        ["runs show 1a2b3c4d"],
    ),
    (
        Run(state="failed", result=None, error="exit status 3\ndisk full", retries=2),
        "failed",
        "it ran, and failed",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "03:00:00 published, 90ms after it was due",
            "03:00:01 started on w1@host, after 2 retries",
            "03:05:01 failed after 5m: exit status 3: disk full",
        ],
        ["runs show 1a2b3c4d", "entry trigger backup --wait"],
    ),
    (
        Run(state="failed", **CLOSED, reason="not published", error="404"),
        "failed",
        "its run failed before it started: not published",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "03:00:02 failed: 404",
        ],
        ["runs show 1a2b3c4d", "entry trigger backup --wait"],
    ),
    (
        Run(state="pending", **WAITING),
        "waiting",
        "its run is recorded, and not published yet",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "it waits in the outbox for a scheduler to publish it",
            "09:00:00 its expiry has come: it counts as expired soon",
        ],
        ["status"],
    ),
    (
        Run(state="pending", **WAITING, error="connection refused\n(more)", expires_at=None),
        "waiting",
        "its run is recorded, and not published yet",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "the broker did not take it: connection refused",
            "it never expires",
        ],
        ["status"],
    ),
    (
        Run(state="published", **UNSTARTED, finished_at=None, expires_at=at("10 15:00"), attempt=3),
        "waiting",
        "its run is published, and no worker has begun it",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "03:00:00 published, 90ms after it was due, at attempt 3",
            "15:00:00 it expires",
        ],
        ["doctor"],
    ),
    (
        Run(state="started", finished_at=None, result=None),
        "running",
        "its run is under way",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "03:00:00 published, 90ms after it was due",
            "03:00:01 started on w1@host",
            "it has been under way for 8h 59m",
        ],
        ["runs show 1a2b3c4d"],
    ),
    (
        Run(state="held", **WAITING, expires_at=at("10 15:00")),
        "waiting",
        "its run is held back until an earlier one has ended",
        ["03:00:00 fire time", "03:00:00 recorded, 40ms after it was due", "15:00:00 it expires"],
        ["runs list --entry backup"],
    ),
    (
        Run(
            state="expired",
            **UNSTARTED,
            finished_at=at("10 09:01:05"),
            reason="no worker started it before its expiry",
        ),
        "expired",
        "its run expired before a worker began it",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "03:00:00 published, 90ms after it was due",
            "09:00:00 its expiry (expires = 6h)",
            "09:01:05 expired: no worker started it before its expiry",
        ],
        ["runs show 1a2b3c4d", "status", "entry set backup --expires 6h", "entry trigger backup --wait"],
    ),
    (
        Run(state="lost", finished_at=at("10 04:00"), reason="its worker vanished", result=None),
        "lost",
        "its run was lost: its worker vanished",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "03:00:00 published, 90ms after it was due",
            "03:00:01 started on w1@host",
            "04:00:00 lost: its worker vanished",
        ],
        ["runs show 1a2b3c4d", "entry trigger backup --wait"],
    ),
    (
        Run(state="revoked", **CLOSED, reason="superseded by a newer run"),
        "revoked",
        "its run was revoked: superseded by a newer run",
        [
            "03:00:00 fire time",
            "03:00:00 recorded, 40ms after it was due",
            "03:00:02 revoked: superseded by a newer run",
        ],
        ["runs show 1a2b3c4d", "entry trigger backup --wait"],
    ),
]


@pytest.mark.parametrize(("run", "verdict", "headline", "statements", "advice"), RUNS)
def test_what_became_of_a_run(
    run: Run, verdict: str, headline: str, statements: list[str], advice: list[str]
) -> None:
    known = records(version(expires="6h"))
    explanation = explain_fire(known, fire(known), [run], [])
    assert (explanation.verdict, explanation.headline) == (verdict, headline)
    assert (explanation.fire_time, explanation.run) == (run.fire_time, run.id)
    assert said(explanation) == statements
    assert commands(explanation) == advice


def test_a_missed_fire_that_was_made_up_says_so() -> None:
    known = records()
    late = replace(Run(), recorded_at=at("10 08:00"), published_at=None, started_at=None, finished_at=None)
    assert said(explain_fire(known, fire(known), [late], []))[1] == (
        "08:00:00 recorded, 5h after it was due: a missed fire that is made up (misfire = latest)"
    )


def test_a_run_of_an_older_version_says_so() -> None:
    known = records(version(), version(2, "10 05:00", cron="0 4 * * *"))
    explanation = explain_fire(known, fire(known), [Run()], [])
    assert said(explanation)[-1] == "recorded with version 1 of the entry; it is at 2 now"


def test_jitter_and_daylight_saving_are_remarked_on() -> None:
    night = version(cron="30 2 * * *", timezone="Europe/Berlin")
    known = replace(records(night, now="29 12:00"), zone=ZoneInfo("Europe/Berlin"))
    gap = at("29 01:00")
    soon = gap + timedelta(milliseconds=3)
    run = replace(Run(state="pending", **WAITING), fire_time=gap, due_time=gap, recorded_at=soon)
    assert said(explain_fire(known, fire(known, "29 01:00"), [run], []))[:3] == [
        "01:00:00 fire time",
        "02:30 is skipped that night: fires at the first instant after the gap",
        "01:00:00 recorded, 3ms after it was due",
    ]


ORIGINS = [
    ("trigger:1", None, "triggered by hand"),
    ("trigger:1", "anna (cli)", "triggered by anna (cli)"),
    ("backfill:1", None, "a fire of the past that a backfill runs"),
    ("boot:db-1:77", None, "the boot of db-1"),
]


@pytest.mark.parametrize(("origin", "who", "text"), ORIGINS)
def test_where_other_runs_come_from(origin: str, who: str | None, text: str) -> None:
    assert (
        said(explain_run(records(), replace(Run(), origin=origin), version(), who))[0] == f"03:00:00 {text}"
    )


# Why a fire has no run

BEFORE = replace(
    Run(), id="0f0f0f0f", fire_time=at("10 02:55"), started_at=at("10 02:55"), finished_at=at("10 03:02")
)
NEWEST = replace(
    Run(), id="99999999", fire_time=at("10 06:00"), recorded_at=at("10 08:00"), finished_at=at("10 08:01")
)
BACKFILL = "entry backfill backup --from 2026-03-10T03:00:00Z --to 2026-03-10T03:00:00Z"

SUPPRESSED: list[tuple[dict[str, Any], Suppressed, list[Run], str, list[str], list[str]]] = [
    (
        {"cron": "0 * * * *"},
        Suppressed("misfire", at("10 01:00"), at("10 05:00"), 5, recorded_at=at("10 08:00")),
        [NEWEST],
        "it was missed",
        [
            "no scheduler settled it within 1m of when it was due; it was settled 5h late",
            "misfire = latest: of the fires that were missed the newest alone is made up",
            "the newest became run 99999999 of 2026-03-10 06:00 UTC, which succeeded",
            "08:00:00 counted, reason 'misfire': 5 fires from 2026-03-10 01:00 UTC to 2026-03-10 05:00 UTC",
        ],
        ["status", "entry set backup --misfire all --expires 7d", BACKFILL],
    ),
    (
        {"misfire": "skip"},
        Suppressed("misfire", recorded_at=at("10 08:00")),
        [],
        "it was missed",
        [
            "no scheduler settled it within 1m of when it was due; it was settled 5h late",
            "misfire = skip: missed fires are not made up",
            "08:00:00 counted, reason 'misfire'",
        ],
        ["status", "entry set backup --misfire all --expires 7d", BACKFILL],
    ),
    (
        {"misfire": "all", "misfire_limit": 2},
        Suppressed("misfire", at("01 03:00"), at("10 03:00"), 10, False, recorded_at=at("10 08:00")),
        [],
        "it was missed",
        [
            "no scheduler settled it within 1m of when it was due; it was settled 5h late",
            "misfire = all: the newest 2 (misfire_limit) are made up",
            "08:00:00 counted, reason 'misfire': "
            "10 or more fires from 2026-03-01 03:00 UTC to 2026-03-10 03:00 UTC",
        ],
        ["status", "entry set backup --misfire all --expires 7d", BACKFILL],
    ),
    (
        {"misfire_grace": "10m"},
        Suppressed("misfire", recorded_at=at("10 08:00")),
        [],
        "it was missed",
        [
            "no scheduler settled it within 1m of when it was due; it was settled 5h late",
            "misfire_grace = 10m: later than that it is not made up",
            "08:00:00 counted, reason 'misfire'",
        ],
        ["status", "entry set backup --misfire all --expires 7d", BACKFILL],
    ),
    (
        {"expires": "1h"},
        Suppressed("expired", recorded_at=at("10 08:00")),
        [],
        "its expiry came before it could be settled",
        ["04:00:00 its expiry (expires = 1h)", "08:00:00 counted, reason 'expired'"],
        ["entry set backup --expires 6h", BACKFILL],
    ),
    (
        {"overlap": "skip"},
        Suppressed("overlap"),
        [BEFORE],
        "an earlier run was unfinished",
        [
            "overlap = skip: while an earlier run is unfinished no other starts",
            "the earlier one: run 0f0f0f0f of 2026-03-10 02:55 UTC, which succeeded at 2026-03-10 03:02 UTC",
            "03:00:00 counted, reason 'overlap'",
        ],
        ["entry set backup --overlap queue", "runs list --entry backup", BACKFILL],
    ),
    (
        {"overlap": "queue"},
        Suppressed("overlap"),
        [replace(BEFORE, state="started", finished_at=None)],
        "an earlier run was unfinished",
        [
            "overlap = queue: of the fires that come meanwhile the newest alone is held back",
            "the earlier one: run 0f0f0f0f of 2026-03-10 02:55 UTC, which is started",
            "03:00:00 counted, reason 'overlap'",
        ],
        ["entry set backup --overlap queue", "runs list --entry backup", BACKFILL],
    ),
]


@pytest.mark.parametrize(("columns", "record", "runs", "why", "statements", "advice"), SUPPRESSED)
def test_why_a_fire_became_no_run(
    columns: dict[str, Any],
    record: Suppressed,
    runs: list[Run],
    why: str,
    statements: list[str],
    advice: list[str],
) -> None:
    known = records(version(**columns))
    explanation = explain_fire(known, fire(known), runs, [record])
    assert (explanation.verdict, explanation.run) == ("suppressed", None)
    assert explanation.headline == f"it did not run: {why}"
    assert said(explanation) == ["03:00:00 fire time", *statements]
    assert commands(explanation) == advice


def test_a_calendar_drops_it() -> None:
    known = records(version(calendar="holidays"))
    dropped = fire(known)
    assert dropped.dropped
    misfire = Suppressed("misfire", at("09 03:00"), at("11 03:00"), 2)  # covers it, and does not count it
    explanation = explain_fire(known, dropped, [], [misfire, Suppressed("calendar")])
    assert explanation.headline == "it did not run: its calendar drops it"
    assert said(explanation) == [
        "03:00:00 fire time",
        "calendar 'holidays': a listed date",
        "03:00:00 counted, reason 'calendar'",
    ]
    assert commands(explanation) == ["calendar show holidays", "entry set backup --calendar-action next"]


def test_a_calendar_that_was_edited_since_does_not_hide_the_record() -> None:
    known = records()  # today nothing drops it
    explanation = explain_fire(known, fire(known), [], [Suppressed("calendar")])
    assert explanation.headline == "it did not run: its calendar drops it"
    around = Suppressed("calendar", at("09 03:00"), at("11 03:00"), 2)  # of the days beside it
    assert explain_fire(known, fire(known), [], [around]).verdict == "no record"


def test_it_was_paused_by_hand_and_still_is_or_not() -> None:
    paused = version(2, "08 10:00", enabled=False, pause_note="moving house")
    still = replace(version(3, "09 10:00", enabled=False, description="x"), note="moving house")
    resumed = version(4, "10 10:00")
    counted = Suppressed(
        "paused", at("09 03:00"), at("10 03:00"), 2, version=3, recorded_at=at("10 10:00:01")
    )
    known = records(version(), paused, still, resumed)
    explanation = explain_fire(known, fire(known), [], [counted])
    assert explanation.headline == "it did not run: the entry was paused"
    assert said(explanation) == [
        "03:00:00 fire time",
        "10:00:00 paused by anna (cli): moving house",  # at version 2
        "10:00:01 counted, reason 'paused': 2 fires from 2026-03-09 03:00 UTC to 2026-03-10 03:00 UTC",
    ]
    assert explanation.statements[1].at == at("08 10:00")
    assert commands(explanation) == [BACKFILL]
    known = records(version(), paused, still, timer=Timer(planned_from=at("09 10:00:01"), state="paused"))
    explanation = explain_fire(known, fire(known), [], [])
    assert (explanation.verdict, explanation.headline) == ("paused", "it did not run: the entry is paused")
    assert said(explanation)[-1] == "the fires of a pause are counted when it ends"
    assert commands(explanation) == ["entry resume backup"]


def test_everything_was_paused_and_still_is_or_not() -> None:
    over = records(pauses=[Pause(at("10 02:00"), at("10 04:00"))])
    explanation = explain_fire(over, fire(over), [], [Suppressed("all paused")])
    assert explanation.headline == "it did not run: everything was paused"
    assert "02:00:00 everything paused by bert, until 2026-03-10 04:00 UTC: fire drill" in said(explanation)
    assert commands(explanation) == [BACKFILL]
    lasting = records(pauses=[Pause(at("10 02:00"))], timer=Timer(planned_from=at("09 03:00")))
    explanation = explain_fire(lasting, fire(lasting), [], [])
    assert (explanation.verdict, explanation.headline) == ("paused", "it did not run: everything is paused")
    assert commands(explanation) == ["resume --all"]


BEHIND = Timer(planned_from=at("09 03:00"), next_fire_at=at("10 03:00"), next_due_at=at("10 03:00"))

UNSETTLED: list[tuple[dict[str, Any], list[str], str]] = [
    (
        {"timer": BEHIND, "alive": [], "silent": [Node(heartbeat_at=at("09 18:00"))]},
        [
            "03:00:00 it is planned up to here",
            "03:00:00 due since then",
            "18:00:00 no scheduler lives; node-1 was last heard of then",
        ],
        "scheduler",
    ),
    (
        {"timer": None, "alive": []},
        [
            "no scheduler has planned the entry yet",
            "no scheduler is on record: none runs, or none could write",
        ],
        "scheduler",
    ),
    (
        {"timer": BEHIND, "alive": [Node(status="waiting for the broker")]},
        [
            "03:00:00 it is planned up to here",
            "03:00:00 due since then",
            "11:59:58 scheduler node-1 lives: waiting for the broker",
        ],
        "status",
    ),
    (
        {"timer": replace(BEHIND, state="broken", error="cron: nonsense", next_due_at=None)},
        [
            "03:00:00 it is planned up to here",
            "it is broken: cron: nonsense",
            "11:59:58 scheduler node-1 lives: running",
        ],
        "entry edit backup",
    ),
    (
        {"timer": BEHIND, "pauses": [Pause(at("10 11:00"))]},
        [
            "11:00:00 everything paused by bert: fire drill",
            "meanwhile nothing is planned; what fires inside is counted when it ends",
            "03:00:00 it is planned up to here",
            "03:00:00 due since then",
            "11:59:58 scheduler node-1 lives: running",
        ],
        "resume --all",
    ),
]


@pytest.mark.parametrize(("known", "statements", "command"), UNSETTLED)
def test_why_nobody_has_settled_a_fire(known: dict[str, Any], statements: list[str], command: str) -> None:
    story = records(**known)
    explanation = explain_fire(story, fire(story), [], [])
    assert explanation.verdict == "unsettled"
    assert explanation.headline == "it has not run: no scheduler has settled this fire yet"
    assert said(explanation)[1:] == statements
    assert commands(explanation) == [command]


def test_an_edit_that_is_not_planned_yet() -> None:
    known = records(version(), version(2, "10 11:59:59", cron="0 5 * * *"), timer=BEHIND)
    assert "11:59:59 version 2 by anna (cli) is not planned yet" in said(
        explain_fire(known, fire(known), [], [])
    )


def test_a_fire_that_was_settled_and_is_forgotten() -> None:
    known = records()
    explanation = explain_fire(known, fire(known), [], [])
    assert explanation.verdict == "no record"
    assert "history.keep_days" in said(explanation)[-1]
    # a run that a person made of it is told all the same
    by_hand = replace(Run(), origin="backfill:1")
    told = said(explain_fire(known, fire(known), [by_hand], []))
    assert told[-1].endswith("run 1a2b3c4d of 2026-03-10 03:00 UTC, which succeeded")


def test_max_runs_was_reached_before_it() -> None:
    known = records(version(max_runs=2), timer=Timer(runs_made=2))
    explanation = explain_fire(known, fire(known), [], [])
    assert explanation.verdict == "completed"
    assert commands(explanation) == ["entry set backup --max-runs 4"]


# Why nothing fires


def test_what_fires_instead() -> None:
    known = records(version(), now="12 12:00")
    explanation = explain_quiet(known, at("10 04:00"), at("10 04:01"), [Run()])
    assert (explanation.verdict, explanation.headline) == ("no fire", "nothing fires then")
    assert said(explanation) == [
        "the rule that holds, of version 1: at 03:00 every day, UTC",
        "03:00:00 the fire before; run 1a2b3c4d of 2026-03-10 03:00 UTC, which succeeded",
        "03:00:00 the fire after",
    ]
    assert explanation.statements[2].at == at("11 03:00")
    assert commands(explanation) == ["entry next backup --after 2026-03-09T04:00:00Z"]


def test_what_was_edited_since() -> None:
    later = replace(version(2, "11 10:00", cron="0 4 * * *"), changes=('cron "0 3 * * *" → "0 4 * * *"',))
    known = records(version(), later, now="12 12:00")
    told = said(explain_quiet(known, at("10 04:00"), at("10 04:01"), []))
    assert told[0] == "the rule that held then, of version 1: at 03:00 every day, UTC"
    assert told[-1] == '10:00:00 version 2 by anna (cli): cron "0 3 * * *" → "0 4 * * *"'


QUIET: list[tuple[dict[str, Any], str, str]] = [
    ({"cron": "30 2 * * *", "timezone": "Europe/Berlin", "dst_gap": "skip"}, "29 01:00", "02:30 is skipped"),
    ({"start_at": "2026-03-20T00:00Z"}, "10 03:00", "it starts later (start_at)"),
    ({"end_at": "2026-03-05T00:00Z"}, "10 03:00", "it ended before (end_at)"),
    (
        {"calendar": "holidays", "calendar_action": "next"},
        "10 03:00",
        "calendar 'holidays' moves the fire of",
    ),
    ({"cron": "@reboot"}, "10 03:00", "it fires when a machine boots"),
    ({"every": "5m", "fixed_delay": True}, "10 03:00", "each fire is counted from the end of the run before"),
    ({"enabled": False}, "10 04:00", "besides, it was paused by anna (cli)"),
    ({"at": "2026-03-05T00:00Z"}, "10 03:00", "no fire after"),
]


@pytest.mark.parametrize(("columns", "when", "text"), QUIET)
def test_why_nothing_fires(columns: dict[str, Any], when: str, text: str) -> None:
    known = records(version(**columns), now="30 12:00")
    assert list(fires_between(known, at(when), at(when) + TICK)) == []
    explanation = explain_quiet(known, at(when), at(when) + timedelta(minutes=1), [])
    assert any(text in statement for statement in said(explanation)), said(explanation)


def test_the_entry_was_not_there_or_could_not_be_read() -> None:
    removed = Version(2, at("11 10:00"), None, removed=True, who="anna", door="cli")
    known = records(version(1, "09 10:00"), removed, now="12 12:00")
    early = explain_quiet(known, at("08 03:00"), at("08 03:01"), [])
    assert (early.headline, said(early)) == ("there was no such entry yet", ["10:00:00 added by anna (cli)"])
    late = explain_quiet(known, at("12 03:00"), at("12 03:01"), [])
    assert (late.verdict, late.headline) == ("no entry", "there was no such entry any more")
    assert (said(late), commands(late)) == (["10:00:00 removed by anna (cli)"], ["entry restore backup 1"])
    broken = Version(2, at("09 10:00"), None, "cron: nonsense")
    mended = explain_quiet(records(version(), broken), at("10 03:00"), at("10 03:01"), [])
    assert mended.verdict == "broken"
    assert said(mended) == ["10:00:00 version 2 came to hold in SQL", "it cannot be read: cron: nonsense"]
    assert commands(mended) == ["entry edit backup"]


# What comes

NEXT: list[tuple[Records, str, str]] = [
    (records(), "coming", "it will run in 15h"),
    (records(alive=[]), "coming", "it will run in 15h, if a scheduler runs then"),
    (records(timer=None), "coming", "it will run in 15h"),
    (records(version(enabled=False)), "paused", "it will not run: the entry is paused"),
    (
        records(version(paused_until="2026-03-12T00:00Z"), timer=None),
        "paused",
        "it will not run: the entry is paused until 2026-03-12 00:00 UTC",
    ),
    (records(pauses=[Pause(at("10 11:00"))]), "paused", "it will not run: everything is paused"),
    (
        records(timer=replace(BEHIND, planned_from=at("10 02:00"))),
        "unsettled",
        "it has not run: no scheduler has settled this fire yet",
    ),
    (records(timer=Timer(state="broken", error="x")), "broken", "the entry is broken: nothing fires"),
    (
        records(version(max_runs=3), timer=Timer(runs_made=3, state="completed")),
        "completed",
        "it has made the 3 runs that max_runs allows",
    ),
    (
        records(version(at="2026-03-02T00:00Z"), timer=Timer(next_fire_at=None)),
        "completed",
        "no fire comes any more",
    ),
    (records(version(cron="@reboot")), "coming", "it runs when a machine boots"),
    (
        records(version(every="5m", fixed_delay=True), timer=Timer(next_fire_at=None)),
        "coming",
        "the next fire is counted from the end of the run that is under way",
    ),
]


@pytest.mark.parametrize(("known", "verdict", "headline"), NEXT)
def test_what_comes(known: Records, verdict: str, headline: str) -> None:
    explanation = explain_next(known)
    assert (explanation.verdict, explanation.headline) == (verdict, headline)


def test_a_fire_whose_jitter_has_not_passed_is_to_come() -> None:
    jittered = version(jitter="1h", name="backup")
    assert jittered.definition is not None
    due = jittered.definition.timing.due_time(at("10 03:00"))
    known = replace(records(jittered, timer=BEHIND), now=due - timedelta(seconds=12))
    explanation = explain_fire(known, fire(known), [], [])
    assert (explanation.verdict, explanation.headline) == ("coming", "it will run in 12s")
    assert said(explanation)[1].startswith("due 03:")


def test_fires_are_those_of_the_version_that_held() -> None:
    """A fire at the very instant of an edit is the old version's, as it is for the planner."""
    known = records(
        version(cron="0 * * * *"),
        version(2, "10 02:00", cron="30 * * * *"),
        version(3, "10 03:30", cron="@reboot"),
        now="12 00:00",
    )
    found = fires_between(known, at("10 01:00"), at("10 05:00"))
    assert [(f"{fire.fire_time:%H:%M}", fire.version.number) for fire in found] == [
        ("01:00", 1),
        ("02:00", 1),
        ("02:30", 2),
        ("03:30", 2),
    ]
