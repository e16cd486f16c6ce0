"""What Celery's crontab does where daylight saving begins and ends, and the options that do the same.

Celery steps from one run to the next on the wall clock (`crontab.remaining_delta`), so it has two habits:

- of wall times that a clock skips, the first runs later by what is skipped (02:30 at 03:30), and takes with
  it whatever comes before that on the clock; the others do not run;
- of wall times that come twice, the second do not run, even those of a rule that runs every minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from beatd.broker.periodic import Crontab
from beatd.schedules import CronSchedule, parse_cron, parse_zone, wallclock

#: The years whose shifts are looked at: the same for every import, however the zone was before.
_FROM, _UNTIL = datetime(2025, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Daylight:
    """`dst_gap` and `dst_fold` where the expression by itself would do otherwise than Celery. `differs` says
    in which way it does even so."""

    dst_gap: str | None = None
    dst_fold: str | None = None
    differs: str | None = None


def daylight(crontab: Crontab, expression: str, now: datetime) -> Daylight:
    """What differs is told with a night that is to come. Raises FieldError for an expression or a zone that
    cannot be."""
    zone = parse_zone(crontab.timezone)
    rule = parse_cron(expression, zone)
    dst_gap, differs = _gap(crontab, rule, now)
    fold_matters = rule.dst_fold != "first" and any(
        parse_cron(expression, zone, dst_fold="first").count(start, end)
        != parse_cron(expression, zone, dst_fold="both").count(start, end)
        for start, end in _around_folds(rule.timezone)
    )
    return Daylight(dst_gap, "first" if fold_matters else None, differs)


def _gap(crontab: Crontab, rule: CronSchedule, now: datetime) -> tuple[str | None, str | None]:
    gaps = _gaps(rule.timezone)
    theirs = {gap: _runs_of_celery(crontab, rule, gap, skipped) for gap, skipped in gaps}
    wrong = {}
    for policy in dict.fromkeys((rule.dst_gap, "run_after", "skip")):
        ours = parse_cron(rule.expression, rule.timezone, dst_gap=policy)
        differing = [
            gap for gap, skipped in gaps if list(ours.fire_times(gap - _MINUTE, gap + skipped)) != theirs[gap]
        ]
        if not differing:
            return (None if policy == rule.dst_gap else policy), None
        wrong[policy] = differing
    dst_gap = None if rule.dst_gap == "run_after" else "run_after"
    coming = next((gap for gap in wrong["run_after"] if gap >= now), None)
    if coming is None:
        return dst_gap, None
    gap = coming.astimezone(rule.timezone)
    late = [run.astimezone(rule.timezone) for run in theirs[coming]]
    differs = (
        f"where the clock is set forward Celery runs it late ({gap:%Y-%m-%d}: {late[0]:%H:%M}), "
        f"beatd at the first instant after the gap ({gap:%H:%M})"
    )
    return dst_gap, differs


def _runs_of_celery(
    crontab: Crontab, rule: CronSchedule, gap: datetime, skipped: timedelta
) -> list[datetime]:
    """Celery's runs from the end of a gap until as much later as the gap is long."""
    after = gap.astimezone(rule.timezone).replace(tzinfo=None)
    late = rule.next_wall(after - skipped - _MINUTE)
    runs = []
    wall = after - _MINUTE
    if late is not None and late < after:
        runs.append(gap + (late - (after - skipped)))
        wall = late + skipped
    while (following := rule.next_wall(wall)) is not None and following <= after + skipped:
        runs.append(gap + (following - after))
        wall = following
    return runs


@lru_cache
def _gaps(zone: ZoneInfo) -> Sequence[tuple[datetime, timedelta]]:
    return tuple(wallclock.gaps(zone, _FROM, _UNTIL))


@lru_cache
def _around_folds(zone: ZoneInfo) -> Sequence[tuple[datetime, datetime]]:
    """Spans around the shifts back."""
    days = [_FROM + number * _DAY for number in range((_UNTIL - _FROM) // _DAY)]
    offsets = [day.astimezone(zone).utcoffset() or timedelta(0) for day in days]
    return tuple(
        (day - _DAY, day + 2 * _DAY)
        for day, offset, following in zip(days, offsets, offsets[1:], strict=False)
        if offset > following
    )
