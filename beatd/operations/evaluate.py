"""When a rule fires, asked without an entry: nothing is stored, and what is not needed is not opened.

The options are those of an entry that say when it fires. What an entry's creation anchors is anchored at
`after` here, as if the entry had been added then.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import islice
from typing import Any

from beatd.errors import BeatdError, FieldError, InvalidInput, did_you_mean, nearest
from beatd.operations.options import TIMING_COLUMNS, new_columns
from beatd.planning.examples import EXAMPLES
from beatd.planning.preview import Coming, Withheld, preview, sentence
from beatd.planning.reading import Reader, text, whole
from beatd.planning.timing import KINDS, Surroundings, Timing, parse_timing
from beatd.schedules import DateSet, Limited, format_instant, parse_date_set, parse_instant, parse_zone

Options = Mapping[str, Any]

COUNT = 5
MOST = 10_000

#: What a line of a batch may hold.
KEYS = ("name", *sorted(TIMING_COLUMNS), "after", "n")

_CALENDAR_KEYS = ("dates", "weekdays", "country", "region", "action")
_ANCHORED = ("every", "calendar_every")
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_RULES_KEPT = 10_000
_EXAMPLE = '{"cron": "*/5 * * * *", "timezone": "Europe/Berlin"}'
#: What works, where it is no column's text.
_VALUES = {
    **{"after": "2026-03-28T23:00:00Z", "n": COUNT, "max_runs": 10, "fixed_delay": True},
    **{"custom_args": {"hour": "9-17"}, "action": "next"},
    **{"dates": ["2026-12-24"], "weekdays": ["sat", "sun"], "country": "DE", "region": "BY"},
}


@dataclass(frozen=True, slots=True)
class Sources:
    """What an evaluation may have to ask: the clock, the configuration, the stored calendars."""

    now: Callable[[], datetime]
    configured: Callable[[], Surroundings]
    calendars: Callable[[], Mapping[str, DateSet]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`schedule` is the rule in plain English; `coming` are the fires with remarks, and what becomes none.

    Jitter is hashed by the entry's name: without `name` the due times are the fire times. `note` says what
    the fires take for granted.
    """

    schedule: str
    timezone: str
    after: datetime
    fire_times: tuple[datetime, ...]
    coming: tuple[Coming | Withheld, ...]
    note: str | None = None


