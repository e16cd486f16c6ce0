"""The options that people give, and the columns of `entries` that they become; and back.

The command line, entries files and the Python API share these names. Values may be natural ones (lists,
tables, whole numbers, `datetime`, `timedelta`) or the text that the column holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from beatd.errors import FieldError, nearest
from beatd.planning.task import HTTP_TASK, SHELL_TASK
from beatd.planning.timing import BELONGS_TO, KINDS
from beatd.schedules import format_duration, format_instant
from beatd.store.entries import EDITABLE_COLUMNS
from beatd.store.types import json_text

Options = Mapping[str, Any]

#: Options that are arguments of the shipped tasks, with the names that the tasks give them.
SHELL_ARGUMENTS = {
    "shell": "command",
    "cwd": "cwd",
    "env": "env",
    "stdin": "stdin",
    "timeout": "timeout",
    "expected_exit_status": "expected_exit_status",
    "environment": "environment",
}
HTTP_ARGUMENTS = {
    "http": "url",
    "method": "method",
    "request_headers": "headers",
    "body": "body",
    "timeout": "timeout",
    "expected_status": "expected_status",
}
_ARGUMENTS = {SHELL_TASK: SHELL_ARGUMENTS, HTTP_TASK: HTTP_ARGUMENTS}
_TASK_ARGUMENTS = SHELL_ARGUMENTS | HTTP_ARGUMENTS

_KINDS_OF_TASK = ("shell", "http", "task")
_JSON_COLUMNS: dict[str, type] = {"args": list, "kwargs": dict, "headers": dict, "custom_args": dict}
_NAMES_COLUMNS = ("link", "link_error")
_WHOLE_NUMBERS = ("priority", "misfire_limit", "max_runs", "failure_limit")
_EXAMPLES = {
    "args": "[1, 2]",
    "kwargs": '{"key": "value"}',
    "headers": '{"key": "value"}',
    "custom_args": '{"hours": 8}',
}

#: Columns that hold yes or no; nothing in them means the default.
BOOLEANS = ("enabled", "fixed_delay", "ignore_result")

#: Columns on which it depends when an entry fires.
TIMING_COLUMNS = frozenset(EDITABLE_COLUMNS[EDITABLE_COLUMNS.index("cron") : EDITABLE_COLUMNS.index("task")])

#: Every option, in the order in which they are shown and exported; `name` is not one of them.
OPTIONS = (
    *EDITABLE_COLUMNS[1 : EDITABLE_COLUMNS.index("task")],
    *_KINDS_OF_TASK,
    *(name for name in _TASK_ARGUMENTS if name not in _KINDS_OF_TASK),
    *EDITABLE_COLUMNS[EDITABLE_COLUMNS.index("args") :],
)

#: Those of which only some mean anything beside each other: of a kind of schedule, and of task.
SCHEDULE_OPTIONS = frozenset({*KINDS, *BELONGS_TO})
TASK_OPTIONS = frozenset({*_KINDS_OF_TASK, *_TASK_ARGUMENTS, "args", "kwargs"})

_REBOOT = "@reboot"


@dataclass(frozen=True, slots=True)
class Written:
    """All columns of an entry, and what is wrong with the options that they come from."""

    columns: Mapping[str, Any]
    findings: tuple[FieldError, ...] = ()


def new_columns(name: str, options: Options) -> Written:
    """The columns of a new entry."""
    empty = dict.fromkeys(EDITABLE_COLUMNS) | {"name": name, "enabled": True}
    return changed_columns(empty, options)


def changed_columns(current: Mapping[str, Any], options: Options) -> Written:
    """The columns of an entry after `options` were set; None unsets one.

    A new kind of schedule or of task takes the place of the old one and of what belongs to it alone.
    """
    findings = [_unknown(key, value) for key, value in options.items() if not _is_known(key)]
    columns = dict(current)
    _replace_schedule(columns, options)
    _drop_what_belongs(columns, options)
    for key in [key for key in options if key in EDITABLE_COLUMNS]:
        _collect(findings, partial(_set, columns, key, options[key]))
    _collect(findings, partial(_replace_task, columns, current["task"], options))
    return Written(columns, tuple(findings))


def options_of(columns: Mapping[str, Any]) -> dict[str, Any]:
    """What `new_columns` makes these columns of, in natural values; what is at its default is left out."""
    given = [(key, columns.get(key)) for key in EDITABLE_COLUMNS if key != "name"]
    values = {key: natural_value(key, value) for key, value in given if value is not None}
    arguments = _ARGUMENTS.get(str(columns.get("task")))
    if arguments and isinstance(values.get("kwargs"), dict) and not values.get("args"):
        kwargs = dict(values["kwargs"])
        named = {option: kwargs.pop(name) for option, name in arguments.items() if name in kwargs}
        kind = next(iter(arguments))
        # a null cannot be told from an option that was not given
        if kind in named and None not in named.values():
            values |= named | {"task": None, "kwargs": kwargs or None}
    if values.get("enabled"):
        del values["enabled"]
    if not values.get("fixed_delay"):
        values.pop("fixed_delay", None)
    return {key: values[key] for key in OPTIONS if values.get(key) is not None}


def option_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The options that differ between two sets of columns, with their old and new values."""
    before, after = ({"enabled": True} | options_of(columns) for columns in (old, new))
    before["name"], after["name"] = old.get("name"), new.get("name")
    different = [key for key in ("name", *OPTIONS) if not same_value(before.get(key), after.get(key))]
    return {key: (before.get(key), after.get(key)) for key in different}


