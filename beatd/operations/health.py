"""What `status` finds out, and what of it is not well. Whatever is down is part of the answer, not an
exception.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from beatd import clock
from beatd.config import Loaded, Settings
from beatd.errors import BeatdError
from beatd.operations import brokers
from beatd.operations.views import is_paused
from beatd.redaction import redact
from beatd.store import calendars, pauses, schema
from beatd.store import health as facts
from beatd.store.engine import Database
from beatd.store.entries import Transaction
from beatd.store.health import EndedRun
from beatd.store.pauses import StoredPause

#: What waits longer than this to be planned or published makes the whole not well.
OVERDUE = timedelta(minutes=1)

#: How far back a run that was published late is a trouble: long enough for whoever asks now and then.
LATE_WITHIN = timedelta(minutes=10)

#: How far back the summaries of runs and lateness look.
RECENT = timedelta(hours=1)


# Findings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. `hint` says what to do about it; it is empty if nothing need be done."""

    check: str
    level: Literal["ok", "warning", "problem"]
    text: str
    hint: str = ""


def well(findings: Sequence[Finding]) -> bool:
    """Whether no finding is a problem."""
    return all(finding.level != "problem" for finding in findings)


# Status


@dataclass(frozen=True, slots=True)
class NodeState:
    """A scheduler on the table of nodes. `alive` unless its last heartbeat is older than node_timeout;
    `shadow` if it records without publishing.
    """

    name: str
    host: str
    pid: int
    beatd_version: str
    alive: bool
    started_at: datetime
    heartbeat_age: timedelta
    status: str
    statistics: dict[str, Any]
    shadow: bool


@dataclass(frozen=True, slots=True)
class Lateness:
    """Publication minus due time, of the runs that fired within the last hour (the newest 10,000)."""

    runs: int
    median: timedelta
    p99: timedelta
    greatest: timedelta


@dataclass(frozen=True, slots=True)
class Activity:
    """What the database says of now. `ended` counts the runs that ended within the last hour, by state;
    `workers` are those heard of within it. `reports` tells whether workers report at all. `all_paused` is
    the pause of everything, `paused` counts the entries that are paused by themselves, `failing` are those of
    them that failures paused.
    """

    now: datetime
    server: str
    schema: str
    nodes: tuple[NodeState, ...]
    workers: tuple[facts.Worker, ...]
    reports: bool
    backlog: facts.Backlog
    unstarted: facts.Unstarted | None
    next_due: facts.NextDue | None
    all_paused: StoredPause | None
    paused: int
    failing: tuple[facts.FailingEntry, ...]
    unreadable_calendars: tuple[str, ...]
    broken: tuple[facts.BrokenEntry, ...]
    lateness: Lateness | None
    ended: dict[str, int]
    failed: tuple[facts.Failing, ...]
    #: what a scheduler found when it last held an hour's fires against their runs
    verified: dict[str, Any] | None = None
    #: since when the oldest edit waits to be planned
    oldest_edit_at: datetime | None = None
    #: runs that were published later than `late_after` within the last ten minutes
    late: int = 0
    late_after: timedelta = timedelta(seconds=60)

    @property
    def shadowed(self) -> bool:
        """Whether the schedulers that live record without publishing."""
        alive = [node.shadow for node in self.nodes if node.alive]
        return bool(alive) and all(alive)


@dataclass(frozen=True, slots=True)
class Status:
    """`troubles` says what is not well, one line each; `activity` is None if the database cannot tell."""

    version: str
    config_file: str | None
    config_searched: tuple[dict[str, Any], ...]
    config_warnings: tuple[str, ...]
    database: str
    broker: str
    activity: Activity | None
    troubles: tuple[str, ...]


