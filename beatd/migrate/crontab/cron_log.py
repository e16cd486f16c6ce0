"""What a cron wrote into its log of what it started: `(root) CMD (run-parts /etc/cron.hourly)`.

Taken are the text of syslog in its two forms (`Mar 29 03:00:01` of old, `2026-03-29T03:00:01.123+02:00`),
what `journalctl` prints with `-o short…` and `-o json`, and cron's own log file. Lines of others are passed
over.

A log may be of several hosts, of which one at a time is looked at.

The old form has neither year nor zone. The years follow from the last line, which is not of the future, and
backwards from there; the zone is the machine's; where a clock was put back, an hour comes twice, and which of
the two is meant follows from the order of the lines.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

#: `Mar 29 03:00:01`; journald adds microseconds, and some put the year behind the day.
_OLD = re.compile(
    r"(?P<month>[A-Z][a-z]{2}) +(?P<day>[0-9]{1,2}) (?:(?P<year>[0-9]{4}) )?"
    r"(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
)
_ISO = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,][0-9]+)?"
    r"(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
#: `Sun 2026-03-29 03:00:01 CEST`, of journalctl -o short-full.
_FULL = re.compile(
    r"[A-Z][a-z]{2} (?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}) (?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r" (?P<zone>[A-Z]{3,5}|[+-][0-9]{2,4})"
)
_UNIX = re.compile(r"(?P<seconds>[0-9]{9,11})(?:\.[0-9]+)?")
#: `root (03/29-03:00:01-123) CMD (…)`, of a cron that keeps a file of its own.
_OWN = re.compile(
    r"(?P<user>[^ ()]+) \((?P<month>[0-9]{2})/(?P<day>[0-9]{2})-(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})-[0-9]+\)"
    r" (?P<message>.*)"
)
_PRIORITY = re.compile(r"<[0-9]{1,3}>(?:[0-9] )?")

#: Whoever writes: `host CRON[123]:`, `/usr/sbin/cron[123]:`, `crond[123]:`, and of RFC 5424 `CRON 123 - -`.
_WRITER = re.compile(
    r"\s*(?:(?P<host>[^\s\[]*[^\s\[:]) )?(?P<tag>[^\s\[:]+)(?:\[[0-9]+\])?"
    r"(?:: ?| +(?:[0-9]+|-) (?:\S+ \S+) )(?P<message>.*)"
)
_IS_CRON = re.compile(r"(?:.*/)?(?:anac|dc|f)?cron(?:d|ie)?", re.IGNORECASE)

#: With log level 8, Debian's cron writes the process into the command.
_STARTED = re.compile(r"\((?P<user>[^()]+)\) CMD \((?:\[[0-9]+\] )?(?P<command>.*)")

#: A host, and a message.
_Said = tuple[str | None, str | None]

#: Lines may be so much out of order without meaning that the clock was put back.
_SLACK = timedelta(minutes=5)
_ACROSS_A_YEAR = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Started:
    """`command` as the log has it: unprintable bytes as `^I` and `\\303`, whole unless `cut`. `or_else` is
    when it was if not at `at`, where the clock showed that time twice and nothing tells which.
    """

    at: datetime
    user: str
    command: str
    line: int
    cut: bool = False
    or_else: datetime | None = None


@dataclass(frozen=True, slots=True)
class CronLog:
    """What was started, in order; `since` and `until` are the times of the first and the last line, of
    whomever, None where no line has one. `host` is the one that was looked at, None where no line names any;
    `hosts` are all on which cron started something, with how often.
    """

    started: tuple[Started, ...]
    since: datetime | None
    until: datetime | None
    lines: int = 0
    host: str | None = None
    hosts: Mapping[str, int] = field(default_factory=dict)

    def between(self, start: datetime | None, end: datetime | None) -> CronLog:
        """The part of it with start <= t < end; None: no end on that side."""
        if self.since is None or self.until is None:
            return self
        since = self.since if start is None else max(start, self.since)
        until = self.until if end is None else min(end, self.until)
        if since > until:
            return replace(self, started=(), since=None, until=None)
        started = tuple(one for one in self.started if since <= one.at <= until)
        return replace(self, started=started, since=since, until=until)


@dataclass(slots=True)
class _Stamped:
    """A line's time: an instant, or a wall time that may lack its year."""

    number: int
    message: str | None
    host: str | None = None
    instant: datetime | None = None
    wall: datetime | None = None
    has_year: bool = True
    or_else: datetime | None = None


