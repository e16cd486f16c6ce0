"""What holds of every schedule, whatever the rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from beatd.schedules import (
    CronSchedule,
    IntervalSchedule,
    Limited,
    OnceSchedule,
    Schedule,
    parse_cron,
    parse_zone,
)
from beatd.schedules.base import STEPS
from tests.schedules.model import examples, expressions, with_seconds, zone_names

instants = st.datetimes(datetime(1970, 1, 1), datetime(2150, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
zones = zone_names.map(parse_zone)
crons = st.builds(
    parse_cron,
    st.one_of(expressions(), with_seconds()),
    zones,
    dst_gap=st.sampled_from((None, "run_after", "skip")),
    dst_fold=st.sampled_from((None, "first", "second", "both")),
)
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


@examples(150)
@given(schedule=schedules, after=instants)
def test_fires_are_aware_utc_strictly_after_and_strictly_increasing(
    schedule: Schedule, after: datetime
) -> None:
    times = list(islice(schedule.fire_times(after), 20))
    assert all(time.tzinfo is UTC for time in times)
    assert all(earlier < later for earlier, later in pairwise([after, *times]))


@examples(150)
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


@examples(150)
@given(schedule=schedules, after=instants, length=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_count_counts_fire_times(schedule: Schedule, after: datetime, length: timedelta) -> None:
    listed = list(islice(schedule.fire_times(after, after + length), 5000))
    counted = schedule.count(after, after + length)
    if len(listed) < 5000 and counted.exact:
        assert counted.number == len(listed)
    else:
        assert counted.number >= min(len(listed), STEPS)


@examples(100)
@given(
    schedule=st.one_of(crons, intervals),
    after=instants,
    lengths=st.tuples(*[st.timedeltas(timedelta(0), timedelta(days=4000))] * 2),
)
def test_counts_add_up(schedule: Schedule, after: datetime, lengths: tuple[timedelta, timedelta]) -> None:
    """However long the time, and wherever it is cut in two."""
    middle, until = after + lengths[0], after + lengths[0] + lengths[1]
    first, second, whole = (
        schedule.count(*span) for span in ((after, middle), (middle, until), (after, until))
    )
    assert first.exact
    assert first.number + second.number == whole.number


@examples(100)
@given(schedule=crons)
def test_a_round_trip_through_text(schedule: CronSchedule) -> None:
    policies = {"dst_gap": schedule.dst_gap, "dst_fold": schedule.dst_fold}
    again = parse_cron(schedule.expression, parse_zone(schedule.timezone.key), **policies)
    assert again == schedule
    assert hash(again) == hash(schedule)


@examples(80)
@given(schedule=plain, start=instants, length=st.timedeltas(timedelta(0), timedelta(days=40)))
def test_limits_keep_what_is_within(schedule: Schedule, start: datetime, length: timedelta) -> None:
    limited = Limited(schedule, start, start + length)
    expected = islice(schedule.fire_times(start - timedelta(microseconds=1), start + length), 50)
    long_before = datetime(1969, 1, 1, tzinfo=UTC)
    assert list(islice(limited.fire_times(long_before), 50)) == list(expected)