def status(loaded: Loaded, database: Database, version: str, connect: Callable[[], Any]) -> Status:
    """Asks the database alone, so that it answers at once. Raises nothing for what is down.

    `connect` gives the Celery app whose broker this command would use; it is not connected to.
    """
    activity: Activity | None = None
    try:
        schema.require(database)
        activity = activity_of(database, loaded.settings)
        troubles = _troubles(activity, connect)
    except BeatdError as error:
        troubles = [str(error)]
    return Status(
        version=version,
        config_file=str(loaded.file) if loaded.file else None,
        config_searched=tuple(
            {"path": str(place.path), "source": place.source, "found": place.found}
            for place in loaded.searched
        ),
        config_warnings=loaded.warnings,
        database=redact(loaded.settings.database.url),
        broker=broker_name(loaded.settings),
        activity=activity,
        troubles=tuple(troubles),
    )


def broker_name(settings: Settings) -> str:
    """What to call it in messages; never holds a password."""
    if settings.broker.url:
        return redact(settings.broker.url)
    return f"that of {settings.celery.app}" if settings.celery.app else f"embedded, in {settings.state_dir}"


def activity_of(database: Database, settings: Settings) -> Activity:
    found = schema.state(database).current or ""
    with database.read() as connection:
        now = database.now(connection)
        backlog = facts.backlog(connection, now)
        known = tuple(_node(node, now, settings) for node in facts.known_nodes(connection))
        return Activity(
            now=now,
            server=facts.server(connection, database.dialect).version,
            schema=found,
            nodes=known,
            workers=tuple(facts.workers_heard_since(connection, now, now - RECENT)),
            reports=settings.celery.reports,
            backlog=backlog,
            unstarted=facts.oldest_unstarted(connection),
            next_due=facts.next_due(connection),
            all_paused=pauses.open_pause(connection, now),
            paused=backlog.entries - backlog.enabled + _paused_until_later(connection, settings, now),
            failing=tuple(facts.paused_by_failures(connection)),
            unreadable_calendars=tuple(map(str, calendars.unreadable(connection))),
            broken=tuple(facts.broken_entries(connection)),
            lateness=_lateness(facts.lateness(connection, now - RECENT)),
            ended=facts.ended_by_state(connection, now - RECENT),
            failed=tuple(facts.failing_since(connection, now - RECENT, 5)),
            verified=_last_verified(known),
            oldest_edit_at=facts.oldest_unplanned_edit(connection),
            late=facts.published_late(
                connection, now - RECENT, now - LATE_WITHIN, settings.alerts.late_after
            ),
            late_after=settings.alerts.late_after,
        )


def _paused_until_later(connection: Transaction, settings: Settings, now: datetime) -> int:
    columns = [
        {"enabled": True, "paused_until": until, "timezone": zone}
        for until, zone in facts.ends_of_pauses(connection)
    ]
    return sum(is_paused(one, now, settings.timezone) for one in columns)


def _node(node: facts.Node, now: datetime, settings: Settings) -> NodeState:
    age = now - node.heartbeat_at
    return NodeState(
        name=node.name,
        host=node.host,
        pid=node.pid,
        beatd_version=node.beatd_version,
        alive=age <= settings.scheduler.node_timeout,
        started_at=node.started_at,
        heartbeat_age=age,
        status=node.status,
        statistics=node.statistics,
        shadow=node.shadow,
    )


def _last_verified(known: Sequence[NodeState]) -> dict[str, Any] | None:
    """One node does it at a time; another may have done it before."""
    told = [node.statistics.get("verify") for node in known]
    return max((one for one in told if one), key=lambda one: str(one.get("at")), default=None)


