"""How long the next fire time of a cron rule takes: beatd, croniter, cronsim and APScheduler in one run.

    python benchmarks/evaluate.py
    python benchmarks/evaluate.py --fires 500 --repeat 9

Each is asked for a row of fire times of the same rules, as it is meant to be asked. They do not all mean the
same: only beatd and cronsim know Debian's daylight saving, and all read some day fields in their own way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import geometric_mean
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from croniter import croniter
from cronsim import CronSim

from beatd.schedules import cron, parse_cron

RULES = {
    "every minute": "* * * * *",
    "every five minutes": "*/5 * * * *",
    "nightly": "30 2 * * *",
    "office hours": "0 9-17 * * 1-5",
    "monthly": "0 0 1 * *",
    "13th or Friday": "0 0 13 * 5",
    "last day": "0 6 L * *",
    "second Friday": "0 6 * * 5#2",
    "29 February": "0 0 29 2 *",
    "29 February, Sunday": "0 0 29 2 */7",
}
ZONES = ("Europe/Berlin", "UTC")
AFTER = datetime(2026, 3, 10, 11, 22, 33, tzinfo=UTC)


@dataclass(frozen=True)
class Evaluator:
    """`prepare` reads a rule and gives what finds so many of its fires."""

    name: str
    prepare: Callable[[str, ZoneInfo], Callable[[int], object]]


def beatd(expression: str, zone: ZoneInfo) -> Callable[[int], object]:
    schedule = parse_cron(expression, zone)

    def find(fires: int) -> object:
        instant = AFTER
        for _ in range(fires):
            following = schedule.next_fire_time(instant)
            if following is None:
                break
            instant = following
        return instant

    return find


def with_croniter(expression: str, zone: ZoneInfo) -> Callable[[int], object]:
    rule = croniter(expression, AFTER.astimezone(zone))

    def find(fires: int) -> object:
        rule.set_current(AFTER.astimezone(zone), force=True)
        return [rule.get_next(datetime) for _ in range(fires)]

    return find


def with_cronsim(expression: str, zone: ZoneInfo) -> Callable[[int], object]:
    rule = CronSim(expression, AFTER.astimezone(zone))

    def find(fires: int) -> object:
        rule.dt = AFTER.astimezone(zone)
        return [next(rule) for _ in range(fires)]

    return find


def with_apscheduler(expression: str, zone: ZoneInfo) -> Callable[[int], object]:
    minute, hour, day, month, weekday = expression.split()
    # Its weekdays begin on Monday, and its own words are "last" and "2nd fri".
    day, weekday = APSCHEDULER.get((day, weekday), (day, weekday))
    trigger = CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=weekday, timezone=zone)

    def find(fires: int) -> object:
        previous, now = None, AFTER
        for _ in range(fires):
            previous = now = trigger.get_next_fire_time(previous, now)
        return now

    return find


#: The same days in its own words, for the rules that it reads otherwise.
APSCHEDULER = {
    ("*", "1-5"): ("*", "mon-fri"),
    ("L", "*"): ("last", "*"),
    ("*", "5#2"): ("2nd fri", "*"),
    ("29", "*/7"): ("29", "sun"),
}
EVALUATORS = (
    Evaluator("beatd", beatd),
    Evaluator("croniter", with_croniter),
    Evaluator("cronsim", with_cronsim),
    Evaluator("APScheduler", with_apscheduler),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--fires", type=int, default=200, help="fire times a row, fewer of sparse rules")
    parser.add_argument("--repeat", type=int, default=5, help="the best of so many rows counts")
    options = parser.parse_args()
    for zone_name in ZONES:
        zone = ZoneInfo(zone_name)
        print(f"\n{zone_name}: microseconds a fire time, and how many times beatd's\n")
        _print_table(partial(_per_fire, zone=zone, fires=options.fires, repeat=options.repeat))
    berlin = ZoneInfo(ZONES[0])
    print("\nReading a rule that the process has not read yet, and its first fire time: microseconds\n")
    _print_table(partial(_first, zone=berlin, repeat=options.repeat))
    again = _best(lambda: parse_cron(RULES["nightly"], berlin), options.repeat, 1000)
    schedule = parse_cron(RULES["nightly"], berlin)
    century = _best(lambda: schedule.count(AFTER, AFTER.replace(year=2126)), options.repeat, 1)
    print(f"\nbeatd reads a rule that another entry has, too: {again:.1f} microseconds")
    print(f"beatd counts the fires of a century: {century / 1000:.1f} milliseconds\n")


def _print_table(measure: Callable[[str, Evaluator], float]) -> None:
    print(f"{'rule':42}" + "".join(f"{evaluator.name:>20}" for evaluator in EVALUATORS))
    ratios: dict[str, list[float]] = {evaluator.name: [] for evaluator in EVALUATORS}
    for label, rule in RULES.items():
        times = {evaluator.name: measure(rule, evaluator) for evaluator in EVALUATORS}
        for name, taken in times.items():
            ratios[name].append(taken / times["beatd"])
        cells = (f"{taken:10.1f} ({taken / times['beatd']:5.1f}x)" for taken in times.values())
        print(f"{label:24}{rule:18}" + "".join(f"{cell:>20}" for cell in cells))
    means = (f"({geometric_mean(ratios[evaluator.name]):5.1f}x)" for evaluator in EVALUATORS)
    print(f"{'geometric mean':42}" + "".join(f"{mean:>20}" for mean in means))


def _per_fire(rule: str, evaluator: Evaluator, zone: ZoneInfo, fires: int, repeat: int) -> float:
    fires = min(fires, 5) if " 2 " in rule else fires
    find = evaluator.prepare(rule, zone)
    find(fires)
    return _best(lambda: find(fires), repeat, 1) / fires


def _first(rule: str, evaluator: Evaluator, zone: ZoneInfo, repeat: int) -> float:
    def read() -> None:
        cron._parse.cache_clear()
        evaluator.prepare(rule, zone)(1)

    return _best(read, repeat, 1)


def _best(action: Callable[[], object], repeat: int, times: int) -> float:
    """Microseconds; the best of several, since others use the machine as well."""
    best = float("inf")
    for _ in range(repeat):
        began = time.perf_counter()
        for _ in range(times):
            action()
        best = min(best, time.perf_counter() - began)
    return best / times * 1e6


if __name__ == "__main__":
    main()
