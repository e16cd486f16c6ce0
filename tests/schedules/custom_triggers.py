"""Factories of APScheduler triggers as a user's configuration may name them, good and bad."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

NOT_CALLABLE = "09:00"


def office_hours(first: int, last: int, timezone: object) -> BaseTrigger:
    return CronTrigger(day_of_week="mon-fri", hour=f"{first}-{last}", timezone=timezone)


def quarterly_if_monday() -> BaseTrigger:
    """APScheduler's own AndTrigger searches for ever for its first fire."""
    first_of_quarter = CalendarIntervalTrigger(months=3, start_date="2026-01-01", timezone="UTC")
    return AndTrigger([first_of_quarter, CronTrigger(day_of_week="mon", hour=0, timezone="UTC")])


def hours_and_a_date() -> BaseTrigger:
    hours = IntervalTrigger(hours=2, start_date="2026-01-01T00:00:00", timezone="UTC")
    return OrTrigger([hours, DateTrigger("2026-01-01T03:30:00", timezone="UTC")])


def never_agreeing() -> BaseTrigger:
    even, odd = (
        IntervalTrigger(minutes=2, start_date=f"1980-01-01T00:0{minute}:00", timezone="UTC")
        for minute in (0, 1)
    )
    return AndTrigger([even, odd])


def no_trigger() -> str:
    return "0 9 * * *"


def jittered_within() -> BaseTrigger:
    return OrTrigger([CronTrigger(hour=9, timezone="UTC", jitter=30)])


class Asked(BaseTrigger):
    """A trigger made of one function."""

    def __init__(self, answer: Callable[[datetime | None, datetime], object]) -> None:
        self._answer = answer

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> object:
        return self._answer(previous, now)


def naive() -> BaseTrigger:
    return Asked(lambda previous, now: now.replace(tzinfo=None) + timedelta(days=1))


def text() -> BaseTrigger:
    return Asked(lambda previous, now: "tomorrow")


def failing() -> BaseTrigger:
    return Asked(lambda previous, now: 1 / 0)


def stuck() -> BaseTrigger:
    first = datetime.fromisoformat("1980-01-01T00:00:00Z")
    return Asked(lambda previous, now: first)


def random_one() -> BaseTrigger:
    return Asked(lambda previous, now: now + timedelta(seconds=random.uniform(0, 1000)))


def counting() -> BaseTrigger:
    """It remembers how often it was asked."""
    calls = count(1)
    return Asked(lambda previous, now: now + timedelta(minutes=next(calls)))