def printed(command: str) -> str:
    """A command as a cron writes it into its log."""
    shown = []
    for byte in command.encode("utf-8", "surrogateescape"):
        if byte < 0x20:
            shown.append(f"^{chr(byte + 0x40)}")
        elif byte < 0x7F:
            shown.append(chr(byte))
        else:
            shown.append("^?" if byte == 0x7F else f"\\{byte:03o}")
    return "".join(shown)


def read_log(data: bytes, zone: ZoneInfo, now: datetime, host: str | None = None) -> CronLog:
    """`zone` is the one that the log's times are of where they do not say, `now` is not before the log's end.
    Of a log of several hosts the lines of `host` count, and those that name none; without it, the lines of
    the only one on which cron started something, else all.

    Never raises; what cannot be read is not of cron.
    """
    lines = data.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n") if data else []
    stamped = [one for number, text in enumerate(lines, 1) if (one := _stamp(number, text, zone)) is not None]
    hosts = Counter(one.host for one in stamped if one.host and _STARTED.match(one.message or ""))
    if host is None and len(hosts) == 1:
        host = next(iter(hosts))
    if host is not None:
        stamped = [one for one in stamped if one.host in (None, host)]
    _give_years(stamped, now.astimezone(zone).replace(tzinfo=None))
    _place(stamped, zone)
    told = [one for one in stamped if one.instant is not None]
    started = [start for one in told if (start := _started(one)) is not None]
    instants = [one.instant for one in told if one.instant is not None]
    return CronLog(
        tuple(sorted(started, key=lambda one: one.at)),
        min(instants, default=None),
        max(instants, default=None),
        len(lines),
        host,
        dict(sorted(hosts.items())),
    )


def _started(one: _Stamped) -> Started | None:
    found = _STARTED.match(one.message or "")
    if found is None or one.instant is None:
        return None
    command = found["command"].rstrip()
    cut = not command.endswith(")")
    command = command if cut else command[:-1]
    return Started(one.instant, found["user"], command, one.number, cut, one.or_else)


# What a line is


def _stamp(number: int, text: str, zone: ZoneInfo) -> _Stamped | None:
    if text.startswith("{"):
        return _of_journal(number, text)
    text = text[found.end() :] if (found := _PRIORITY.match(text)) else text
    if own := _OWN.match(text):
        message = f"({own['user']}) {own['message']}"
        return _undated(number, (None, message), int(own["month"]), own["day"], own["time"])
    if old := _OLD.match(text):
        if old["month"] not in _MONTHS:
            return None
        month = _MONTHS.index(old["month"]) + 1
        return _undated(number, _said(text[old.end() :]), month, old["day"], old["time"], old["year"])
    if full := _FULL.match(text):
        return _dated(number, full, full["zone"], _said(text[full.end() :]), zone)
    if iso := _ISO.match(text):
        return _dated(number, iso, iso["offset"], _said(text[iso.end() :]), zone)
    if unix := _UNIX.match(text):
        instant = datetime.fromtimestamp(int(unix["seconds"]), UTC)
        host, said = _said(text[unix.end() :])
        return _Stamped(number, said, host, instant)
    return None


