"""What is refused says the field, the value and what is wrong; the example beside it works."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from beatd.errors import FieldError
from beatd.schedules import (
    load_factories,
    make_custom,
    parse_calendar_interval,
    parse_cron,
    parse_date_set,
    parse_duration,
    parse_instant,
    parse_solar,
    parse_zone,
)
from beatd.schedules.text import parse_date, parse_time

BERLIN = parse_zone("Europe/Berlin")
ANCHOR = datetime(2026, 1, 15, tzinfo=UTC)

Parse = Callable[[str], Any]


def calendar_every(every: str, day: str | None = None) -> Any:
    return parse_calendar_interval(every, BERLIN, time=None, day=day, anchor=ANCHOR)


PARSERS: dict[str, Parse] = {
    "calendar_every": calendar_every,
    "day": lambda day: calendar_every("1mo", day),
    "cron": lambda cron: parse_cron(cron, BERLIN, name="backup"),
    "dates": lambda dates: parse_date_set(dates, None),
    "weekdays": lambda weekdays: parse_date_set(None, weekdays),
    "country": lambda country: parse_date_set(None, None, country),
    "region": lambda region: parse_date_set(None, None, "DE", region),
    "solar": lambda event: parse_solar(event, "52.52", "13.405"),
    "latitude": lambda latitude: parse_solar("dawn", latitude, "13.405"),
    "longitude": lambda longitude: parse_solar("dawn", "52.52", longitude),
    "every": lambda text: parse_duration(text, "every"),
    "at": lambda text: parse_instant(text, BERLIN, "at"),
    "time": lambda text: parse_time(text, "time"),
    "date": lambda text: parse_date(text, "date"),
    "timezone": parse_zone,
}

REFUSED = [
    # field, what is given, how the problem begins, and ends
    ("calendar_every", "", "is not one number with one of d, w, mo, y", "years)"),
    ("calendar_every", "5", "is not one number", "years)"),
    ("calendar_every", "5 parsecs", "is not one number", "years)"),
    ("calendar_every", "5m", "elapsed time is given as every", "; months are '5mo'"),
    ("calendar_every", "5M", "elapsed time is given as every", "; months are '5mo'"),
    *(
        ("calendar_every", f"5{unit}", "elapsed time is given as every", "as every")
        for unit in ("s", "min", "h", " second", " seconds", " minute", " minutes", " hour", " hours")
    ),
    ("calendar_every", "0d", "the number is 1 to 1000", "1000"),
    ("calendar_every", "1001d", "the number is 1 to 1000", "1000"),
    ("calendar_every", f"{'0' * 10}1d", "the number is 1 to 1000", "1000"),
    ("day", "0", "is not a day of the month, 1 to 31 or 'last'", "'last'"),
    ("day", "32", "is not a day of the month", "'last'"),
    ("day", "001", "is not a day of the month", "'last'"),
    ("day", "x", "is not a day of the month", "'last'"),
    ("cron", "5 , 4 * * *", "", "lists and ranges have no blanks in them"),
    ("cron", "5, 4 * * * *", "", "lists and ranges have no blanks in them"),
    ("cron", "5 -4 * * * *", "", "lists and ranges have no blanks in them"),
    ("cron", "5 ,4 * * * *", "", "lists and ranges have no blanks in them"),
    ("cron", "CRON_TZ=Europe/Berlin 0 3 * * *", "", "the zone is a field of its own: timezone"),
    ("cron", "0 3 \N{EN DASH} * *", "", "that dash is not '-'; allowed are 1-31"),
    ("cron", "H(9-x) * * * *", "minute 'H(9-x)': 'x' is not 0-59", ""),
    ("cron", "H(x-9) * * * *", "minute 'H(x-9)': 'x' is not 0-59", ""),
    ("cron", "Hx * * * *", "minute 'Hx': the forms of 'H' are 'H', 'H(1-5)', 'H/2' and 'H(1-5)/2'", ""),
    ("cron", "H/x * * * *", "minute 'H/x': a step is one whole number after one '/'", ""),
    ("cron", "x~5 * * * *", "minute 'x~5': 'x' is not 0-59", ""),
    ("cron", "0/2/2 * * * *", "minute '0/2/2': a step is one whole number after one '/'", ""),
    ("cron", "1-5/x * * * *", "minute '1-5/x': a step is one whole number after one '/'", ""),
    ("cron", "5-1 * * * *", "minute '5-1': the range runs backwards", "did you mean '5-59,0-1'?"),
    ("cron", "5-1/2 * * * *", "minute '5-1/2': the range runs backwards", "allowed are 0-59"),
    ("cron", "0 0 2 1 2 ? 2026", "seven fields look like Quartz's second '0', then '0 2 1 2 ?'", ""),
    ("cron", "@reboot", "@reboot is a boot schedule, it has no fire times ahead", "ahead"),
    ("cron", "@rebot", "unknown; the @-names are @hourly, ", "did you mean '@reboot'?"),
    ("cron", "EVERY 5m", "that looks like an interval, which is given as every", ""),
    ("cron", "RATE(5 m)", "that looks like an interval, which is given as every", ""),
    ("dates", "", "give dates, weekdays or country", "country"),
    ("dates", "24.12.2026", "is not a date of the calendar, YYYY-MM-DD", ""),
    ("weekdays", "satur", "weekdays are sun, mon, tue, wed, thu, fri, sat", ""),
    ("weekdays", "x", "weekdays are sun, mon, tue, wed, thu, fri, sat", "sat"),
    ("country", "Germny", "is not the two letters of a country whose holidays are known", "'DE'?"),
    ("country", "Untied States", "is not the two letters of a country", "'US'?"),
    ("country", "XX", "is not the two letters of a country whose holidays are known", ""),
    ("region", "Bayrn", "is not a region of DE", "'BY'?"),
    ("region", "??", "is not a region of DE; there are: BB, BE, ", "Augsburg"),
    ("solar", "tea", "must be one of sunrise, ", "noon"),
    ("latitude", "90.1", "is not a number of degrees from -90 to 90", "90"),
    ("latitude", "52,5", "is not a number of degrees from -90 to 90", "90"),
    ("longitude", "-180.1", "is not a number of degrees from -180 to 180", "180"),
    ("every", "often", "", ""),
    ("every", "0s", "must be longer than nothing", "1s or more"),
    ("at", "soon", "is not a date and time in ISO 8601", "wall time of Europe/Berlin"),
    ("at", "0001-01-01T00:00+05:00", "is out of range; years are 1-9999", ""),
    ("time", "24:00", "is not a time of day, HH:MM or HH:MM:SS from 00:00 to 23:59:59", ""),
    ("time", "9:00", "is not a time of day", ""),
    ("date", "2026-02-30", "is not a date of the calendar, YYYY-MM-DD", ""),
    ("timezone", "Europe/Berln", "", ""),
]


@pytest.mark.parametrize(("field", "given", "begins", "ends"), REFUSED)
def test_what_is_refused(field: str, given: str, begins: str, ends: str) -> None:
    with pytest.raises(FieldError) as refusal:
        PARSERS[field](given)
    finding = refusal.value
    assert finding.field == field
    assert finding.value == given
    assert finding.problem.startswith(begins)
    assert finding.problem.endswith(ends)
    assert finding.example is not None
    PARSERS[field](finding.example)


def test_the_number_of_days_may_have_zeros_before_it() -> None:
    assert calendar_every("000001000d") == calendar_every("1000d")


CRON = [
    # what is given, what is said to be allowed, and what would work
    ("60 * * * *", "60 is not in 0-59", "30 * * * *"),
    ("60 * * * * *", "60 is not in 0-59", "30 * * * * *"),
    ("0 24 * * *", "24 is not in 0-23", "0 6 * * *"),
    ("0 0 32 * *", "32 is not in 1-31", "0 0 15 * *"),
    ("0 0 * 13 *", "13 is not in 1-12", "0 0 * 6 *"),
    ("0 0 * * 8", "8 is not in 0-7", "0 0 * * 1-5"),
    ("x * * * *", "'x' is not 0-59", "30 * * * *"),
    ("0 0 * x *", "'x' is not 1-12 or JAN-DEC", "0 0 * 6 *"),
    ("0 0 * APRIL *", "allowed are 1-12 or JAN-DEC", "0 0 * APR *"),
    ("0 0 * * mon-Friday", "allowed are 0-7 or SUN-SAT", "0 0 * * mon-FRI"),
    ("60-70 * * * *", "60 is not in 0-59", "0-29 * * * *"),
    ("0 0 * 10-13/2 *", "13 is not in 1-12", "0 0 * 1-6/2 *"),
    ("1- * * * *", "allowed are 0-59", "0-29 * * * *"),
    ("0 22-6 * * *", "allowed are 0-23", "0 22-23,0-6 * * *"),
    ("0 0 * * SAT-MON", "allowed are 0-7 or SUN-SAT", "0 0 * * 6,0-1"),
    ("0 5,22-6 * * *", "allowed are 0-23", "0 5,22-23,0-6 * * *"),
    ("50-10/5 * * * *", "allowed are 0-59", "10-50/5 * * * *"),
    ("0 0 25~5 * *", "allowed are 1-31", "0 0 5~25 * *"),
    ("0 0 * H(9-3) *", "allowed are 1-12 or JAN-DEC", "0 0 * H(3-9) *"),
    ("0 0 * H(9-3)/2 *", "allowed are 1-12 or JAN-DEC", "0 0 * H(3-9)/2 *"),
    ("1\N{EN DASH}5 * * * *", "allowed are 0-59", "1-5 * * * *"),
    ("1\N{MINUS SIGN}5/2,9 * * * *", "allowed are 0-59", "1-5/2,9 * * * *"),
    ("*-5 * * * *", "allowed are 0-59", "* * * * *"),
    ("0 ? * * *", "allowed are 0-23", "0 * * * *"),
    ("0 0 12 * * ?", "allowed are 0-7 or SUN-SAT", "0 0 12 * * *"),
    ("R 3 * * *", "allowed are 0-59", "H 3 * * *"),
    ("R(1-5)/2 3 * * *", "allowed are 0-59", "H(1-5)/2 3 * * *"),
    ("0 h * * *", "allowed are 0-23", "0 H * * *"),
    ("0 h/6 * * *", "allowed are 0-23", "0 H/6 * * *"),
    ("*/0 * * * *", "allowed are 0-59", "*/15 * * * *"),
    ("0 */0 * * *", "allowed are 0-23", "0 */6 * * *"),
    ("0 0 */x * *", "allowed are 1-31", "0 0 */2 * *"),
    ("0 0 * 3/ *", "allowed are 1-12 or JAN-DEC", "0 0 * 3/3 *"),
    ("0 0 * * */-2", "allowed are 0-7 or SUN-SAT", "0 0 * * */2"),
    ("*/0 * * * * *", "allowed are 0-59", "*/15 * * * * *"),
    ("10-20/0 * * * *", "allowed are 0-59", "10-20/2 * * * *"),
    ("H/0 * * * *", "allowed are 0-59", "H/15 * * * *"),
    ("H(1-20)/0 * * * *", "allowed are 0-59", "H(1-20)/2 * * * *"),
    ("/5 * * * *", "allowed are 0-59", "*/5 * * * *"),
    ("1~5/2 * * * *", "allowed are 0-59", "1~5 * * * *"),
    ("0 20~30 * * *", "30 is not in 0-23", "0 0~11 * * *"),
    ("Hx * * * *", "allowed are 0-59", "H * * * *"),
    ("0 H() * * *", "allowed are 0-23", "0 H(0-11) * * *"),
    ("0 H(9-24)/3 * * *", "24 is not in 0-23", "0 H(0-11)/6 * * *"),
    ("0 0 H/29 * *", "at most 28", "0 0 H/28 * *"),
    ("H(10-14)/6 * * * *", "at most 5", "H(10-14)/5 * * * *"),
    ("0 0 15W * *", "allowed are 1-31", "0 0 15 * *"),
    ("0 0 L-3 * *", "allowed are 1-31", "0 0 L * *"),
    ("0 0 l * *", "allowed are 1-31", "0 0 L * *"),
    ("0 0 5L * *", "allowed are 1-31", "0 0 L * *"),
    ("L * * * *", "allowed are 0-59", "30 * * * *"),
    ("0 0 * * L5", "allowed are 0-7 or SUN-SAT", "0 0 * * 5L"),
    ("0 0 * * 5l", "allowed are 0-7 or SUN-SAT", "0 0 * * 5L"),
    ("0 0 * * 9L", "9 is not in 0-7", "0 0 * * 5L"),
    ("5#2 * * * *", "allowed are 0-59", "30 * * * *"),
    ("0 0 1#2 * *", "allowed are 1-31", "0 0 15 * *"),
    ("0 0 * * 4#6", "after '#' comes 1-5", "0 0 * * 4#2"),
    ("0 0 * * 4#L", "allowed are 0-7 or SUN-SAT", "0 0 * * 4L"),
    ("0 0 * * 9#2", "9 is not in 0-7", "0 0 * * 5#2"),
    ("1,,2 * * * *", "allowed are 0-59", "1,2 * * * *"),
    ("0 0 30 2 *", "allowed are 1-29", "0 0 29 2 *"),
    ("15 0 0 31 4,6 *", "allowed are 1-30", "15 0 0 30 4,6 *"),
    ("0 0 */31 * 5#2", "no such weekday falls on such a day of the month", "0 0 * * 5#2"),
    ("0, 30 * * * *", "", "0,30 * * * *"),
    ("0 0 1 - 5 * *", "", "0 0 1-5 * *"),
    ("CRON_TZ=Asia/Tokyo 0 3 * * *", "", "0 3 * * *"),
    ("0 0 12 ? * 5 2030", "", "0 0 12 * * 5"),
    ("@Hourly", "'@hourly'", "@hourly"),
    ("@Reboot", "'@reboot'", "@daily"),
    ("@reboot", "", "@daily"),
    ("@monthley", "@weekly, @monthly, @yearly", "@monthly"),
    ("@rebot", "and @reboot", "@daily"),
    ("@never", "and @reboot", "@daily"),
    ("@every 5m", "", "*/5 * * * *"),
    ("every 5m", "", "*/5 * * * *"),
    # where something else is wrong, too, mending the first would not do
    ("60 24 * * *", "60 is not in 0-59", "30 6 * * 1-5"),
    ("60 0 30 2 *", "60 is not in 0-59", "30 6 * * 1-5"),
    (", * * * *", "allowed are 0-59", "30 6 * * 1-5"),
    ("0 3 * *", "", "30 6 * * 1-5"),
]


@pytest.mark.parametrize(("given", "allowed", "example"), CRON)
def test_what_is_allowed_in_a_cron_field_and_what_would_work(given: str, allowed: str, example: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_cron(given, BERLIN, name="backup")
    assert (refusal.value.field, refusal.value.value) == ("cron", given)
    assert allowed in refusal.value.problem
    assert refusal.value.example == example
    parse_cron(example, BERLIN, name="backup")


def test_without_a_name_no_example_is_hashed() -> None:
    for given in ("R * * * *", "H * * * *", "~ * * * *", "h/5 * * * *"):
        with pytest.raises(FieldError) as refusal:
            parse_cron(given, BERLIN)
        parse_cron(refusal.value.example or "", BERLIN)


@pytest.mark.parametrize(
    ("given", "example"), [("90", "90s"), (" 5 ", "5s"), ("0", "1h30m"), ("1.5h", "1h30m"), ("", "1h30m")]
)
def test_a_duration_without_a_unit_is_shown_with_one(given: str, example: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_duration(given, "every")
    assert refusal.value.example == example


WITHOUT_EXAMPLE = [
    (
        lambda: parse_date_set(None, None, "VA", "X"),
        "region",
        "X",
        "no regions of VA are known; leave it out",
    ),
]


def test_the_whole_text_of_some() -> None:
    for parse, text in (
        (
            lambda: parse_cron("0 1 2 3 4 5 2026", BERLIN),
            "seven fields look like Quartz's second '0', then '1 2 3 4 5', then year '2026'; "
            "cron has no field for the year",
        ),
        (lambda: parse_date_set("2026-12-24", None, None, "BY"), "is of no use without country"),
        (
            lambda: make_custom("jittered", {}, BERLIN, FACTORIES),
            "the trigger's own jitter is random; give the entry's jitter instead",
        ),
    ):
        with pytest.raises(FieldError) as refusal:
            parse()
        assert refusal.value.problem == text


@pytest.mark.parametrize(
    ("parse", "example"),
    [
        (lambda: parse_date_set("2026-12-24", None, None, "BY"), "BY"),
        (lambda: PARSERS["weekdays"]("satur"), "sat,sun"),
        (lambda: PARSERS["latitude"]("x"), "52.52"),
        (lambda: PARSERS["longitude"]("x"), "13.405"),
        (lambda: PARSERS["day"]("x"), "last"),
        (lambda: parse_cron("@daily", BERLIN, dst_fold="x"), "first"),
        (lambda: load_factories({"shifts": "x"}), "proj.rules:office_hours"),
    ],
)
def test_the_examples_of_some(parse: Callable[[], Any], example: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse()
    assert refusal.value.example == example


@pytest.mark.parametrize("given", ["\f* * * * *", "* * * * *\xa0", "X* * * * *"])
def test_what_looks_like_a_blank_is_none(given: str) -> None:
    with pytest.raises(FieldError):
        parse_cron(given, BERLIN)


def test_several_countries_may_have_been_meant() -> None:
    with pytest.raises(FieldError) as refusal:
        PARSERS["country"]("new zeeland")
    assert refusal.value.problem.endswith("did you mean 'NZ'?")
    with pytest.raises(FieldError) as refusal:
        PARSERS["country"]("austrria")
    assert refusal.value.problem.endswith("did you mean 'AT' or 'AU'?")


def test_a_day_of_weeks_is_refused_with_the_kind_that_has_one() -> None:
    with pytest.raises(FieldError) as refusal:
        calendar_every("2w", "5")
    assert (refusal.value.field, refusal.value.value) == ("day", "5")
    assert refusal.value.problem.startswith("only months and years have a day of the month")
    assert refusal.value.example == "calendar_every = '1mo'"


@pytest.mark.parametrize(("parse", "field", "value", "problem"), WITHOUT_EXAMPLE)
def test_what_does_not_go_together(parse: Callable[[], Any], field: str, value: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse()
    assert (refusal.value.field, refusal.value.value) == (field, value)
    assert refusal.value.problem.startswith(problem)


def test_an_expression_that_is_far_too_long_is_shown_in_part() -> None:
    with pytest.raises(FieldError) as refusal:
        parse_cron("1," * 5000 + "1 * * * *", BERLIN)
    assert (refusal.value.field, refusal.value.value) == ("cron", "1," * 20 + "...")
    parse_cron(refusal.value.example or "", BERLIN)


class _Whimsical(BaseTrigger):
    """Breaks the rules for fire times: one that is before the instant that was asked about."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        return datetime(2000, 1, 1, tzinfo=UTC) if now.year > 2000 else datetime(2030, 1, 1, tzinfo=UTC)


