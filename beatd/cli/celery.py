"""`beatd celery`: what the schedule of Celery's beat becomes, from an app or from a scheduler's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from beatd import clock, config
from beatd.cli.context import context_of
from beatd.cli.migration import (
    DryRunOption,
    PartialOption,
    PrefixOption,
    PruneOption,
    run_check,
    run_import,
)
from beatd.cli.output import JsonOption
from beatd.cli.state import State
from beatd.errors import FieldError
from beatd.migrate import celery_beat
from beatd.migrate.found import Found, Reading, Source

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Bring the schedule of Celery's beat over."
)

_AppOption = Annotated[
    str | None,
    typer.Option("--app", "-A", metavar="MODULE:NAME", help="Read the beat_schedule of this app."),
]
_DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Read the tables of django-celery-beat or sqlalchemy-celery-beat in this database; "
        "env:NAME or file:PATH say where its URL is.",
    ),
]
_QueueOption = Annotated[
    str | None, typer.Option("--queue", metavar="NAME", help="The queue of entries that name no destination.")
]
_ZoneOption = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="The zone of tables that have none."),
]


@app.callback()
def _group() -> None:
    """Bring the schedule of Celery's beat over."""


@app.command("check")
def check(
    ctx: typer.Context,
    celery_app: _AppOption = None,
    database: _DatabaseOption = None,
    queue: _QueueOption = None,
    timezone: _ZoneOption = None,
    prefix: PrefixOption = "",
    json: JsonOption = False,
) -> None:
    """Say what each entry of beat would become, when that would fire, and what is odd about it.

    Nothing is stored. Ends with 1 if any entry would be lost or mean something else.
    """
    state: State = ctx.obj
    reading, _ = _read(state, celery_app, database, queue, timezone)
    run_check(state, reading, prefix=prefix, json=json)


@app.command("import")
def import_(
    ctx: typer.Context,
    celery_app: _AppOption = None,
    database: _DatabaseOption = None,
    queue: _QueueOption = None,
    timezone: _ZoneOption = None,
    dry_run: DryRunOption = False,
    prune: PruneOption = False,
    prefix: PrefixOption = "",
    partial: PartialOption = False,
    json: JsonOption = False,
) -> None:
    """Make an entry of each of beat's. Again, it changes what changed there."""
    state: State = ctx.obj
    reading, source = _read(state, celery_app, database, queue, timezone)
    sources = [*dict.fromkeys([source, *reading.keys])]
    if prune:
        celery_beat.refuse_foreign(context_of(state), reading, sources)
    run_import(
        state, reading, sources, prune=prune, prefix=prefix, partial=partial, dry_run=dry_run, json=json
    )


def _read(
    state: State, app_path: str | None, database: str | None, queue: str | None, timezone: str | None
) -> tuple[Reading, Source]:
    if (app_path is None) == (database is None):
        problem = "give one of --app and --database"
        raise FieldError("app", app_path, problem, example="--app proj.celery:app")
    if app_path is not None:
        reading, source = celery_beat.read_app(app_path, clock.wall())
    else:
        reading, source = celery_beat.read_tables(
            _url(str(database)), clock.wall(), timezone=timezone, app_path=state.settings.celery.app
        )
    notes = celery_beat.routing_notes(reading, state.settings.celery.app, app_path, queue)
    reading = replace(reading, notes=(*reading.notes, *notes))
    return replace(reading, found=tuple(_in_queue(found, queue) for found in reading.found)), source


def _in_queue(found: Found, queue: str | None) -> Found:
    options: Mapping[str, Any] = found.options
    if queue is None or {"queue", "exchange", "routing_key"} & options.keys():
        return found
    return replace(found, options={**options, "queue": queue})


def _url(given: str) -> str:
    """What a process's arguments are, everybody on the machine can see: so a URL may be somewhere else."""
    kind, _, place = given.partition(":")
    if kind == "env":
        url = config.variable(place)
        if url is None:
            raise FieldError("database", given, "there is no such variable", example="env:DATABASE_URL")
        return url.strip()
    if kind == "file" and not place.startswith("//"):
        try:
            return Path(place).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
            raise FieldError("database", given, problem, example="file:/run/secrets/database_url") from None
    return given