def _dated(
    number: int, found: re.Match[str], offset: str | None, said: _Said, zone: ZoneInfo
) -> _Stamped | None:
    host, message = said
    try:
        wall = datetime.fromisoformat(f"{found['date']}T{found['time']}")
        if offset is not None and not offset.isalpha():
            instant = datetime.fromisoformat(f"{wall.isoformat()}{offset}").astimezone(UTC)
            return _Stamped(number, message, host, instant)
    except ValueError:
        return None
    if offset in ("Z", "UTC", "GMT"):
        return _Stamped(number, message, host, wall.replace(tzinfo=UTC))
    if offset is not None:
        for fold in (0, 1):
            if (aware := wall.replace(tzinfo=zone, fold=fold)).tzname() == offset:
                return _Stamped(number, message, host, aware.astimezone(UTC))
    return _Stamped(number, message, host, None, wall)


def _undated(
    number: int, said: _Said, month: int, day: str, time: str, year: str | None = None
) -> _Stamped | None:
    """Where no year is told it is a leap year for now, which has every day."""
    try:
        wall = datetime.fromisoformat(f"{int(year or 2000):04}-{month:02}-{int(day):02}T{time}")
    except ValueError:
        return None
    host, message = said
    return _Stamped(number, message, host, None, wall, has_year=year is not None)


def _said(rest: str) -> _Said:
    """On which host, and what a cron said; None if somebody else did."""
    found = _WRITER.match(rest)
    if found is None:
        return None, None
    return found["host"], found["message"] if _IS_CRON.fullmatch(found["tag"]) else None


def _of_journal(number: int, text: str) -> _Stamped | None:
    """A line of `journalctl -o json`; text that is not UTF-8 is there a list of bytes."""
    try:
        entry = json.loads(text)
        instant = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) // 1_000_000, UTC)
        message = entry.get("MESSAGE")
        if isinstance(message, list):
            message = bytes(message).decode("utf-8", "surrogateescape")
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    tag = str(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or "")
    host = entry.get("_HOSTNAME")
    return _Stamped(
        number,
        message if _IS_CRON.fullmatch(tag) and isinstance(message, str) else None,
        host if isinstance(host, str) else None,
        instant,
    )


# When it was


def _give_years(stamped: Iterable[_Stamped], now: datetime) -> None:
    """Backwards from the end, for what comes later is known to be no earlier."""
    bound = now + _ACROSS_A_YEAR
    for one in reversed(list(stamped)):
        if one.wall is None:
            continue
        if not one.has_year:
            one.wall = _latest(one.wall, bound)
        bound = one.wall + _ACROSS_A_YEAR


def _latest(wall: datetime, bound: datetime) -> datetime:
    """The last time at which a calendar showed this month, day and time, up to `bound`."""
    for year in range(bound.year, bound.year - 9, -1):
        try:
            found = wall.replace(year=year)
        except ValueError:  # the 29th of February
            continue
        if found <= bound:
            return found
    return wall


def _place(stamped: Iterable[_Stamped], zone: ZoneInfo) -> None:
    """Turns wall times into instants; one that came twice is the first, unless the lines before say that the
    first has gone by.
    """
    before: datetime | None = None
    for one in stamped:
        if one.wall is not None:
            first, second = (_instant(one.wall, zone, fold) for fold in (0, 1))
            if first >= second:
                one.instant = first
            elif before is not None and first < before - _SLACK:
                one.instant = second
            else:
                one.instant, one.or_else = first, second
        if one.instant is not None and (before is None or one.instant > before):
            before = one.instant


def _instant(wall: datetime, zone: ZoneInfo, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def of_commands(log: CronLog, commands: Iterable[str]) -> Iterator[tuple[Started, str | None]]:
    """Each start with the command that it is of, by what cron writes of them; None if of none of them, or of
    more than one that begins so.
    """
    whole: dict[str, str] = {}
    for command in commands:
        for shown in (printed(command), command):
            whole.setdefault(shown.strip(" "), command)
    for started in log.started:
        shown = started.command.strip(" ")
        if not started.cut:
            yield started, whole.get(shown)
            continue
        longer = {command for key, command in whole.items() if key.startswith(shown)}
        yield started, longer.pop() if len(longer) == 1 else None


def moved(started: Started) -> Started | None:
    """The same start at the other time that its wall time may mean."""
    return None if started.or_else is None else replace(started, at=started.or_else, or_else=None)
