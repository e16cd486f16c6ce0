"""`beatd scheduler` and `beatd worker`: one role in this process; what systemd runs."""

from __future__ import annotations

import socket
from enum import StrEnum
from typing import Annotated

import typer

from beatd import config, logs
from beatd.cli.state import State
from beatd.errors import DatabaseUnavailable, SchemaMismatch

#: `beatd up` reads its children's logs; people set log.format.
LogFormat = Annotated[str | None, typer.Option("--log-format", hidden=True)]


#: Celery's own spelling of it.
App = Annotated[
    str | None, typer.Option("--app", "-A", metavar="MODULE:NAME", help="Your Celery app; or celery.app.")
]


#: None where it is not given: then the configuration says.
Shadow = Annotated[
    bool | None,
    typer.Option(
        "--shadow",
        help="Publish nothing: record what would have run, to compare it with what cron does.",
        show_default=False,
    ),
]


class Pool(StrEnum):
    """Celery's kinds of pools that work without more libraries."""

    prefork = "prefork"
    threads = "threads"
    solo = "solo"


def scheduler(
    ctx: typer.Context, app: App = None, shadow: Shadow = None, log_format: LogFormat = None
) -> None:
    """Run one scheduler node until SIGTERM. Any number of nodes may share a database.

    SIGHUP reads the configuration again. With --shadow all nodes of the database must have it.
    """
    from beatd import daemon

    state: State = ctx.obj
    state.options["scheduler.shadow"] = shadow
    _prepare(state, app, log_format)
    raise typer.Exit(daemon.run(state.loaded, lambda: config.load(state.config_path, options=state.options)))


def worker(
    ctx: typer.Context,
    app: App = None,
    queue: Annotated[
        list[str] | None, typer.Option("--queue", "-Q", help="Take runs from this queue. May be repeated.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="How many runs at a time.")] = None,
    name: Annotated[
        str | None, typer.Option(help="The worker's name. Default: its queues, else beatd; @HOST is added.")
    ] = None,
    pool: Annotated[Pool, typer.Option(help="How runs are kept apart.")] = Pool.prefork,
    log_format: LogFormat = None,
) -> None:
    """Run one Celery worker that reports what becomes of each run, until SIGTERM."""
    from beatd.worker.run import run

    state: State = ctx.obj
    _prepare(state, app, log_format)
    _tell_database(state)
    queues = queue or []
    name = name or "-".join(queues) or "beatd"
    status = run(
        state.celery,
        state.settings,
        queues=queues,
        concurrency=concurrency,
        hostname=name if "@" in name else f"{name}@{socket.gethostname()}",
        pool=pool.value,
    )
    raise typer.Exit(status)


def _prepare(state: State, app: str | None, log_format: str | None) -> None:
    state.options.update({"celery.app": app, "log.format": log_format})
    log = state.settings.log
    logs.configure(log.level, log.format)
    _tell_configuration(state)


def _tell_configuration(state: State) -> None:
    log = logs.get_logger()
    log.info("config.loaded", file=state.loaded.file, set_by=dict(state.loaded.origins))
    for warning in state.loaded.warnings:
        log.warning("config.warning", warning=warning)


def _tell_database(state: State) -> None:
    """A worker waits for a database that it needs, run by run; that it cannot be used is told at once."""
    try:
        state.database()
    except (DatabaseUnavailable, SchemaMismatch) as error:
        logs.get_logger().warning("database.unavailable", error=str(error))
    finally:
        state.close()  # the pool's processes open their own
