"""`beatd crontab`: what the lines of crontabs become, and entries as a crontab."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, cast

import typer
from rich.text import Text

from beatd import clock
from beatd.cli.context import context_of
from beatd.cli.crontab_check import Report, worker_lines
from beatd.cli.crontab_verify import Asked
from beatd.cli.crontab_verify import run as run_verify
from beatd.cli.migration import DryRunOption, PartialOption, PrefixOption, PruneOption, run_import
from beatd.cli.output import JsonOption, print_hanging, print_json
from beatd.cli.state import State
from beatd.errors import FieldError, NotFound
from beatd.migrate import importing
from beatd.migrate.crontab.crons import Cron, Form
from beatd.migrate.crontab.dialects import DIALECTS
from beatd.migrate.crontab.entries import KIND, Taking, source_of
from beatd.migrate.crontab.exporter import export as exported
from beatd.migrate.crontab.exporter import is_export
from beatd.migrate.crontab.installed import installed_cron
from beatd.migrate.crontab.sayable import Target
from beatd.migrate.crontab.tabs import Rules, Tabs, read_tabs, without_missing
from beatd.migrate.found import Source
from beatd.migrate.machine import local_zone
from beatd.operations import entries
from beatd.operations.context import Offline
from beatd.schedules import parse_zone
from beatd.schedules.text import parse_choice

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Bring crontabs over, and entries back to one."
)

_FilesArgument = Annotated[
    list[Path],
    typer.Argument(metavar="FILE", help="Crontabs, folders of them; - is standard input."),
]
_SystemOption = Annotated[
    bool, typer.Option("--system", help="Each line names a user, as in /etc/crontab; else told by the file.")
]
_UserOption = Annotated[bool, typer.Option("--user", help="No line names a user, as in crontab -l.")]
_CronOption = Annotated[
    str | None,
    typer.Option("--cron", metavar="debian|cronie", help="Whose crontab it is; the installed one's."),
]
_DialectOption = Annotated[
    str | None,
    typer.Option("--dialect", metavar="NAME", help="Take lines of another scheduler, such as supercronic."),
]
_ZoneOption = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="The zone of the machine with the cron; this one's."),
]
_QueueOption = Annotated[
    str | None,
    typer.Option("--queue", metavar="NAME", help="Where the commands of lines without a user go."),
]
_RunPartsOption = Annotated[
    str,
    typer.Option(
        "--run-parts", metavar="folder|scripts", help="A folder of scripts: one entry, or one for each."
    ),
]
_AcceptOption = Annotated[
    bool,
    typer.Option(
        "--accept-cron-tz",
        help="Take lines of a CRON_TZ that cronie drops in the hour that the machine's clock repeats: they "
        "run here.",
    ),
]
_HostOption = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="NAME|any",
        help="At whose boots @reboot runs: this machine's if the file is its cron's, else any's.",
    ),
]

_CRON_GOES_ON = (
    "cron still runs these lines: take them out of it when beatd is to run them (beatd up --shadow tries it "
    "without running anything)"
)


@app.callback()
def _group() -> None:
    """Bring crontabs over, and entries back to one."""


@app.command("check")
def check(
    ctx: typer.Context,
    files: _FilesArgument,
    system: _SystemOption = False,
    user: _UserOption = False,
    cron: _CronOption = None,
    dialect: _DialectOption = None,
    timezone: _ZoneOption = None,
    queue: _QueueOption = None,
    prefix: PrefixOption = "",
    run_parts: _RunPartsOption = "folder",
    accept_cron_tz: _AcceptOption = False,
    host: _HostOption = None,
    json: JsonOption = False,
) -> None:
    """Say what each line of a crontab is, what it would become, when that would fire, and what is odd about
    it. Nothing is stored. Ends with 1 if any line would be lost or mean something else."""
    state: State = ctx.obj
    taking = _taking(timezone, queue, run_parts, accept_cron_tz, host)
    tabs = _read(files, _rules(system, user, cron, dialect), taking)
    rows = importing.check(Offline.of(state.settings), tabs.reading, clock.wall(), prefix=prefix)
    report = Report(tabs, rows)
    if json:
        print_json(report.document())
    else:
        report.print(state.out)
    if not report.is_clean:
        raise typer.Exit(1)


@app.command("import")
def import_(
    ctx: typer.Context,
    files: _FilesArgument,
    system: _SystemOption = False,
    user: _UserOption = False,
    cron: _CronOption = None,
    dialect: _DialectOption = None,
    timezone: _ZoneOption = None,
    queue: _QueueOption = None,
    prefix: PrefixOption = "",
    run_parts: _RunPartsOption = "folder",
    accept_cron_tz: _AcceptOption = False,
    host: _HostOption = None,
    dry_run: DryRunOption = False,
    prune: PruneOption = False,
    partial: PartialOption = False,
    json: JsonOption = False,
) -> None:
    """Make an entry of every line of crontabs that runs something. Again, it changes what changed in them."""
    state: State = ctx.obj
    taking = _taking(timezone, queue, run_parts, accept_cron_tz, host)
    tabs = _read(files, _rules(system, user, cron, dialect), taking)
    earlier = _earlier(state)
    tabs = without_missing(tabs, earlier, prune=prune)
    sources = [(KIND, source) for source in _sources(files, tabs, earlier)]
    done = run_import(
        state,
        replace(tabs.reading, exported=_exported(tabs)),
        sources,
        prune=prune,
        prefix=prefix,
        partial=partial,
        dry_run=dry_run,
        json=json,
    )
    if not json and not dry_run and any(row.action == "add" for row in done.rows):
        for text in [*worker_lines(tabs.reading.found), _CRON_GOES_ON]:
            print_hanging(state.err, Text(), Text(text, style="yellow"))


@app.command("export")
def export(
    ctx: typer.Context,
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names or globs.", show_default=False)
    ] = None,
    system: Annotated[bool, typer.Option("--system", help="With a user in each line.")] = False,
    cron: Annotated[
        str | None,
        typer.Option("--cron", metavar="debian|cronie", help="For which cron; the installed one."),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", metavar="ZONE", help="Of the machine that is to have it; this one's."),
    ] = None,
) -> None:
    """Print entries as a crontab. What cron cannot say is a comment with the reason."""
    state: State = ctx.obj
    context = context_of(state)
    target = Target(
        cron=_cron(cron),
        form="system" if system else "user",
        timezone=_zone(timezone),
        default_zone=context.timezone,
        now=clock.wall(),
    )
    found = entries.find(context, patterns or [])
    # a crontab without a line would take all of them from whoever puts it in the place of his own
    for pattern in patterns or ["*"]:
        if not entries.find(context, [pattern]):
            raise NotFound("entry", pattern)
    crontab = exported(found, target)
    _write(crontab.text)
    if crontab.unsaid:
        told = f"{len(crontab.unsaid)} of {len(found)} entries are comments: cron cannot say what they do"
        state.err.print(Text(told, style="yellow"), soft_wrap=True)


@app.command("verify")
def verify(
    ctx: typer.Context,
    files: _FilesArgument,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="A date, a time; today if not given.", show_default=False
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="TIME", help="Up to here; two years later if not given.", show_default=False
        ),
    ] = None,
    system: _SystemOption = False,
    user: _UserOption = False,
    cron: _CronOption = None,
    dialect: _DialectOption = None,
    timezone: _ZoneOption = None,
    dry: Annotated[
        bool, typer.Option("--dry", help="Against what an import would make, without a database.")
    ] = False,
    against_log: Annotated[
        Path | None,
        typer.Option(
            "--against-log",
            metavar="LOG",
            help="Compare with what cron's log says that it started; - is standard input.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="Of a log of several hosts, the one to look at.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Work out when cron starts each line, by cron's own rules, and compare with when its entry fires. Ends
    with 1 if anything differs."""
    state: State = ctx.obj
    taking = _taking(timezone, None, "folder", accept_cron_tz=True)
    asked = Asked(
        tabs=_read(files, _rules(system, user, cron, dialect), taking),
        machine=parse_zone(taking.timezone),
        dialect=dialect,
        start=start,
        end=end,
        dry=dry,
        log=against_log,
        host=host,
        json=json,
        stdin=_stdin,
    )
    run_verify(state, asked)


