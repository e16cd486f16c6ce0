"""The options of `entry add` and `entry set`, declared once: the keys of an entries file as flags."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple

import typer

from beatd.errors import FieldError


class _Flag(NamedTuple):
    """`kind` is the type that Typer parses; `pairs` says that it is given as KEY=VALUE, many times."""

    key: str
    metavar: str
    help: str
    kind: Any = str
    names: tuple[str, ...] = ()
    pairs: bool = False


#: Of these an entry has exactly one, with what belongs to it.
_WHEN = [
    _Flag(
        "cron", "EXPR", "Five fields, six with seconds first, or an @-name: '*/5 * * * *', @daily, @reboot."
    ),
    _Flag("host", "NAME", "@reboot: of this machine only."),
    _Flag("every", "DURATION", "30s, 5m, 2h, 1d, 1w or 1h30m of elapsed time."),
    _Flag("fixed_delay", "", "--every: counts from the end of the last run.", bool, ("--fixed-delay",)),
    _Flag("at", "TIME", "Once: 2026-03-29T09:30:00Z, or without Z a wall time of the zone."),
    _Flag("calendar_every", "N UNIT", "By the calendar: 10d, 2w, 3mo or 1y."),
    _Flag("time", "HH:MM", "--calendar-every: the wall time (00:00)."),
    _Flag("day", "1-31|last", "--calendar-every: the day of the month."),
    _Flag("solar", "EVENT", "sunrise, sunset, dawn, dusk or noon."),
    _Flag("latitude", "DEGREES", "--solar: north is positive."),
    _Flag("longitude", "DEGREES", "--solar: east is positive."),
    _Flag("custom", "NAME", "An APScheduler trigger that the configuration allows."),
    _Flag("custom_args", "JSON", "--custom: its arguments: '{\"hours\": 8}'."),
]
_WITHIN = [
    _Flag("timezone", "ZONE", "IANA name; the configuration's if not given."),
    _Flag("start_at", "TIME", "No fire before; an interval counts from here."),
    _Flag("end_at", "TIME", "No fire after."),
    _Flag("max_runs", "N", "No more scheduled runs than this."),
    _Flag("calendar", "NAME", "Not on the dates of this calendar (beatd calendar)."),
    _Flag("calendar_action", "drop|next|previous", "Or on the working day after or before."),
    _Flag("jitter", "DURATION", "Up to so much later, by a hash of name and fire time."),
    _Flag("dst_gap", "run_after|skip", "A wall time that daylight saving skips."),
    _Flag("dst_fold", "first|second|both", "A wall time that comes twice."),
]
_WHAT = [
    _Flag("shell", "CMD", "A command for the shell."),
    _Flag("http", "URL", "A request."),
    _Flag("task", "NAME", "A Celery task."),
    _Flag("args", "JSON", "The task's arguments: '[1, 2]'."),
    _Flag("kwargs", "JSON", 'The task\'s named arguments: \'{"key": "value"}\'.'),
    _Flag("timeout", "DURATION", "Shell and HTTP: how long it may take."),
    _Flag("cwd", "PATH", "Shell: the folder to run in."),
    _Flag("env", "NAME=VALUE", "Shell: added to its environment.", pairs=True),
    _Flag("stdin", "TEXT", "Shell: its standard input."),
    _Flag("environment", "worker|cron", "Shell: whose environment, shell and folder it gets (worker)."),
    _Flag("expected_exit_status", "N", "Shell: what counts as success (0).", list[int]),
    _Flag("method", "METHOD", "HTTP: GET if not given."),
    _Flag("request_headers", "NAME=VALUE", "HTTP.", names=("--request-header",), pairs=True),
    _Flag("body", "TEXT", "HTTP."),
    _Flag("expected_status", "N", "HTTP: what counts as success (200 to 299).", list[int]),
]
_WHERE = [
    _Flag("queue", "NAME", "The queue."),
    _Flag("exchange", "NAME", "The exchange."),
    _Flag("exchange_type", "direct|topic", "Its type."),
    _Flag("routing_key", "KEY", "The routing key."),
    _Flag("priority", "N", "0 to 255."),
    _Flag("headers", "NAME=VALUE", "A header of the message.", names=("--header",), pairs=True),
    _Flag("serializer", "NAME", "json, yaml …"),
    _Flag("compression", "NAME", "gzip …"),
    _Flag("time_limit", "DURATION", "After this the worker kills the task."),
    _Flag("soft_time_limit", "DURATION", "After this the task gets an exception."),
    _Flag("ignore_result", "", "Whether Celery keeps no result.", bool),
    _Flag("link", "TASK", "Called when it succeeds.", list[str]),
    _Flag("link_error", "TASK", "Called when it fails.", list[str]),
]
_HOW = [
    _Flag("expires", "DURATION|next|never", "When a run that has not started must not start any more."),
    _Flag("misfire", "skip|latest|all", "What becomes of fires that were missed."),
    _Flag("misfire_grace", "DURATION", "How late a fire may still run."),
    _Flag("misfire_limit", "N", "How many missed fires 'all' makes up: 1 to 1000."),
    _Flag("overlap", "POLICY", "If an earlier run is not finished: allow, skip, queue or cancel."),
    _Flag("on_failure", "continue|pause", "Whether it is paused after failures in a row."),
    _Flag("failure_limit", "N", "After how many: 1 to 1000 (3)."),
    _Flag("on_lost", "continue|rerun", "Whether a run whose worker vanished runs again."),
    _Flag("lost_after", "DURATION", "How long a started run may go unheard of."),
    _Flag("mailto", "ADDRESS", "Whom its output is mailed to, once beatd can mail."),
    _Flag("ping_url", "URL", "Fetched when a run has succeeded: its silence is your alarm."),
    _Flag("alert_url", "URL", "Told of its late, missing and failed runs."),
    _Flag("enabled", "", "Whether it fires.", bool, ("--enabled/--disabled",)),
    _Flag("paused_until", "TIME", "It does not fire before (beatd entry pause)."),
    _Flag("pause_note", "TEXT", "Why it is paused."),
    _Flag("description", "TEXT", "For people."),
]
#: Given as text: what is no number, or out of range, is refused in one line, as in an entries file.
_WHOLE_NUMBERS = ("priority", "misfire_limit", "max_runs", "failure_limit")

_PANELS = {
    "When": _WHEN,
    "Within what limits": _WITHIN,
    "What": _WHAT,
    "Where the message goes": _WHERE,
    "How": _HOW,
}
_TIMING_PANELS = ("When", "Within what limits")
_FLAGS = {flag.key: flag for flags in _PANELS.values() for flag in flags}


def with_entry_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives `command(…, **flags)` all the options; what it gets is for `options_given`."""
    return _with_panels(command, tuple(_PANELS))