def _fails() -> BaseTrigger:
    raise ValueError("no\nluck")


FACTORIES: dict[str, Any] = {
    "hourly": IntervalTrigger,
    "cron": CronTrigger,
    "date": DateTrigger,
    "fails": _fails,
    "jittered": lambda: CronTrigger(minute=1, jitter=5),
    "jittered within": lambda: OrTrigger([CronTrigger(minute=1), CronTrigger(minute=1, jitter=5)]),
    "nothing": object,
    "whimsical": _Whimsical,
    "never together": lambda: AndTrigger([CronTrigger(minute=1), CronTrigger(minute=2)]),
}

CUSTOM = [
    # name, arguments, the field, the value that is shown, the problem
    ("hourli", {}, "custom", "hourli", "did you mean 'hourly'?"),
    ("hourly", {"hours": 1}, "custom_args", None, "depend on when it was made"),
    ("cron", {"minute": 1, "jitter": 5}, "custom", "cron", "the trigger's own jitter is random"),
    ("date", {"run_date": "1969-01-01"}, "custom_args", None, "never fires after "),
    ("fails", {}, "custom_args", None, "'fails' does not take them: ValueError: no luck"),
    ("jittered within", {}, "custom", "jittered within", "the trigger's own jitter is random"),
    ("nothing", {}, "custom", "nothing", "made object, which is not an APScheduler trigger"),
    ("whimsical", {}, "custom", "whimsical", "the trigger "),
    ("never together", {}, "custom", "never together", "did not agree in"),
]