def _sources(files: list[Path], tabs: Tabs, earlier: Mapping[str, int]) -> set[str]:
    """What was read, and what was imported earlier from a folder that is named, and is gone from there."""
    folders = {source_of(str(path)) for path in files if path.is_dir()}
    sources = {source for source in earlier if str(Path(source).parent) in folders}
    return sources | {source_of(tab.crontab.path) for tab in tabs.tabs} | set(tabs.missing)


def _earlier(state: State) -> Mapping[str, int]:
    """The files from which entries were imported, and how many are there of each."""
    origins = [entry.origin for entry in entries.find(context_of(state)) if entry.origin]
    return Counter(origin.source for origin in origins if origin.kind == KIND)


def _exported(tabs: Tabs) -> frozenset[Source]:
    return frozenset((KIND, source_of(tab.crontab.path)) for tab in tabs.tabs if is_export(tab.crontab))


def _read(files: list[Path], rules: Rules, taking: Taking) -> Tabs:
    return read_tabs(files, rules, taking, _stdin)


def _stdin() -> bytes:
    """All of it, as it came; of a text that stands for it, what that would be."""
    stream = getattr(sys.stdin, "buffer", None)
    return stream.read() if stream else sys.stdin.read().encode("utf-8", "surrogateescape")


def _write(text: str) -> None:
    """Byte for byte: elsewhere, what is not UTF-8 is shown as escapes."""
    stream = getattr(sys.stdout, "buffer", None)
    if stream:
        sys.stdout.flush()
        stream.write(text.encode("utf-8", "surrogateescape"))
    else:
        sys.stdout.write(text)


def _rules(system: bool, user: bool, cron: str | None, dialect: str | None) -> Rules:
    """Raises FieldError."""
    if system and user:
        raise FieldError(
            "form",
            "--system --user",
            "a crontab is a system's or a user's: give one of them",
            example="--user",
        )
    form: Form | None = "system" if system else "user" if user else None
    return Rules(
        _cron(cron), form, None if dialect is None else parse_choice(dialect, tuple(DIALECTS), "dialect")
    )


def _cron(cron: str | None) -> Cron:
    """Raises FieldError."""
    return installed_cron() if cron is None else cast(Cron, parse_choice(cron, ("debian", "cronie"), "cron"))


def _taking(
    timezone: str | None,
    queue: str | None,
    run_parts: str,
    accept_cron_tz: bool = False,
    host: str | None = None,
) -> Taking:
    """Raises FieldError."""
    kind = cast(Literal["folder", "scripts"], parse_choice(run_parts, ("folder", "scripts"), "run_parts"))
    return Taking(_zone(timezone), queue, kind, accept_cron_tz=accept_cron_tz, host=host)


def _zone(timezone: str | None) -> str:
    """Raises FieldError."""
    return local_zone() if timezone is None else parse_zone(timezone).key