def with_timing_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same with those options alone that say when an entry fires."""
    return _with_panels(command, _TIMING_PANELS)


def options_given(flags: dict[str, Any]) -> dict[str, Any]:
    """The options that were on the command line. Raises FieldError for a pair without `=`."""
    given = {key: value for key, value in flags.items() if value is not None and value != []}
    return {key: _value(key, value) for key, value in given.items()}


def _value(key: str, value: Any) -> Any:
    if _FLAGS[key].pairs:
        return _pairs(key, value)
    if key in _WHOLE_NUMBERS and re.fullmatch(r"[+-]?[0-9]{1,30}", value):
        return int(value)
    return value


def _with_panels(command: Callable[..., None], panels: Iterable[str]) -> Callable[..., None]:
    own = inspect.signature(command, eval_str=True)
    parameters = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    parameters += [_parameter(flag, panel) for panel in panels for flag in _PANELS[panel]]
    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _parameter(flag: _Flag, panel: str) -> inspect.Parameter:
    names = flag.names or ("--" + flag.key.replace("_", "-"),)
    if flag.kind is bool and not flag.names:
        names = (f"{names[0]}/--no-{flag.key.replace('_', '-')}",)
    kind = list[str] if flag.pairs else flag.kind
    option = typer.Option(
        *names,
        metavar=flag.metavar or None,
        help=flag.help,
        rich_help_panel=panel,
        show_default=False,
    )
    annotation = Annotated[kind | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(flag.key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _pairs(key: str, texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise FieldError(key, text, "NAME=VALUE is wanted", example="LANG=C.UTF-8")
        pairs[name] = value
    return pairs