def _lateness(ascending: Sequence[timedelta]) -> Lateness | None:
    if not ascending:
        return None
    count = len(ascending)
    return Lateness(count, ascending[count // 2], ascending[count * 99 // 100], ascending[-1])


def _troubles(activity: Activity, connect: Callable[[], Any]) -> list[str]:
    findings = work(activity, connect)
    return [f"{finding.check}: {finding.text}" for finding in findings if finding.level == "problem"]


# What waits, and who does it: for status and doctor alike


def work(activity: Activity, connect: Callable[[], Any]) -> Iterator[Finding]:
    yield _schedulers(activity)
    yield from _shadows(activity)
    yield from _held_up(activity)
    yield from _other_broker(activity, connect)
    yield from _clocks(activity)
    yield from _untold(activity)
    yield from _overdue(activity)
    yield from _late(activity)
    yield from _unstarted(activity)
    yield from _paused(activity)
    yield from _entries(activity)
    yield from _verified(activity)
    for error in activity.unreadable_calendars:
        yield Finding("calendars", "problem", error, "correct it: beatd calendar set …")


def _schedulers(activity: Activity) -> Finding:
    alive = [node for node in activity.nodes if node.alive]
    silent = [node for node in activity.nodes if not node.alive]
    if alive:
        names = ", ".join(f"{node.name} (pid {node.pid})" for node in alive)
        return Finding("schedulers", "ok", f"{len(alive)} alive: {names}")
    heard = f"; {silent[-1].name} was heard of {seconds(silent[-1].heartbeat_age)} ago" if silent else ""
    return Finding(
        "schedulers",
        "problem",
        f"none is alive: nothing is published{heard}",
        "start one: beatd up, beatd scheduler, or systemctl start beatd",
    )


def _shadows(activity: Activity) -> Iterator[Finding]:
    shadows = [node for node in activity.nodes if node.alive and node.shadow]
    others = [node for node in activity.nodes if node.alive and not node.shadow]
    names = ", ".join(node.name for node in shadows)
    if shadows and others:
        text = (
            f"{names} in shadow mode beside {others[0].name}: what a shadow records, the other does not run"
        )
        yield Finding("schedulers", "problem", text, "stop the ones or the others")
    elif shadows:
        text = f"shadow mode: {names} records what would have run, and publishes nothing"
        yield Finding("schedulers", "warning", text, "when you have seen enough, start it without --shadow")


def _held_up(activity: Activity) -> Iterator[Finding]:
    for node in activity.nodes:
        if node.alive and node.status.startswith(("waiting:", "stalled:")):
            hint = "see whether what it waits for is there, and reached from its machine"
            yield Finding("schedulers", "problem", f"{node.name} is {node.status}", hint)


def _other_broker(activity: Activity, connect: Callable[[], Any]) -> Iterator[Finding]:
    nodes = [(node.name, node.statistics.get("broker")) for node in activity.nodes if node.alive]
    if text := brokers.differing(nodes, connect):
        said, _, hint = text.rpartition(": ")
        yield Finding("broker", "problem", said, hint)


def _overdue(activity: Activity) -> Iterator[Finding]:
    waiting = activity.backlog
    for what, count, since in (
        ("due entries", waiting.due, waiting.oldest_due_at),
        ("outbox", waiting.pending, waiting.oldest_pending_at),
        ("edits", waiting.unplanned_edits, activity.oldest_edit_at),
    ):
        held_back = what == "due entries" and activity.all_paused is not None
        if since is None or activity.now - since <= OVERDUE or held_back:
            yield Finding(what, "ok", f"{count} waiting")
            continue
        yield Finding(
            what,
            "problem",
            f"{count} waiting, the oldest for {seconds(activity.now - since)}",
            "see the schedulers' logs, and whether the broker takes messages",
        )


def _clocks(activity: Activity) -> Iterator[Finding]:
    """What is due is decided by the database's clock; workers drop what has expired by their own."""
    for node in activity.nodes:
        ahead = node.statistics.get("clock_ahead", 0)
        if node.alive and abs(ahead) > clock.TOLERANCE:
            text = f"that of {node.host} is {ahead:+.1f} s off the database's"
            yield Finding("clocks", "problem", text, "let NTP set both (timedatectl set-ntp true)")


def _untold(activity: Activity) -> Iterator[Finding]:
    for node in activity.nodes:
        for what in ("pulse", "alerts"):
            told = node.statistics.get(what) or {}
            if node.alive and told.get("trouble"):
                text = f"{node.name} could not deliver: {told['trouble']}"
                yield Finding("alerts", "problem", text, "see whether the address is right, and reached")


def _late(activity: Activity) -> Iterator[Finding]:
    if activity.late:
        text = (
            f"{activity.late} published more than {seconds(activity.late_after)} late in the last ten minutes"
        )
        yield Finding("lateness", "problem", text, "see the schedulers' logs for what held them up")


def _unstarted(activity: Activity) -> Iterator[Finding]:
    """Runs in a queue of which nothing tells that anybody takes from it."""
    oldest = activity.unstarted
    if not activity.reports or oldest is None or activity.now - oldest.published_at <= OVERDUE:
        return
    if any(activity.now - worker.heard_at <= OVERDUE for worker in activity.workers):
        return
    of = f"{oldest.entry}, queue {oldest.queue}" if oldest.queue else oldest.entry
    since = seconds(activity.now - oldest.published_at)
    text = f"{activity.backlog.published} published and not begun, the oldest ({of}) for {since}"
    hint = "start a worker that takes its queue (beatd worker), or give yours the plugin"
    yield Finding("runs", "problem", f"{text}; no worker was heard of in the last minute", hint)


def _paused(activity: Activity) -> Iterator[Finding]:
    if pause := activity.all_paused:
        since = f"since {pause.since:%Y-%m-%d %H:%M:%S} UTC by {pause.who or 'SQL'}"
        until = f", until {pause.until:%Y-%m-%d %H:%M:%S} UTC" if pause.until else ""
        note = f": {pause.note}" if pause.note else ""
        text = f"everything is paused {since}{until}{note}"
        yield Finding("entries", "warning", text, "beatd resume --all lets it fire again")
    for entry in activity.failing:
        hint = f"see beatd entry history {entry.entry}, then beatd entry resume {entry.entry}"
        yield Finding("entries", "warning", f"{entry.entry} is {entry.note}", hint)


def _entries(activity: Activity) -> Iterator[Finding]:
    for entry in activity.broken:
        text = f"{entry.entry} is broken: {entry.error}"
        yield Finding("entries", "problem", text, f"correct it: beatd entry set {entry.entry} …")
    if not activity.broken:
        total = activity.backlog.entries
        yield Finding("entries", "ok", f"{total} ({total - activity.paused} enabled), none broken")


def _verified(activity: Activity) -> Iterator[Finding]:
    last = activity.verified
    if last is None:
        return
    wrong = {kind: count for kind, count in last["found"].items() if kind != "late" and count}
    span = f"{last['since']} to {last['until']}"
    if wrong:
        told = ", ".join(f"{count} {kind}" for kind, count in wrong.items())
        yield Finding("history", "problem", f"{told}, {span}", f"beatd verify --since {last['since']}")
    else:
        yield Finding("history", "ok", f"none of {last['fires']} fires missed or doubled, {span}")


def seconds(span: timedelta) -> str:
    """As findings tell it."""
    return f"{span.total_seconds():.0f} s"


# Runs as they end


class Recent:
    """Tells each run once, soon after it ended, from its making on."""

    #: Runs are told by the clocks of workers and may be recorded a little late.
    _LATE = timedelta(seconds=5)
    _MOST = 2000

    def __init__(self, database: Database) -> None:
        self._database = database
        self._since: datetime | None = None
        self._told: dict[str, datetime] = {}
        self.counts: Counter[str] = Counter()

    def ended(self) -> list[EndedRun]:
        """The runs that ended since the last call, in that order. Raises DatabaseUnavailable."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            since = self._since or now
            found = facts.ended_since(connection, since, self._MOST)
        new = [run for run in found if run.id not in self._told]
        self._told |= {run.id: run.finished_at for run in new}
        self._since = max(since, now - self._LATE)
        self._told = {id_: at for id_, at in self._told.items() if at >= self._since}
        self.counts.update(run.state for run in new)
        return new
