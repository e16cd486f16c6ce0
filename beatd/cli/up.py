"""`beatd up`: scheduler and worker in one process tree, and a line for each run as it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from types import FrameType
from typing import Annotated, Any

import typer
from rich.text import Text

from beatd import __version__, config
from beatd.cli.children import Children, Ended, Said, this_program
from beatd.cli.output import first_line, print_hanging, said_by, span_text, styled
from beatd.cli.process import App, Shadow
from beatd.cli.setup import print_next
from beatd.cli.state import State
from beatd.clock import monotonic
from beatd.errors import BeatdError, Conflict, DatabaseUnavailable
from beatd.operations import apply, calendars, entries, health
from beatd.operations.context import Context
from beatd.redaction import redact
from beatd.store import schema
from beatd.store.engine import Database
from beatd.store.health import EndedRun

SCHEDULER, WORKER = "scheduler", "worker"

#: Seconds between two looks for runs that have ended.
_LOOK = 0.5

#: Celery tells here that a task failed, which has its line anyway; and Python what developers should mend.
_NOT_TOLD = ("celery.app.trace", "py.warnings")

#: Seconds that the runs which are under way, and the scheduler, may take to come to their end. The
#: scheduler limits itself to less.
_PATIENCE = {WORKER: 30.0, SCHEDULER: 40.0}

#: What becomes of what one that is killed had in hand.
_LEFT = {
    WORKER: "runs that were under way are killed, and count as lost",
    SCHEDULER: "another takes over what it had recorded",
}


def up(
    ctx: typer.Context,
    app: App = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Add the sample entries; those that are there stay as they are.")
    ] = False,
    shadow: Shadow = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all that scheduler and worker log.")
    ] = False,
) -> None:
    """Run scheduler and worker together until Ctrl-C, and show each run as it ends.

    Creates or upgrades the database first. Any number of these may share a database. After Ctrl-C nothing
    new begins, and what runs has 30 seconds to end; a second Ctrl-C does not wait. With --shadow there is no
    worker, and nothing runs.
    """
    from beatd.daemon import require_company  # not at the top: every command would load Celery

    state: State = ctx.obj
    state.options.update({"celery.app": app, "scheduler.shadow": shadow})
    database = state.open_database(create=True)
    schema.upgrade(database)
    require_company(state.settings, state.celery, database)
    samples = _add_samples(state, database) if demo else 0
    _print_header(state, database, samples)
    status = _Up(state, database, verbose=verbose).run()
    raise typer.Exit(status)


def _add_samples(state: State, database: Database) -> int:
    """Adds the sample entries that are not there; returns how many."""
    context = Context.of(state.settings, database, state.who, "cli")
    there = {entry.name for entry in entries.find(context)}
    known = {calendar.name for calendar in calendars.find(context)}
    samples = apply.load([config.shipped("config") / "entries.toml"])
    missing = tuple(sample for sample in samples.wanted if sample.name not in there)
    wanted = replace(
        samples,
        wanted=missing,
        calendars=tuple(calendar for calendar in samples.calendars if calendar.name not in known),
    )
    try:
        apply.compare(context, wanted).execute(context)
    except Conflict:  # another `up --demo` was quicker
        return 0
    return len(missing)


def _print_header(state: State, database: Database, samples: int) -> None:
    found = health.status(state.loaded, database, __version__, lambda: state.celery)
    activity = found.activity
    others = sum(node.alive for node in activity.nodes) if activity else 0
    total = activity.backlog.entries if activity else 0
    shadow = state.settings.scheduler.shadow
    lines = {
        "database": found.database,
        "broker": "none is needed in shadow mode" if shadow else found.broker,
        "entries": f"{total} ({samples} samples added)" if samples else f"{total}",
    }
    if others:
        lines["schedulers"] = f"{others} at work already; this one joins"
    state.out.print(Text(f"beatd {__version__}", style="bold"))
    for name, value in lines.items():
        print_hanging(state.out, Text(f"  {name:<11}", style="dim"), Text(value))
    state.out.print("\nIn another terminal:")
    print_next(
        state,
        {
            "runs list": "what ran, with its output",
            "entry list": "what is to run, and when",
            "entry add hi --cron '* * * * *' --shell 'echo hi'": "add one of your own",
            "status": "how things are",
        },
    )
    if shadow:
        state.out.print("\nShadow mode: nothing is run, what would have been is recorded. Ctrl-C ends it.")
        state.out.print("Runs that would have been:")
        return
    state.out.print(f"\nCtrl-C ends it: what runs then has up to {_PATIENCE[WORKER]:g} s (again: at once).")
    state.out.print("Runs, as they end:")


class _Up:
    def __init__(self, state: State, database: Database, *, verbose: bool) -> None:
        self._state = state
        self._verbose = verbose
        self._watch = _Watch(state, database)
        self._last_reports = _LastReports(state, database)
        self._stops = 0
        self._last_said: dict[str, tuple[str, str]] = {}
        logs = ["--log-format", "text" if verbose else "json"]
        config = ["--config", str(state.config_path)] if state.config_path else []
        app = ["--app", state.settings.celery.app] if state.settings.celery.app else []
        commands = {SCHEDULER: this_program(*config, "scheduler", *app, *logs)}
        if state.settings.scheduler.shadow:
            commands[SCHEDULER].append("--shadow")
        else:
            commands[WORKER] = this_program(*config, "worker", "--name", f"up-{os.getpid()}", *app, *logs)
        self._roles = tuple(commands)
        self._children = Children(commands)

    def run(self) -> int:
        """Returns the exit status."""
        status = 0
        with self._children.woken_by_signals(), _handling(self._on_signal):
            try:
                while not self._stops and not status:
                    for event in self._children.wait(_LOOK):
                        status = status or self._tell(event)
                    self._watch.look()
                self._stop()
            finally:
                self._children.kill()
                self._last_reports.close()
        self._watch.look()
        self._watch.print_summary()
        return status

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1

    def _tell(self, event: Said | Ended) -> int:
        """Returns an exit status other than 0 if this cannot go on."""
        if isinstance(event, Said):
            self._say(event)
            return 0
        err = self._state.err
        if not self._verbose:
            for line in event.last:
                if _record(line) is None:
                    err.print(Text(f"{event.role}: {line}", style="dim"), soft_wrap=True)
        if event.again_in is None:
            err.print(Text(f"{event.role} refuses to start; see above", style="bold red"))
            return event.status
        how = f"killed by signal {-event.status}" if event.status < 0 else f"exit status {event.status}"
        text = f"{event.role} ended ({how}); it starts again in {event.again_in:g} s"
        err.print(Text(text, style="bold yellow"))
        return 0

    def _say(self, said: Said) -> None:
        if self._verbose:
            self._state.err.print(Text.assemble((f"{said.role}: ", "dim"), said.line), soft_wrap=True)
            return
        record = _record(said.line)
        if record is None or record["level"] not in ("warning", "error", "critical"):
            return
        if record.get("logger") in _NOT_TOLD:
            return
        text = _told(record)
        if self._last_said.get(said.role) == (record["event"], text):
            return
        self._last_said[said.role] = (record["event"], text)
        style = "yellow" if record["level"] == "warning" else "bold red"
        line = Text.assemble((f"{said.role}: ", "dim"), (str(record["event"]), style), f"  {text}")
        self._state.err.print(line, soft_wrap=True)

    def _stop(self) -> None:
        """Both at once: the scheduler claims no more and publishes what is recorded, the worker's runs come
        to their end. What becomes of them is taken in here, for the scheduler may be gone before them.
        """
        out = self._state.out
        if WORKER in self._roles:
            patience = f"{_PATIENCE[WORKER]:g} s to end (Ctrl-C again: at once)"
            out.print(f"\nStopping: runs that are under way have {patience}")
        at_once = self._stops + 1
        began = monotonic()
        for role in self._roles:
            self._children.stop(role)
        killed: set[str] = set()
        while running := [role for role in self._roles if self._children.running(role)]:
            if self._stops >= at_once:
                self._children.kill()
                out.print("\nEnded at once: runs that were under way will count as lost")
                return
            for role in running:
                if role not in killed and monotonic() - began > _PATIENCE[role]:
                    killed.add(role)
                    self._children.kill(role)
                    out.print(f"\n{role} is not done after {_PATIENCE[role]:g} s: {_LEFT[role]}")
            for event in self._children.wait(_LOOK / 5):
                self._tell(event)
            self._last_reports.take_in()
            self._watch.look()
        while self._last_reports.take_in():
            pass


class _LastReports:
    """Follows the reports queue while this process stops. What it does not take in waits in that queue for
    the next scheduler.
    """

    def __init__(self, state: State, database: Database) -> None:
        self._state = state
        self._database = database
        self._intake: Any = None
        self._wanted = state.settings.celery.reports and not state.settings.scheduler.shadow

    def take_in(self) -> int:
        """How many there were."""
        if not self._wanted:
            return 0
        try:
            self._intake = self._intake or self._connected()
            return int(self._intake.run_once(_LOOK / 5).received)
        except BeatdError:
            self._wanted = False  # to wait for broker or database would keep people from the end
            return 0

    def close(self) -> None:
        if self._intake is not None:
            self._intake.close()

    def _connected(self) -> Any:
        from beatd.broker.configured import configured_consumer
        from beatd.dispatch.reports import Intake

        state = self._state
        with self._database.read() as connection:
            installation = schema.installation_id(connection)
        return Intake(self._database, lambda: configured_consumer(state.celery, state.settings, installation))


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _record(line: str) -> dict[str, Any] | None:
    """The line as our logs write it; None if something else wrote it."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and {"level", "event"} <= record.keys() else None


