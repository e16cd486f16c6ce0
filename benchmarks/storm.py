"""A storm: N entries due in the same second, beside a raw loop and Celery beat, in one run.

    make bench                                     # 10,000 entries, PostgreSQL + RabbitMQ
    python -m benchmarks.storm --entries 1000 10000 --repeat 3 --json storm.json
    python -m benchmarks.storm --pair sqlite-embedded

Servers are private ones, started for the run. Exit status 1: a message was missing or doubled.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from beatd.reports import ENTRY_HEADER
from beatd.store import entries as stored
from beatd.store import schema
from beatd.store.engine import Database
from beatd.store.models import runs, timers
from benchmarks import celery_beat
from benchmarks.entries import LONGEST_LEAD, entries, rules
from benchmarks.observer import LOOK_EVERY, Curve, Usage, Watched, missing_and_doubled, watched
from benchmarks.places import PAIRS, QUEUE, Corner, Place, given_place, private_place
from benchmarks.raw import publish_raw

PROGRAM = Path(sys.executable).with_name("beatd")
#: Celery beat is given no more than these: it needs the square of the time for them.
MOST_FOR_BEAT = 10_000

#: A table that is piped into a file is not squeezed into 80 columns.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 130)


class StormFailed(Exception):
    """The storm could not be measured, or was not what it must be."""


@dataclass(frozen=True)
class Measured:
    """One storm of one program. Seconds are after the due second, as seen at the broker, if not said
    otherwise; `rate` is messages a second from the first to the last, `rate_from_due` from the due second.
    """

    program: str
    entries: int
    out: int
    ready_s: float | None = None
    rate: float | None = None
    rate_from_due: float | None = None
    first_s: float | None = None
    median_s: float | None = None
    last_s: float | None = None
    #: the same as the history has it: when beatd had the batch's confirmations; then, all of it marked
    median_in_history_s: float | None = None
    last_in_history_s: float | None = None
    all_marked_s: float | None = None
    rules: int | None = None
    memory_mb: float | None = None
    processor_s: dict[str, float] | None = None
    missing: int | None = None
    doubled: int | None = None
    capped: str | None = None
    #: of the machine in the minute before: what else ran beside
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def failed(self) -> bool:
        return bool(self.missing or self.doubled)


# Running


def main() -> int:
    options = _options()
    with _place(options) as place:
        console.print(f"[bold]{place.name}[/] {_told(place.servers())}; {_told(_machine())}")
        measured: list[Measured] = []
        for count in options.entries:
            for round_ in range(options.repeat):
                console.print(f"[dim]{count:,} entries, round {round_ + 1} of {options.repeat}[/]")
                measured += _round(place, count, options)
        environment = {"pair": place.name, "servers": place.servers(), **_machine()}
    console.print(_table(measured, options.repeat))
    for line in _ratios(measured):
        console.print(line)
    for failed in (one for one in measured if one.failed):
        console.print(
            f"[bold red]FAILED[/] {failed.entries:,}: {failed.missing} missing, {failed.doubled} doubled"
        )
    if options.json:
        document = {"environment": environment, "measured": [asdict(one) for one in measured]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return int(any(one.failed for one in measured))


def _round(place: Place, count: int, options: argparse.Namespace) -> Iterator[Measured]:
    if "raw" in options.peers:
        yield _announced(_raw(place, count))
    yield _announced(_beatd(place.corner(), count, options.seconds))
    if "beat" in options.peers:
        yield _announced(_celery_beat(place.corner(), min(count, MOST_FOR_BEAT), count, options.beat_seconds))


def _raw(place: Place, count: int) -> Measured:
    corner = place.corner()
    with _empty_queue(corner):
        return Measured("raw loop", count, count, rate=publish_raw(corner, count))


def _beatd(corner: Corner, count: int, seconds: float) -> Measured:
    """One `beatd scheduler`; no worker, the messages are counted in the queue."""
    due = _coming_minute(timedelta(seconds=10 + count / 400))
    database = Database.open(corner.database_url)
    schema.upgrade(database)
    _write(database, entries(count, due))
    with _empty_queue(corner) as queue:
        process = _scheduler(corner)
        try:
            ready = _await_planned(database, process, count, due, corner.folder / "beatd.log")
            console.print(
                f"[dim]  beatd (pid {process.pid}) planned in {ready:.1f} s, storm at {due:%H:%M}[/]"
            )
            usage = Usage(_processes(corner.place, "beatd", process))
            _sleep_until(due.timestamp() - 0.5)
            until = due.timestamp() + seconds
            curve = queue.follow(due.timestamp(), count, until, lambda: usage.sample("beatd"))
            marked = _await_marked(database, due, until)
            used = usage.processor_seconds()
        finally:
            _end(process)
        seen = Counter(str(message.headers.get(ENTRY_HEADER)) for message in queue.drain())
    missing, doubled = missing_and_doubled({f"storm-{n:06d}" for n in range(count)}, seen)
    history = _history(database, due)
    database.close()
    return Measured(
        "beatd",
        count,
        **_seen(curve),
        ready_s=ready,
        median_in_history_s=statistics.median(history) if history else None,
        last_in_history_s=history[-1] if history else None,
        all_marked_s=marked,
        rules=min(count, len(rules(due))),
        memory_mb=usage.memory_mb,
        processor_s=used,
        missing=max(missing, count - len(history)),
        doubled=doubled,
    )


def _celery_beat(corner: Corner, count: int, asked: int, seconds: float) -> Measured:
    due = _coming_minute(timedelta(seconds=5 + count / 1000))
    utc = [rule for rule in rules(due) if rule.timezone == "UTC"]
    rows = entries(count, due)
    for number, row in enumerate(rows):
        row["cron"] = utc[number % len(utc)].cron
    with _empty_queue(corner) as queue:
        process = celery_beat.start(corner, rows)
        try:
            _sleep_until(due.timestamp() - 0.5)
            if process.poll() is not None:
                raise StormFailed(f"Celery beat ended: {_tail(corner.folder / 'celery-beat.log')}")
            usage = Usage(_processes(corner.place, "beat", process))
            until = due.timestamp() + seconds
            curve = queue.follow(due.timestamp(), count, until, lambda: usage.sample("beat"))
            used = usage.processor_seconds()
        finally:
            _end(process)
        sum(1 for _ in queue.drain())
    capped = [f"{count:,} entries instead of {asked:,}"] if count < asked else []
    if curve.count < count:
        capped.append(f"{curve.count:,} of {count:,} were out after {seconds:.0f} s")
    return Measured(
        "Celery beat",
        asked,
        **_seen(curve, count),
        memory_mb=usage.memory_mb,
        processor_s=used,
        capped=", ".join(capped) or None,
    )


def _seen(curve: Curve, expected: int | None = None) -> dict[str, Any]:
    """Figures that the queue shows. A storm that did not end has no last; its median is of all expected."""
    expected = expected or curve.count
    last = curve.reached(expected)
    ended = last if last is not None else (curve.points[-1][0] if curve.points else None)
    return {
        "out": curve.count,
        "rate": curve.rate(),
        "rate_from_due": curve.count / ended if ended else None,
        "first_s": curve.reached(1),
        "median_s": curve.reached(expected // 2),
        "last_s": last,
    }


# Steps


@contextmanager
def _empty_queue(corner: Corner) -> Iterator[Watched]:
    """A queue with messages in it is somebody's: every program here empties the queue in the end."""
    with watched(corner.app()) as queue:
        if held := queue.depth():
            raise StormFailed(
                f"the broker's queue {QUEUE!r} holds {held:,} messages; a storm wants an empty one"
            )
        yield queue


