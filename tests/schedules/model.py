"""A second, slow opinion on cron: every minute of the UTC line is asked what the wall clock shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

MINUTE = timedelta(minutes=1)
NOTHING = timedelta(0)
THREE_HOURS = timedelta(hours=3)
RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Model:
    """Understands `*`, `*/n`, numbers, `a-b`, `a-b/n` and lists of them."""

    def __init__(
        self, expression: str, zone: ZoneInfo, gap: str | None = None, fold: str | None = None
    ) -> None:
        texts = dict(zip(RANGES, expression.split(), strict=True))
        self.zone = zone
        self.sets = {
            name: {value for item in text.split(",") for value in self._values(item, *RANGES[name])}
            for name, text in texts.items()
        }
        self.conjunction = texts["day"][0] == "*" or texts["weekday"][0] == "*"
        wildcard = texts["minute"][0] == "*" or texts["hour"][0] == "*"
        self.gap = gap or ("skip" if wildcard else "run_after")
        self.fold = fold or ("both" if wildcard else "first")

    def fire_times(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """`after` and `until` are whole minutes, and so is every offset of the zone in between."""
        before, instant = after.astimezone(self.zone), after + MINUTE
        while instant <= until:
            wall = instant.astimezone(self.zone)
            if (self._matches(wall) and self._right_pass(wall)) or self._catches_up(before, wall):
                yield instant
            before, instant = wall, instant + MINUTE

    @staticmethod
    def _values(item: str, low: int, high: int) -> range:
        span, _, step = item.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        return range(int(first), int(last or first) + 1, int(step or 1))

    def _matches(self, wall: datetime) -> bool:
        day, weekday = wall.day in self.sets["day"], wall.isoweekday() % 7 in self.sets["weekday"]
        return (
            wall.minute in self.sets["minute"]
            and wall.hour in self.sets["hour"]
            and wall.month in self.sets["month"]
            and ((day and weekday) if self.conjunction else (day or weekday))
        )

    def _right_pass(self, wall: datetime) -> bool:
        first, second = (wall.replace(fold=fold).utcoffset() or NOTHING for fold in (0, 1))
        if not NOTHING < first - second <= THREE_HOURS:
            return True
        return self.fold == "both" or self.fold == ("second" if wall.fold else "first")

    def _catches_up(self, before: datetime, wall: datetime) -> bool:
        shift = (wall.utcoffset() or NOTHING) - (before.utcoffset() or NOTHING)
        if self.gap == "skip" or not NOTHING < shift <= THREE_HOURS:
            return False
        skipped = before.replace(tzinfo=None) + MINUTE
        while skipped < wall.replace(tzinfo=None):
            if self._matches(skipped):
                return True
            skipped += MINUTE
        return False


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(sorted).filter(lambda ab: ab[0] < ab[1])
    span = pair.map(lambda ab: f"{ab[0]}-{ab[1]}")
    stepped = st.builds("{}/{}".format, st.one_of(st.just("*"), span), st.integers(1, high + 1))
    item = st.one_of(number.map(str), span, stepped)
    return st.one_of(st.just("*"), item, st.lists(item, min_size=2, max_size=3).map(",".join))


def _days() -> st.SearchStrategy[str]:
    """Mostly every day, so that nights are hit; otherwise any of the three day fields."""
    return st.one_of(
        st.just("* * *"),
        st.builds("{} {} {}".format, st.just("*"), st.just("*"), _field(0, 6)),
        # Up to the 28th: every such rule fires.
        st.builds("{} {} {}".format, _field(1, 28), _field(1, 12), _field(0, 6)),
    )


def expressions() -> st.SearchStrategy[str]:
    """Valid expressions that fire, most of them in the small hours."""
    night = st.sampled_from(("0", "1", "2", "3", "0-3", "1-4", "23,0", "*/2", "0-23", "23"))
    return st.builds("{} {} {}".format, _field(0, 59), st.one_of(night, _field(0, 23)), _days())