class Evaluator:
    """Answers any number of questions; a rule that is asked about again is not read again."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._kept: dict[str, Timing] = {}

    @cached_property
    def _configured(self) -> Surroundings:
        return self._sources.configured()

    @cached_property
    def _calendars(self) -> Mapping[str, DateSet]:
        return self._sources.calendars()

    def evaluate(
        self, options: Options, count: int = COUNT, after: datetime | str | None = None
    ) -> Evaluation:
        """The next `count` fires strictly after `after`: an instant, or text, which without an offset is
        wall time of the rule's zone; now if None. Raises InvalidInput, FieldError.
        """
        whole("count", count, 1, MOST, str(COUNT))
        timing, since = self._read(options, after, _read_timing)
        known = timing if timing.name else replace(timing, jitter=None)
        coming = preview(known, since, count, runs_left=_runs_left(timing, options, since))
        fire_times = tuple(item.fire_time for item in coming if isinstance(item, Coming))
        note = _note(timing)
        return Evaluation(sentence(timing), timing.timezone.key, since, fire_times, tuple(coming), note)

    def answer(self, line: bytes | str) -> dict[str, Any]:
        """The answer to a line of a batch: `fire_times`, with jitter and name `due_times` too; or `error`."""
        try:
            return self._answer(_question(line))
        except InvalidInput as several:
            return {"error": "; ".join(map(str, several.findings))}
        except BeatdError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error} (a bug)"}

    def _answer(self, question: Options) -> dict[str, Any]:
        options = {key: value for key, value in question.items() if key not in ("after", "n")}
        count = whole("n", COUNT if question.get("n") is None else question["n"], 1, MOST, str(COUNT))
        timing, since = self._read(options, question.get("after"), self._keep)
        left = _runs_left(timing, options, since)
        fires = list(islice(timing.schedule.fire_times(since), count if left is None else min(count, left)))
        answer = {"fire_times": [format_instant(fire) for fire in fires]}
        if timing.jitter is not None and timing.name:
            answer["due_times"] = [format_instant(timing.due_time(fire)) for fire in fires]
        return answer

    def _read(
        self, options: Options, after: Any, read: Callable[[Options, datetime, Surroundings], Timing]
    ) -> tuple[Timing, datetime]:
        """The timing, and the instant after which to look. Raises InvalidInput with every finding."""
        given = {key: value for key, value in options.items() if value is not None}
        surroundings = self._surroundings(given)
        findings: list[FieldError] = []
        try:
            since = self._since(after, given.get("timezone", surroundings.default_timezone))
        except FieldError as finding:
            since, findings = self._sources.now(), [finding]
        try:
            timing = read(given, since, surroundings)
        except InvalidInput as several:
            raise InvalidInput([*several.findings, *findings]) from several
        if findings:
            raise InvalidInput(findings)
        return timing, since

    def _surroundings(self, given: Options) -> Surroundings:
        configured = Surroundings()
        if "timezone" not in given or "custom" in given:
            configured = self._configured
        if isinstance(given.get("calendar"), str):
            configured = replace(configured, calendars=self._calendars)
        return configured

    def _since(self, after: Any, zone_name: Any) -> datetime:
        """Raises FieldError of the field `after`; that the zone is none others say."""
        if after is None:
            return self._sources.now().replace(microsecond=0)
        if isinstance(after, datetime) and after.tzinfo is not None:
            return after.astimezone(UTC)
        written = after.isoformat() if isinstance(after, datetime) else text("after", after)
        try:
            zone = parse_zone(zone_name)
        except (FieldError, TypeError):
            zone = parse_zone("UTC")
        return parse_instant(written, zone, "after")

    def _keep(self, given: Options, since: datetime, surroundings: Surroundings) -> Timing:
        key = f"{json.dumps(given, sort_keys=True)} {since if _is_anchored(given) else ''}"
        timing = self._kept.get(key)
        if timing is None:
            timing = _read_timing(given, since, surroundings)
            if len(self._kept) >= _RULES_KEPT:
                self._kept.clear()
            self._kept[key] = timing
        return timing


def _question(line: bytes | str) -> Options:
    """Lines may come from several files, each of which begins with a mark. Raises FieldError."""
    line = line.removeprefix(BOM_UTF8) if isinstance(line, bytes) else line.removeprefix("\ufeff")
    written = line.decode(errors="replace") if isinstance(line, bytes) else line
    problem = None
    question: Any = None
    try:
        question = json.loads(line.decode() if isinstance(line, bytes) else line)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8: byte {error.start + 1} is {error.object[error.start]:#04x}"
    except (ValueError, RecursionError) as error:
        problem = f"is not JSON: {error}" if written.strip() else "is blank; a JSON object is wanted"
    else:
        if isinstance(question, dict):
            return question
        problem = "is not a JSON object"
    raise FieldError("line", question or written.strip(), problem, example=_EXAMPLE)


def _is_anchored(given: Options) -> bool:
    return given.get("start_at") is None and any(given.get(kind) is not None for kind in _ANCHORED)


def _read_timing(given: Options, since: datetime, surroundings: Surroundings) -> Timing:
    """Raises InvalidInput with every finding."""
    options, findings = dict(given), [_unknown(key, given[key]) for key in given if key not in KEYS]
    name = options.pop("name", None)
    if name is not None and not (isinstance(name, str) and name.strip() and name.isprintable()):
        findings.append(FieldError("name", name, "is not the name of an entry", example="nightly-backup"))
        name = "?"
    try:
        surroundings = _with_calendar(options, surroundings)
    except FieldError as finding:
        findings.append(finding)
        options["calendar"] = options["calendar_action"] = None
    # the task is one that nobody looks at
    timing_options = {key: value for key, value in options.items() if key in TIMING_COLUMNS}
    written = new_columns(name or "", {"task": "beatd.evaluate", **timing_options})
    columns = dict(written.columns)
    # what is anchored at `after` may have ended before: then nothing comes, and nothing is wrong
    anchored = _is_anchored(columns)
    end_at = columns.pop("end_at") if anchored else None
    reader = Reader(columns)
    timing = parse_timing(reader, name or "", since if anchored else _LONG_AGO, surroundings)
    if timing is not None and end_at is not None:
        timing = reader.group(partial(_until, timing, end_at))
    findings += written.findings
    said = {finding.field for finding in findings}
    if not said.isdisjoint(KINDS):
        said.add("schedule")
    findings += [finding for finding in reader.findings if finding.field not in said]
    if timing is None or findings:
        raise InvalidInput(findings)
    return timing


def _until(timing: Timing, end_at: str) -> Timing:
    limit = parse_instant(end_at, timing.timezone, "end_at")
    return replace(timing, schedule=Limited(timing.schedule, None, limit))


def _with_calendar(options: dict[str, Any], surroundings: Surroundings) -> Surroundings:
    """A calendar that is given in place of a stored one's name gets a name. Raises FieldError."""
    given = options.get("calendar")
    if not isinstance(given, Mapping):
        return surroundings
    for key in given:
        if key not in _CALENDAR_KEYS:
            raise _unknown(str(key), given[key], _CALENDAR_KEYS, "calendar.")
    dates, weekdays, country, region = (_words(key, given.get(key)) for key in _CALENDAR_KEYS[:4])
    date_set = parse_date_set(dates, weekdays, country, region)
    name = "-".join(filter(None, (date_set.country, date_set.region))) or "given"
    options["calendar"] = name
    if given.get("action") is not None:
        options["calendar_action"] = given["action"]
    return replace(surroundings, calendars={name: date_set})


def _words(key: str, value: Any) -> str | None:
    """As text, in which a list may be given, too."""
    if isinstance(value, list | tuple):
        return " ".join(text(key, word) for word in value)
    return None if value is None else text(key, value)


def _unknown(key: str, value: Any, known: Sequence[str] = KEYS, prefix: str = "") -> FieldError:
    near = nearest(key.replace("-", "_"), known)
    hint = did_you_mean(near) or f"; known are {', '.join(known)}"
    meant = next(iter(near), known[0])
    example = json.dumps({meant: _VALUES.get(meant, EXAMPLES.get(meant))})
    return FieldError(prefix + key, value, f"unknown{hint}", example=example)


def _note(timing: Timing) -> str | None:
    if timing.at_boot:
        return "nobody knows a boot beforehand"
    if timing.fixed_delay:
        return "as if each run took no time"
    if timing.jitter is not None and not timing.name:
        return "jitter is hashed by the entry's name: with it, due times can be told"
    return None


def _runs_left(timing: Timing, options: Options, since: datetime) -> int | None:
    """What `max_runs` allows after `since`: fires count from `start_at` on, without it from `since` on."""
    if timing.max_runs is None or options.get("start_at") is None:
        return timing.max_runs
    made = timing.schedule.count(_LONG_AGO, since)
    number = made.number
    if not made.exact:
        number = sum(1 for _ in islice(timing.schedule.fire_times(_LONG_AGO, since), timing.max_runs))
    return max(0, timing.max_runs - number)
