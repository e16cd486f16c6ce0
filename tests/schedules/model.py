"""A second, slow opinion on cron: every minute (or second) of the UTC line, and what the wall clock shows."""

from __future__ import annotations

import os
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from math import gcd
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import settings
from hypothesis import strategies as st

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOTHING = timedelta(0)
THREE_HOURS = timedelta(hours=3)

RANGES = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "weekday": (0, 7),
}
NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "weekday": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}

#: How many times more examples than usual: BEATD_THOROUGH=20 takes many minutes.
THOROUGH = int(os.environ.get("BEATD_THOROUGH", "1"))


def examples(number: int) -> settings:
    return settings(max_examples=number * THOROUGH, deadline=None)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Model:
    """Understands all forms but `H`, `~` and the @-names."""

    def __init__(
        self, expression: str, zone: ZoneInfo, gap: str | None = None, fold: str | None = None
    ) -> None:
        texts = expression.split()
        texts = texts if len(texts) == 6 else ["0", *texts]
        self.texts = dict(zip(RANGES, texts, strict=True))
        self.zone = zone
        self.sets = {name: self._set(name) for name in ("second", "minute", "hour", "month")}
        self.conjunction = "*" in (self.texts["day"][0], self.texts["weekday"][0])
        wildcard = "*" in (self.texts["minute"][0], self.texts["hour"][0])
        self.gap = gap or ("skip" if wildcard else "run_after")
        self.fold = fold or ("both" if wildcard else "first")
        self.is_day = lru_cache(self._day_matches)

    def fire_times(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """`after` is a whole minute of UTC."""
        tick = self._tick(after, until)
        before, instant = after.astimezone(self.zone), after + tick
        while instant <= until:
            wall = instant.astimezone(self.zone)
            if (self._matches(wall) and self._right_pass(wall)) or self._catches_up(before, wall, tick):
                yield instant
            before, instant = wall, instant + tick

    def ever_fires(self) -> bool:
        """Years come in 14 kinds, and in these years are all of them."""
        days = (date(2000, 1, 1) + number * DAY for number in range(28 * 366))
        return any(self.is_day(day) for day in days)

    def _tick(self, after: datetime, until: datetime) -> timedelta:
        """So often a second of the rule can come: offsets were not whole minutes always (Monrovia, 1972)."""
        if self.sets["second"] != {0}:
            return SECOND
        seconds = 60
        for instant in (after, until):
            offset = instant.astimezone(self.zone).utcoffset() or NOTHING
            seconds = gcd(seconds, int(offset.total_seconds()))
        return timedelta(seconds=seconds)

    def _set(self, name: str) -> set[int]:
        return {value for item in self.texts[name].split(",") for value in self._values(name, item)}

    @staticmethod
    def _values(name: str, item: str) -> range:
        low, high = RANGES[name]
        span, slash, step = item.partition("/")
        first, dash, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        begin = _number(name, first)
        end = _number(name, last) if dash else high if slash else begin
        return range(begin, end + 1, int(step or 1))

    def _matches(self, wall: datetime) -> bool:
        return (
            wall.second in self.sets["second"]
            and wall.minute in self.sets["minute"]
            and wall.hour in self.sets["hour"]
            and self.is_day(wall.date())
        )

    def _day_matches(self, day: date) -> bool:
        if day.month not in self.sets["month"]:
            return False
        by_day = any(self._is_day(day, item) for item in self.texts["day"].split(","))
        by_weekday = any(self._is_weekday(day, item) for item in self.texts["weekday"].split(","))
        return (by_day and by_weekday) if self.conjunction else (by_day or by_weekday)

    def _is_day(self, day: date, item: str) -> bool:
        last = day.replace(day=monthrange(day.year, day.month)[1])
        if item == "L":
            return day == last
        if item == "LW":
            while last.isoweekday() > 5:
                last -= DAY
            return day == last
        return day.day in self._values("day", item)

    def _is_weekday(self, day: date, item: str) -> bool:
        if "#" in item:
            weekday, nth = item.split("#")
            earlier = [day.replace(day=n) for n in range(1, day.day + 1)]
            same = [other for other in earlier if other.weekday() == day.weekday()]
            return len(same) == int(nth) and day.isoweekday() % 7 == _number("weekday", weekday) % 7
        if item.endswith("L"):
            a_week_later = day + timedelta(days=7)
            return (
                day.isoweekday() % 7 == _number("weekday", item[:-1]) % 7 and a_week_later.month != day.month
            )
        return day.isoweekday() % 7 in {value % 7 for value in self._values("weekday", item)}

    def _right_pass(self, wall: datetime) -> bool:
        first, second = (wall.replace(fold=fold).utcoffset() or NOTHING for fold in (0, 1))
        if not NOTHING < first - second <= THREE_HOURS:
            return True
        return self.fold == "both" or self.fold == ("second" if wall.fold else "first")

    def _catches_up(self, before: datetime, wall: datetime, tick: timedelta) -> bool:
        shift = (wall.utcoffset() or NOTHING) - (before.utcoffset() or NOTHING)
        if self.gap == "skip" or not NOTHING < shift <= THREE_HOURS:
            return False
        skipped = before.replace(tzinfo=None) + tick
        while skipped < wall.replace(tzinfo=None):
            if self._matches(skipped):
                return True
            skipped += tick
        return False


def _number(name: str, text: str) -> int:
    names = NAMES.get(name, [])
    return names.index(text.lower()) + RANGES[name][0] if text.lower() in names else int(text)


@lru_cache
def shifts(zone: ZoneInfo, year: int) -> list[datetime]:
    """The instants of a UTC year at which the zone's offset changes, to the second."""
    quarters = [datetime(year, 1, 1, tzinfo=UTC) + number * 6 * HOUR for number in range(366 * 4)]
    found = []
    for quarter in quarters:
        if quarter.year == year and _offset(zone, quarter) != _offset(zone, quarter + 6 * HOUR):
            instant = _last_before(zone, _last_before(zone, quarter, MINUTE), SECOND)
            found.append(instant + SECOND)
    return found


def _last_before(zone: ZoneInfo, instant: datetime, step: timedelta) -> datetime:
    """So far the zone's offset stays what it is, in steps."""
    while _offset(zone, instant) == _offset(zone, instant + step):
        instant += step
    return instant


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()


#: Every zone of the database, without the machine's own and the one that says that there is none.
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
zone_names = st.sampled_from(ZONES)


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(sorted).filter(lambda ab: ab[0] < ab[1])
    span = pair.map(lambda ab: f"{ab[0]}-{ab[1]}")
    step = st.integers(1, high + 1)
    stepped = st.builds("{}/{}".format, st.one_of(st.just("*"), span, number), step)
    item = st.one_of(number.map(str), span, stepped)
    return st.one_of(st.just("*"), item, st.lists(item, min_size=2, max_size=3).map(",".join))


def _listed(first: st.SearchStrategy[str], others: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        first, st.builds("{},{}".format, first, others), st.builds("{},{}".format, others, first)
    )


def _month_days() -> st.SearchStrategy[str]:
    return st.one_of(_field(1, 31), _listed(st.sampled_from(("L", "LW")), _field(1, 31)))


def _weekdays() -> st.SearchStrategy[str]:
    weekday = st.one_of(st.integers(0, 7).map(str), st.sampled_from(("Sun", "MON", "fri")))
    special = st.one_of(
        st.builds("{}L".format, weekday), st.builds("{}#{}".format, weekday, st.integers(1, 5))
    )
    return st.one_of(_field(0, 7), _listed(special, _field(0, 7)))


def day_fields() -> st.SearchStrategy[str]:
    """Any day-of-month, month and day-of-week. Some never fire."""
    return st.builds("{} {} {}".format, _month_days(), _field(1, 12), _weekdays())


def expressions() -> st.SearchStrategy[str]:
    """Valid expressions that fire, most of them in the small hours and on every day, to hit nights."""
    night = st.sampled_from(("0", "1", "2", "3", "0-3", "1-4", "23,0", "*/2", "0-23", "23"))
    hours = st.one_of(night, night, _field(0, 23))
    every_day = st.one_of(st.just("* * *"), st.builds("* * {}".format, _weekdays()))
    days = st.one_of(every_day, every_day, day_fields())
    return st.builds("{} {} {}".format, _field(0, 59), hours, days).filter(ever_fires)


def with_seconds() -> st.SearchStrategy[str]:
    return st.builds("{} {}".format, _field(0, 59), expressions())


@lru_cache(maxsize=4096)
def ever_fires(expression: str) -> bool:
    return Model(expression, ZoneInfo("UTC")).ever_fires()