def _coming_minute(lead: timedelta) -> datetime:
    """The first whole minute that leaves so much time to get ready."""
    if lead > LONGEST_LEAD:
        raise StormFailed(f"too many entries: getting ready may take {lead}, at most {LONGEST_LEAD}")
    ready = datetime.now(UTC) + lead
    return ready.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _write(database: Database, rows: list[dict[str, Any]]) -> None:
    with database.write() as connection:
        if stored.names(connection):
            raise StormFailed(f"database {database.name} has entries already; a storm wants an empty one")
        for start in range(0, len(rows), 1000):
            stored.add(connection, rows[start : start + 1000])


def _scheduler(corner: Corner) -> subprocess.Popen[bytes]:
    environment = {
        "PATH": os.defpath,
        "HOME": str(corner.folder),
        "BEATD_STATE_DIR": str(corner.folder),
        "BEATD_DATABASE_URL": corner.database_url,
        "BEATD_BROKER_URL": corner.broker_url,
    }
    with (corner.folder / "beatd.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "scheduler"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=corner.folder,
            env=environment,
            start_new_session=True,
        )
    corner.place.keeper.watch(process.pid)
    return process


def _await_planned(
    database: Database, process: subprocess.Popen[bytes], count: int, due: datetime, log: Path
) -> float:
    """Seconds from the start of the process until every timer stands at the due minute."""
    started = time.monotonic()
    query = select(func.count()).select_from(timers).where(timers.c.next_due_at == due)
    while (planned := _scalar(database, query)) < count:
        if process.poll() is not None:
            raise StormFailed(f"beatd scheduler ended: {_tail(log)}")
        if time.time() > due.timestamp() - 1:
            raise StormFailed(f"only {planned:,} of {count:,} entries were planned in time: {_tail(log)}")
        time.sleep(0.1)
    return time.monotonic() - started


def _await_marked(database: Database, due: datetime, until: float) -> float | None:
    """Seconds from the due second until no run waits for its mark any more; None if that did not come."""
    query = select(func.count()).select_from(runs).where(runs.c.state == "pending")
    while _scalar(database, query):
        if time.time() > until:
            return None
        time.sleep(LOOK_EVERY)
    return time.time() - due.timestamp()


def _scalar(database: Database, query: Any) -> int:
    with database.read() as connection:
        return int(connection.execute(query).scalar_one())


def _history(database: Database, due: datetime) -> list[float]:
    """How late each published run of the storm was by its row, in order."""
    query = select(runs.c.published_at).where(runs.c.due_time == due, runs.c.state == "published")
    with database.read() as connection:
        return sorted((at - due).total_seconds() for at in connection.execute(query).scalars())


