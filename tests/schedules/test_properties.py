"""What holds of every schedule, whatever the rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from beatd.schedules import IntervalSchedule, Limited, OnceSchedule, Schedule, parse_cron, parse_zone
from tests.schedules.model import expressions

instants = st.datetimes(datetime(1975, 1, 1), datetime(2150, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
zones = st.sampled_from(
    ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca")
).map(parse_zone)
crons = st.builds(parse_cron, expressions(), zones)
intervals = st.builds(
    IntervalSchedule,
    st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
    instants,
    st.booleans(),
)
onces = st.builds(OnceSchedule, instants)
plain = st.one_of(crons, intervals, onces)
limits = st.one_of(st.none(), instants)
schedules = st.one_of(plain, st.builds(Limited, plain, limits, limits))


@settings(max_examples=150, deadline=None)
@given(schedule=schedules, after=instants)
def test_fires_are_aware_utc_strictly_after_and_strictly_increasing(
    schedule: Schedule, after: datetime
) -> None:
    times = list(islice(schedule.fire_times(after), 20))
    assert all(time.tzinfo is UTC for time in times)
    assert all(earlier < later for earlier, later in pairwise([after, *times]))


@settings(max_examples=150, deadline=None)
@given(schedule=schedules, after=instants, share=st.floats(0, 1))
def test_the_answer_depends_on_nothing_but_the_instant(
    schedule: Schedule, after: datetime, share: float
) -> None:
    """Asked from anywhere between two fires, the next is the same: none is lost, none is made."""
    times = [after, *islice(schedule.fire_times(after), 6)]
    for earlier, later in pairwise(times):
        between = earlier + (later - earlier) * share
        if between < later:
            assert schedule.next_fire_time(between) == later


@settings(max_examples=150, deadline=None)
@given(schedule=schedules, after=instants, length=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_count_counts_fire_times(schedule: Schedule, after: datetime, length: timedelta) -> None:
    listed = list(islice(schedule.fire_times(after, after + length), 5000))
    counted = schedule.count(after, after + length)
    if len(listed) < 5000 and counted.exact:
        assert counted.number == len(listed)
    else:
        assert counted.number >= min(len(listed), 1000)


@settings(max_examples=80, deadline=None)
@given(schedule=plain, start=instants, length=st.timedeltas(timedelta(0), timedelta(days=40)))
def test_limits_keep_what_is_within(schedule: Schedule, start: datetime, length: timedelta) -> None:
    limited = Limited(schedule, start, start + length)
    expected = islice(schedule.fire_times(start - timedelta(microseconds=1), start + length), 50)
    long_before = datetime(1970, 1, 1, tzinfo=UTC)
    assert list(islice(limited.fire_times(long_before), 50)) == list(expected)