def same_value(one: Any, other: Any) -> bool:
    """Whether two natural values are the same: Python takes 1, 1.0 and true for equal."""
    if one is other:
        return True
    if one is None or isinstance(one, str) or other is None or isinstance(other, str):
        return type(one) is type(other) and bool(one == other)
    return _as_json(one) == _as_json(other)


def argument_option(task: str, argument: str) -> str:
    """The option that stands for a shipped task's argument; `env.LANG` counts as `env`."""
    options = {name: option for option, name in _ARGUMENTS.get(task, {}).items()}
    first, dot, rest = argument.partition(".")
    return options.get(first, first) + dot + rest


def natural_value(key: str, value: Any) -> Any:
    """The column's value as a list, table or name list; as it is where it is not what it should be."""
    if not isinstance(value, str):
        return value
    if key in _NAMES_COLUMNS:
        return [name.strip() for name in value.split(",")]
    if key in _JSON_COLUMNS:
        try:
            parsed = json.loads(value)
        except ValueError:
            return value
        return parsed if isinstance(parsed, _JSON_COLUMNS[key]) else value
    return value


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The columns that differ in meaning: `[1,2]` and `[1, 2]` are two spellings of the same."""
    spelt = [key for key in EDITABLE_COLUMNS if one.get(key) != other.get(key)]
    return [key for key in spelt if _comparable(key, one.get(key)) != _comparable(key, other.get(key))]


# What contradicts, and what takes the place of what


def _is_known(key: str) -> bool:
    return key in OPTIONS or key == "name"


def _unknown(key: str, value: Any) -> FieldError:
    near = nearest(key.replace("-", "_"), OPTIONS)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(OPTIONS)}"
    return FieldError(key, value, f"unknown option{hint}")


def _collect(findings: list[FieldError], step: Callable[[], object]) -> None:
    try:
        step()
    except FieldError as finding:
        findings.append(finding)


def _replace_schedule(columns: dict[str, Any], options: Options) -> None:
    kinds = {kind for kind in KINDS if options.get(kind) is not None}
    if not kinds:
        return
    if "custom" in kinds and options["custom"] != columns["custom"]:
        columns["custom_args"] = None
    columns.update(dict.fromkeys(KINDS))
    columns.update({key: None for key, belongs_to in BELONGS_TO.items() if kinds.isdisjoint(belongs_to)})
    if options.get("cron") != _REBOOT:
        columns["host"] = None
    else:
        columns.update({"dst_gap": None, "dst_fold": None})


def _drop_what_belongs(columns: dict[str, Any], options: Options) -> None:
    """To unset an option unsets what means nothing without it."""
    if "calendar" in options and options["calendar"] is None:
        columns["calendar_action"] = None
    if options.get("on_failure", "pause") in (None, "continue"):
        columns["failure_limit"] = None
    if options.get("enabled", False) in (None, True) and columns["paused_until"] is None:
        columns["pause_note"] = None


def _replace_task(columns: dict[str, Any], before: str | None, options: Options) -> None:
    """Writes `task` and `kwargs` from whichever of shell, http, task and their arguments were given."""
    given = [kind for kind in _KINDS_OF_TASK if options.get(kind) is not None]
    if len(given) > 1:
        raise FieldError("task", " and ".join(given), "give exactly one of shell, http and task")
    task = columns["task"]
    if given and given[0] != "task":
        task = SHELL_TASK if given[0] == "shell" else HTTP_TASK
    if task is None:
        problem = "give one of shell (a command), http (a URL) and task (the name of a Celery task)"
        raise FieldError("task", None, problem)
    if task != before:
        columns.update({key: None for key in ("args", "kwargs") if key not in options})
    columns["task"] = task
    own = _ARGUMENTS.get(task, {})
    # to unset what the task does not have is nothing
    arguments = {
        key: value
        for key, value in options.items()
        if key in own or (key in _TASK_ARGUMENTS and value is not None)
    }
    if arguments:
        merged = _merged(task, columns["kwargs"], arguments)
        columns["kwargs"] = _json("kwargs", merged, any_text=True)


def _merged(task: str, kwargs: str | None, arguments: Options) -> dict[str, Any]:
    merged = natural_value("kwargs", kwargs) or {}
    if not isinstance(merged, dict):
        raise FieldError("kwargs", kwargs, "not a JSON object", example=_EXAMPLES["kwargs"])
    names = _ARGUMENTS.get(task, {})
    for option, value in arguments.items():
        if option not in names:
            kinds = [
                kind for kind, of in (("shell", SHELL_ARGUMENTS), ("http", HTTP_ARGUMENTS)) if option in of
            ]
            raise FieldError(option, value, f"is an option of {' and '.join(kinds)} entries only")
        if value is None:
            merged.pop(names[option], None)
        else:
            merged[names[option]] = format_duration(value) if isinstance(value, timedelta) else value
    return merged


# One value


def _set(columns: dict[str, Any], key: str, value: Any) -> None:
    if key == "enabled" and value is None:
        value = True
    if key == "fixed_delay" and value is False:
        value = None
    columns[key] = _column(key, value)


def _column(key: str, value: Any) -> Any:
    """The value as its column holds it; what is wrong with its meaning is for `parse_definition` to say."""
    if value is None or key in _WHOLE_NUMBERS:
        return value
    if key in BOOLEANS:
        if not isinstance(value, bool):
            raise FieldError(key, value, "true or false")
        return value
    if key in _JSON_COLUMNS:
        return _storable(key, value) if isinstance(value, str) else _json(key, value)
    if key in _NAMES_COLUMNS and isinstance(value, list | tuple):
        return _storable(key, ",".join(_storable(key, name) for name in value))
    return _storable(key, _text(value))


def _text(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else format_instant(value)
    if isinstance(value, date | time):
        return value.isoformat()
    # `every = 10` is refused later, by a message that says which unit may have been meant
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _json(key: str, value: Any, *, any_text: bool = False) -> str:
    """`any_text`: also bytes that are not UTF-8, which are lone surrogates and are written as escapes."""
    kind = _JSON_COLUMNS[key]
    value = list(value) if kind is list and isinstance(value, tuple) else value
    if not isinstance(value, kind):
        wanted = "an array" if kind is list else "a table"
        raise FieldError(key, value, f"not {wanted}", example=_EXAMPLES[key])
    try:
        text = json_text(value) if any_text else json.dumps(value, ensure_ascii=False, allow_nan=False)
        return _storable(key, text)
    except (TypeError, ValueError) as error:
        raise FieldError(key, value, f"cannot be written as JSON: {error}") from error


def _storable(key: str, text: Any) -> str:
    if not isinstance(text, str):
        raise FieldError(key, text, "text is wanted")
    if "\0" in text:
        raise FieldError(key, text, "must not hold a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FieldError(key, text, "is not UTF-8 text") from error
    return text


def _comparable(key: str, value: Any) -> Any:
    natural = natural_value(key, value)
    if key in _JSON_COLUMNS and not isinstance(natural, str):
        return _as_json(natural) if natural else None
    if key == "fixed_delay":
        return bool(value)
    return natural if key not in BOOLEANS or value is None else bool(value)


def _as_json(value: Any) -> str:
    """For comparing: Python takes 1, 1.0 and true for equal."""
    return json.dumps(value, sort_keys=True)