def _processes(place: Place, name: str, process: subprocess.Popen[bytes]) -> dict[str, int]:
    servers = [server for server in (place.database, place.broker) if server is not None]
    return {name: process.pid, **{server.name: server.pid for server in servers}}


def _sleep_until(instant: float) -> None:
    time.sleep(max(0.0, instant - time.time()))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:]


# Telling


def _announced(one: Measured) -> Measured:
    rate = f"{one.rate:,.0f} messages/s" if one.rate else "no rate"
    last = "" if one.last_s is None else f", the last {one.last_s:.2f} s late"
    console.print(f"  {one.program}: {rate}{last}{f' ({one.capped})' if one.capped else ''}")
    return one


def _table(measured: list[Measured], repeat: int) -> Table:
    title = f"medians of {repeat} rounds" if repeat > 1 else "one round"
    table = Table(title=f"A storm, {title}; seconds after the due second", title_justify="left")
    table.add_column("entries", justify="right")
    table.add_column("program")
    for heading in _COLUMNS:
        table.add_column(heading, justify="right")
    for (count, program), rounds in _grouped(measured).items():
        table.add_row(f"{count:,}", program, *(_cell(rounds, one) for one in _COLUMNS.values()))
    return table


_COLUMNS = {
    "ready s": ("ready_s", "{:.1f}"),
    "messages/s": ("rate", "{:,.0f}"),
    "from due": ("rate_from_due", "{:,.0f}"),
    "first": ("first_s", "{:.2f}"),
    "median": ("median_s", "{:.2f}"),
    "last": ("last_s", "{:.2f}"),
    "all marked": ("all_marked_s", "{:.2f}"),
    "MB": ("memory_mb", "{:.0f}"),
    "load": ("load", "{:.1f}"),
    "missing": ("missing", "{:.0f}"),
    "doubled": ("doubled", "{:.0f}"),
}


def _cell(rounds: list[Measured], column: tuple[str, str]) -> str:
    found = median_of(rounds, column[0])
    return "–" if found is None else column[1].format(found)


def median_of(rounds: list[Measured], name: str) -> float | None:
    """Of the rounds that have the figure."""
    known = [value for one in rounds if (value := getattr(one, name)) is not None]
    return statistics.median(known) if known else None


def _ratios(measured: list[Measured]) -> Iterator[str]:
    groups = _grouped(measured)
    for (count, program), rounds in groups.items():
        ours = median_of(groups.get((count, "beatd"), []), "rate_from_due")
        theirs = median_of(rounds, "rate" if program == "raw loop" else "rate_from_due")
        if program != "beatd" and ours and theirs:
            yield f"{count:,} entries: beatd's rate from the due second is {ours / theirs:.3g} × {program}'s"
        if program == "beatd" and (used := rounds[-1].processor_s):
            seconds = ", ".join(f"{name} {value:.2f}" for name, value in used.items())
            yield f"{count:,} entries: processor seconds of the storm: {seconds}"
    for one in measured:
        if one.capped:
            yield f"{one.entries:,} entries: {one.program} was capped: {one.capped}"


def _grouped(measured: list[Measured]) -> dict[tuple[int, str], list[Measured]]:
    groups: dict[tuple[int, str], list[Measured]] = {}
    for one in measured:
        groups.setdefault((one.entries, one.program), []).append(one)
    return groups


def _machine() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "beatd": version("beatd"),
        "celery": version("celery"),
        "processors": str(len(os.sched_getaffinity(0))),
    }


def _told(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


# Options


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="storm", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, nargs="+", default=[10_000], metavar="N", help="storm sizes")
    parser.add_argument("--pair", choices=PAIRS, default="postgresql-rabbitmq", help="private servers")
    parser.add_argument("--database-url", help="an empty database of yours instead of a private one")
    parser.add_argument("--broker-url", help="a broker of yours; its queue 'beatd' must be empty")
    parser.add_argument(
        "--peers", type=_peers, default=["raw", "beat"], help="raw,beat or one of them, or none"
    )
    parser.add_argument("--repeat", type=int, default=1, help="rounds; medians are printed")
    parser.add_argument("--seconds", type=float, default=120, help="how long beatd may take")
    parser.add_argument("--beat-seconds", type=float, default=60, help="how long Celery beat may take")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    options = parser.parse_args()
    if bool(options.database_url) != bool(options.broker_url):
        parser.error("--database-url and --broker-url go together")
    if options.database_url and len(options.entries) * options.repeat > 1:
        parser.error("a given database serves one storm: one --entries, no --repeat")
    return options


def _peers(value: str) -> list[str]:
    peers = [] if value == "none" else value.split(",")
    if not set(peers) <= {"raw", "beat"}:
        raise argparse.ArgumentTypeError("raw, beat, both with a comma between them, or none")
    return peers


def _place(options: argparse.Namespace) -> Any:
    if options.database_url:
        return given_place(options.database_url, options.broker_url)
    return private_place(options.pair)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StormFailed as failure:
        console.print(f"[bold red]FAILED[/] {failure}")
        sys.exit(1)