def _told(record: dict[str, Any]) -> str:
    """The record's fields, one line of each."""
    if record["event"] == "library.message":
        return first_line(str(record.get("message")))
    fields = {name: value for name, value in record.items() if name not in ("timestamp", "level", "event")}
    return "  ".join(
        f"{name}={_last_line(str(value)) if name == 'exception' else first_line(str(value))}"
        for name, value in fields.items()
    )


def _last_line(traceback: str) -> str:
    """What happened. What is indented belongs to the line before."""
    lines = [line for line in traceback.splitlines() if line[:1].strip()]
    return lines[-1] if lines else ""


class _Watch:
    """Prints runs as they end."""

    def __init__(self, state: State, database: Database) -> None:
        self._out, self._err = state.out, state.err
        self._database = database
        self._started = monotonic()
        self._recent = health.Recent(database)
        self._trouble: str | None = None
        self._width = 12

    def look(self) -> None:
        try:
            ended = self._recent.ended()
        except DatabaseUnavailable as error:
            self._say_trouble(redact(str(error)))
            return
        self._say_trouble(None)
        for run in ended:
            self._print(run)

    def _say_trouble(self, trouble: str | None) -> None:
        if trouble and not self._trouble:
            self._err.print(Text(f"{trouble}; waiting for it", style="bold yellow"), soft_wrap=True)
        elif self._trouble and not trouble:
            self._err.print(Text("the database answers again", style="green"))
        self._trouble = trouble

    def _print(self, run: EndedRun) -> None:
        self._width = min(max(self._width, len(run.entry)), 30)
        took = span_text(run.finished_at - run.started_at) if run.started_at else ""
        good = run.state == "succeeded"
        line = Text.assemble(
            (f"{_local(run.finished_at):%H:%M:%S}  ", "dim"),
            (f"{run.entry:<{self._width}}  ", "" if good else "bold"),
            Text(f"{run.state:<9}", style=styled(run.state).style),
            f" {took:>6}  ",
            (said_by(run.state, run.result, run.error, run.reason), "" if good else "red"),
        )
        self._out.print(line, no_wrap=True, overflow="ellipsis", crop=True)

    def print_summary(self) -> None:
        lasted = span_text(timedelta(seconds=monotonic() - self._started))
        counts = self._recent.counts
        parts = [Text.assemble(f"{counts[name]} ", styled(name)) for name in sorted(counts, reverse=True)]
        told = Text(", ").join(parts) if parts else Text("no run ended")
        self._out.print(Text.assemble(told, f" in {lasted}"))


def _local(instant: datetime) -> datetime:
    return instant.astimezone()
