"""The public Python API: what the command line does, for programs.

    with beatd.Client() as client:
        client.add("nightly", cron="0 3 * * *", shell="/usr/local/bin/backup", expires="6h")
        run = client.trigger("nightly", wait=timedelta(minutes=5))

Options are the keys of an entries file and may have natural values: lists, dicts, numbers, `datetime`,
`timedelta`. Instants are aware UTC. Errors are those of `beatd.errors`.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from beatd import config as configuration
from beatd.operations import (
    agenda,
    backfill,
    brokers,
    calendars,
    entries,
    explain,
    pausing,
    previews,
    runs,
)
from beatd.operations import apply as apply_operation
from beatd.operations.agenda import Agenda
from beatd.operations.apply import Changes
from beatd.operations.backfill import Backfill
from beatd.operations.calendars import Calendar, CalendarYear
from beatd.operations.context import Context
from beatd.operations.entries import Entry, Version
from beatd.operations.explain import Answer as Explained
from beatd.operations.export import exported, toml
from beatd.operations.moments import Moment
from beatd.operations.pausing import Pause
from beatd.operations.previews import Preview
from beatd.operations.runs import Revocation
from beatd.operations.upcoming import Upcoming, upcoming
from beatd.store import schema
from beatd.store.engine import Database
from beatd.store.history import Run, Suppressed

__all__ = [
    "Agenda",
    "Backfill",
    "Calendar",
    "CalendarYear",
    "Changes",
    "Client",
    "Entry",
    "Explained",
    "Pause",
    "Preview",
    "Revocation",
    "Run",
    "Suppressed",
    "Upcoming",
    "Version",
]

# `list` is a method below
_Entries = list[Entry]
_Versions = list[Version]
_Runs = list[Run]
_History = list[Run | Suppressed]
_Calendars = list[Calendar]


class Client:
    """One connection to an installation; threads may share it. Close it, or use it in a `with`."""

    def __init__(
        self,
        config: str | Path | None = None,
        database_url: str | None = None,
        *,
        who: str | None = None,
    ) -> None:
        """Reads the configuration as the command line does: `config` is the file of `--config`,
        `database_url` goes before all that is configured, `who` is the name in the audit (default: the
        process's user).

        Raises InvalidInput, FieldError, DatabaseUnavailable, SchemaMismatch.
        """
        options = {"database.url": database_url}
        self._settings = configuration.load(Path(config) if config else None, options=options).settings
        self._database = Database.configured(self._settings.database)
        schema.require(self._database)
        self._context = Context.of(self._settings, self._database, who or _user(), "api")

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Entries

    def add(self, name: str, **options: Any) -> Entry:
        """Add an entry. Raises InvalidInput, Conflict if the name is taken."""
        return entries.add(self._context, name, options)

    def change(self, name: str, *, version: int | None = None, **options: Any) -> Entry:
        """Set options of an entry; None unsets one. Its name is changed by `rename`.

        With `version` the entry must still be at it. Raises NotFound, InvalidInput, Conflict.
        """
        return entries.change(self._context, name, options, version=version)

    def preview(self, name: str, **options: Any) -> Preview:
        """What `change` would do: options with their old and new values, and the next fires where they
        change. Raises NotFound, InvalidInput.
        """
        return previews.preview(self._context, name, options)

    def rename(self, name: str, new_name: str) -> Entry:
        """Raises NotFound, InvalidInput, Conflict if the name is taken."""
        return entries.change(self._context, name, {"name": new_name})

    def remove(self, name: str) -> None:
        """Remove an entry; its history stays. Raises NotFound."""
        entries.remove(self._context, name)

    def pause(self, name: str, *, note: str | None = None, until: Moment | None = None) -> Entry:
        """Its fires are counted as paused from now on, until `until` (an instant, how long from now, or
        `never`) or until it is resumed. Of what is paused already, what is not given stays.

        Raises NotFound, FieldError.
        """
        return pausing.pause(self._context, [name], note, until)[0].after

    def resume(self, name: str) -> Entry:
        """Raises NotFound, InvalidInput if the entry is broken."""
        return pausing.resume(self._context, [name])[0].after

    def pause_all(self, *, note: str | None = None, until: Moment | None = None) -> Pause:
        """Nothing fires from now on. Otherwise as `pause`. Raises FieldError."""
        return pausing.pause_all(self._context, note, until).pause

    def resume_all(self) -> Pause | None:
        """Ends the pause of everything; returns it, None if there was none."""
        return pausing.resume_all(self._context)

    def paused(self, name: str | None = None) -> Pause | None:
        """Since when an entry is paused, or everything, and why; None if it is not. Raises NotFound."""
        return pausing.all_paused(self._context) if name is None else pausing.pause_of(self._context, name)

    def restore(self, name: str, version: int) -> Entry:
        """Make an entry what it was at a version; one that was removed is added anew.

        Raises NotFound, InvalidInput.
        """
        return entries.restore(self._context, name, version)

    def list(self, *patterns: str, state: str | None = None) -> _Entries:
        """Entries by name; `patterns` are names or globs."""
        return entries.find(self._context, patterns, state)

    def get(self, name: str) -> Entry:
        """Raises NotFound."""
        return entries.show(self._context, name)

    def next(self, name: str, count: int = 10, after: datetime | str | None = None) -> Upcoming:
        """The coming fires, strictly after `after` (default: now), and what becomes no run. Raises NotFound,
        InvalidInput.
        """
        return upcoming(self._context, name, count, after)

    def explain(self, name: str, at: Moment | None = None) -> Explained:
        """Why an entry did or did not run at a time (an instant, of which the minute counts, a date, a time
        of day, or how long ago), or does not run now; also of an entry that was removed.

        Raises NotFound, FieldError.
        """
        return explain.explain(self._context, name, at)

    def agenda(self, start: Moment | None = None, end: Moment | None = None, by: str = "hour") -> Agenda:
        """The load of all entries from `start` (default: now) to `end` (a day later), by minute or hour: the
        worst minutes, and what to spread. Instants, or how long from now. Raises FieldError.
        """
        return agenda.agenda(self._context, start, end, by)

    def versions(self, name: str) -> _Versions:
        """Every version, newest first: who, when, what changed. Raises NotFound."""
        return entries.versions(self._context, name)

    # Calendars

    def add_calendar(self, name: str, **options: Any) -> Calendar:
        """Add a named set of dates: `dates`, `weekdays`, public holidays of a `country` and its `region`.

        Raises InvalidInput, Conflict if the name is taken.
        """
        return calendars.add(self._context, name, options)

    def change_calendar(self, name: str, **options: Any) -> Calendar:
        """Set options of a calendar; None unsets one. Raises NotFound, InvalidInput."""
        return calendars.change(self._context, name, options)

    def remove_calendar(self, name: str) -> None:
        """Raises NotFound, Conflict while entries use it."""
        calendars.remove(self._context, name)

    def calendars(self) -> _Calendars:
        """All, by name."""
        return calendars.find(self._context)

    def calendar(self, name: str, year: int | None = None) -> CalendarYear:
        """A calendar and its dates of a year (default: this one). Raises NotFound, FieldError."""
        return calendars.show(self._context, name, year)

    # Runs

    def trigger(self, name: str, *, wait: timedelta | None = None) -> Run:
        """Ask for a run now; with `wait` return once it has ended, or as it is after that time.

        Raises NotFound, InvalidInput if the entry is broken.
        """
        run = runs.trigger(self._context, name)
        return run if wait is None else runs.wait(self._context, run.id, wait)

    def backfill(
        self,
        name: str,
        start: Moment,
        end: Moment | None = None,
        *,
        overlap: str | None = None,
        rate: str | None = None,
        missing: bool = False,
        dry_run: bool = False,
    ) -> Backfill:
        """Make the runs of the fires from `start` to `end` (default: now), both included; instants, or how
        long ago. With overlap `allow` at the `rate` (`10/s`, `30/m`), with `queue` one after the other;
        `missing` leaves out fires that have a run which succeeded or may still.

        Raises NotFound, InvalidInput if the entry is broken, FieldError.
        """
        return backfill.backfill(
            self._context, name, start, end, overlap=overlap, rate=rate, missing=missing, dry_run=dry_run
        )

    def revoke_backfill(self, origin: str) -> int:
        """Revoke the runs of a backfill that have not begun; returns how many. Raises NotFound."""
        return backfill.revoke(self._context, origin)[1]

    def runs(
        self,
        entry: str | None = None,
        *,
        states: Sequence[str] = (),
        since: Moment | None = None,
        limit: int = 50,
    ) -> _Runs:
        """The newest runs; `since` is an instant or how long ago. Raises NotFound, FieldError."""
        return runs.find(self._context, entry, states, since, limit)

    def run(self, run_id: str) -> Run:
        """The run of this id, or of this beginning of an id. Raises NotFound, FieldError."""
        return runs.show(self._context, run_id)

    def wait(self, run_id: str, timeout: timedelta) -> Run:
        """The run once it has ended, or as it is after `timeout`. Raises NotFound, FieldError."""
        return runs.wait(self._context, run_id, timeout)

    def history(self, name: str, *, since: Moment | None = None, limit: int = 50) -> _History:
        """An entry's runs, and the fires that became none, newest first. Raises NotFound."""
        return runs.entry_history(self._context, name, since, limit)

    def revoke(self, run_id: str) -> Revocation:
        """Keep a run from starting, or ask the workers to end it.

        Raises NotFound, BrokerUnavailable, and Conflict if it has ended or workers cannot be asked.
        """
        return runs.revoke(self._context, run_id, self._ask_workers)

    # Files

    def apply(self, *paths: str | Path, prune: bool = False, dry_run: bool = False) -> Changes:
        """Make the entries as files say, all or nothing; returns what changed, or would change.

        Raises InvalidInput with every finding, Conflict if an entry is edited at the same time.
        """
        files = apply_operation.load([Path(path) for path in paths])
        comparison = apply_operation.compare(self._context, files, prune=prune)
        if not dry_run:
            comparison.execute(self._context)
        return comparison.changes

    def export(self, *patterns: str) -> str:
        """The entries, and the calendars that they name, as TOML; applying that changes nothing."""
        return toml(*exported(self._context, patterns))

    def _ask_workers(self, run: str, *, terminate: bool) -> None:
        from beatd.broker.app import revoke
        from beatd.broker.configured import configured_app

        app = configured_app(self._settings)
        brokers.require_same(self._context, lambda: app)
        revoke(app, run, terminate)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
