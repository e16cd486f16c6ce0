"""The command line's frame: which commands there are, and how every one of them ends.

Exit status: 0 done, 1 failed, 2 bad input, 130 interrupted. Results go to stdout, everything else to
stderr. A command's module is imported only when the command is called: `beatd --help` stays quick.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from beatd import __version__
from beatd.cli import streams
from beatd.cli.state import State
from beatd.errors import BeatdError, BrokerUnavailable, FieldError, InvalidInput, NotFound


class _Command(NamedTuple):
    """`where` names a function, or a Typer app of several commands, as `module:name`."""

    where: str
    help: str
    panel: str


_START = "Start"
_ENTRIES = "Entries and runs"
_CARE = "Upkeep"

_COMMANDS = {
    "init": _Command("beatd.cli.setup:init", "Write a commented configuration, set up the database.", _START),
    "up": _Command("beatd.cli.up:up", "Run scheduler and worker together until Ctrl-C.", _START),
    "scheduler": _Command("beatd.cli.process:scheduler", "Run one scheduler node.", _START),
    "worker": _Command("beatd.cli.process:worker", "Run one Celery worker that reports.", _START),
    "entry": _Command("beatd.cli.entry:app", "Add, list, change, pause, trigger … entries.", _ENTRIES),
    "next": _Command("beatd.cli.next:next_fires", "When a rule fires, without storing it.", _ENTRIES),
    "agenda": _Command("beatd.cli.agenda:show_agenda", "When how much is due, and what to spread.", _ENTRIES),
    "explain": _Command("beatd.cli.explain:explain_entry", "Why an entry did or did not run.", _ENTRIES),
    "runs": _Command("beatd.cli.runs:app", "List, show, revoke runs.", _ENTRIES),
    "apply": _Command("beatd.cli.apply:apply", "Make the entries as TOML files say.", _ENTRIES),
    "export": _Command("beatd.cli.apply:export", "Print the entries as TOML.", _ENTRIES),
    "calendar": _Command("beatd.cli.calendar:app", "Dates on which entries do not fire.", _ENTRIES),
    "pause": _Command("beatd.cli.pause:pause_all", "Stop everything from firing (--all).", _ENTRIES),
    "resume": _Command("beatd.cli.pause:resume_all", "Let everything fire again (--all).", _ENTRIES),
    "crontab": _Command("beatd.cli.crontab:app", "Bring crontab lines over.", _ENTRIES),
    "celery": _Command("beatd.cli.celery:app", "Bring the schedule of Celery's beat over.", _ENTRIES),
    "systemd": _Command("beatd.cli.systemd:app", "Bring systemd's timers over.", _ENTRIES),
    "kubernetes": _Command("beatd.cli.kubernetes:app", "What CronJobs would be as entries.", _ENTRIES),
    "status": _Command("beatd.cli.status:status", "What runs where, and how late it is.", _CARE),
    "verify": _Command("beatd.cli.verify:verify_history", "Whether every fire became a run, once.", _CARE),
    "doctor": _Command("beatd.cli.doctor:doctor", "Check everything, say what to do.", _CARE),
    "db": _Command("beatd.cli.database:app", "Upgrade or check the database.", _CARE),
}


class _Commands(TyperGroup):
    """Lists commands from the table; imports only the one that is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, listed in _COMMANDS.items():
            self.add_command(TyperCommand(name, help=listed.help, rich_help_panel=listed.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, _imported(name) if name and listed else None, rest


def _imported(name: str) -> Any:
    module, _, attribute = _COMMANDS[name].where.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        command = typer.Typer(add_completion=False)
        command.command(name)(found)
        found = command
    return typer.main.get_command(found)


app = typer.Typer(
    name="beatd",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"beatd {__version__}")
        raise typer.Exit


@app.callback()
def _frame(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="PATH", help="The configuration file.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The scheduler daemon that replaces cron: entries in SQL, Celery workers, history."""
    ctx.obj.config_path = config


def main() -> None:
    """What the command `beatd` runs. Ends the process."""
    state = State()
    streams.prepare()
    try:
        app(obj=state, prog_name="beatd")
    except BrokerUnavailable as error:
        from beatd.redaction import redact  # kombu masks passwords in its own way

        _fail(state, redact(str(error)), 1)
    except BeatdError as error:
        _fail(state, error, _exit_status(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        _fail(state, f"{error.filename or type(error).__name__}: {error.strerror or error}", 1)
    except UnicodeEncodeError as error:  # a name, say, that no database can be asked for
        _fail(state, f"{error.object!r}: is not UTF-8 text", 2)
    except Exception as error:
        _fail(state, f"{type(error).__name__}: {error} (a bug; BEATD_LOG_LEVEL=debug shows where)", 1)
    finally:
        state.close()
        _flush()


def _flush() -> None:
    """Now rather than when the interpreter ends, which would complain of a reader that went away."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit_status(error: BeatdError) -> int:
    return 2 if isinstance(error, FieldError | InvalidInput | NotFound) else 1


def _fail(state: State, error: object, status: int) -> None:
    if state.debugging:
        import traceback

        traceback.print_exc()
    for line in str(error).splitlines():
        print(f"beatd: {line}", file=sys.stderr)
    sys.exit(status)