@pytest.mark.parametrize(("name", "arguments", "field", "value", "problem"), CUSTOM)
def test_custom_triggers(
    name: str, arguments: dict[str, Any], field: str, value: str | None, problem: str
) -> None:
    with pytest.raises(FieldError) as refusal:
        make_custom(name, arguments, BERLIN, FACTORIES)
    assert refusal.value.field == field
    assert refusal.value.value == (json.dumps(arguments) if value is None else value)
    assert problem in refusal.value.problem


def test_the_example_for_a_trigger_with_a_history_mends_it() -> None:
    with pytest.raises(FieldError) as refusal:
        make_custom("hourly", {"hours": 1}, BERLIN, FACTORIES)
    arguments = {"hours": 1, **json.loads(refusal.value.example or "")}
    schedule = make_custom("hourly", arguments, BERLIN, FACTORIES)
    assert (schedule.name, json.loads(schedule.arguments)) == ("hourly", arguments)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("tests.schedules.custom_triggers", "is not package.module:callable"),
        (":office_hours", "is not package.module:callable"),
        ("tests.schedules.custom_triggers:", "is not package.module:callable"),
        ("tests.schedules.nowhere:office_hours", "cannot be imported: ModuleNotFoundError"),
        ("tests.schedules.custom_triggers:office_hours:x", "cannot be imported: AttributeError"),
        ("tests.schedules.custom_triggers:NOT_CALLABLE", "is not callable"),
    ],
)
def test_paths_of_factories(path: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        load_factories({"shifts": path})
    assert (refusal.value.field, refusal.value.value) == ("schedules.custom.shifts", path)
    assert refusal.value.problem.startswith(problem)
    assert ":" in (refusal.value.example or "")


def test_a_factory_is_loaded() -> None:
    path = "tests.schedules.custom_triggers:office_hours"
    assert load_factories({"shifts": path})["shifts"].__name__ == "office_hours"
