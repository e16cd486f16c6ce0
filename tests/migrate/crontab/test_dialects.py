"""Lines of other schedulers: recognised in a crontab, and taken where a person says whose they are."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from beatd.migrate.crontab.lines import Line, read
from beatd.schedules import parse_cron, parse_duration


def the_line(source: str, dialect: str | None = None) -> Line:
    (line,) = read((source + "\n").encode(), "tab", form="user", dialect=dialect).lines
    return line


@pytest.mark.parametrize(
    ("dialect", "source", "schedule"),
    [
        ("quartz", "0 30 6 ? * MON-FRI /opt/poll", "30 6 * * MON-FRI"),
        ("quartz", "0 30 6 ? * 2-6 /opt/poll", "30 6 * * 1-5"),
        ("quartz", "0 0 12 1/5 * ? /opt/poll", "0 12 1/5 * *"),
        ("quartz", "0 0 12 * * ? * /opt/poll", "0 12 * * *"),
        ("quartz", "*/15 * * * * ? /opt/poll", "*/15 * * * * *"),
        ("quartz", "0 15 10 ? * 6L /opt/poll", "15 10 * * 5L"),
        ("quartz", "0 15 10 ? * 6#3 /opt/poll", "15 10 * * 5#3"),
        ("quartz", "0 15 10 L * ? /opt/poll", "15 10 L * *"),
        ("quartz", "0 0 22-2 * * ? /opt/poll", "0 0-2,22,23 * * *"),
        ("quartz", "0 0 0 ? * FRI-MON /opt/poll", "0 0 * * 0,1,5,6"),
        ("quartz", "0 0 0 ? NOV-FEB 1 /opt/poll", "0 0 * 1,2,11,12 0"),
        ("quartz", "0 0 0 ? * */2 /opt/poll", "0 0 * * */2"),
        ("spring", "0 30 6 * * 2-6 /opt/poll", "30 6 * * 2-6"),
        ("spring", "0 0 0 ? * 0L /opt/poll", "0 0 * * 0L"),
        ("spring", "@daily /opt/poll", "@daily"),
        ("jenkins", "H 4 * * 1-5 /opt/poll", "H 4 * * 1-5"),
        ("jenkins", "H(0-29)/10 H(1-3) * * * /opt/poll", "H(0-29)/10 H(1-3) * * *"),
        ("jenkins", "@midnight /opt/poll", "H H(0-2) * * *"),
        ("supercronic", "*/30 * * * * * * /opt/poll", "*/30 * * * * *"),
        ("supercronic", "0 5 * * * * /opt/poll", "0 5 * * *"),
        ("supercronic", "0 5 * * friday /opt/poll", "0 5 * * 5"),
        ("supercronic", "0 5 * * * /opt/poll", "0 5 * * *"),
        ("supercronic", "0 5 L * * 7z a", "0 5 L * *"),
        ("supercronic", "0 0 */2 * 1 /opt/poll", "0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * 1"),
        ("supercronic", "@reboot /opt/poll", "@reboot"),
        ("kubernetes", "0/15 4 ? * 1 /opt/poll", "0/15 4 * * 1"),
        ("kubernetes", "@every 1h30m /opt/poll", "@every 1h30m"),
        ("kubernetes", "@every 1.5h /opt/poll", "@every 1h30m"),
        ("kubernetes", "@every 90s /opt/poll", "@every 90s"),
        ("aws", "cron(15 10 ? * 6L *) /opt/poll", "15 10 * * 5L"),
        ("aws", "0 12 * * ? * /opt/poll", "0 12 * * *"),
        ("aws", "rate(5 minutes) /opt/poll", "@every 5m"),
        ("aws", "rate(1 day) /opt/poll", "@every 1d"),
    ],
)
def test_taken_with_its_dialect(dialect: str, source: str, schedule: str) -> None:
    line = the_line(source, dialect)

    assert (line.kind, line.schedule) == ("entry", schedule)
    assert line.command in ("/opt/poll", "7z a")
    if schedule.startswith("@every "):
        assert parse_duration(schedule.removeprefix("@every "), "every") > timedelta(0)
    elif schedule != "@reboot":
        parse_cron(schedule, ZoneInfo("UTC"), name="poll")


@pytest.mark.parametrize(
    ("dialect", "source", "field", "says"),
    [
        ("quartz", "0 0 0 1W * ? x", "day-of-month", "nearest to a date"),
        ("quartz", "0 0 0 L-3 * ? x", "day-of-month", "days before the last"),
        ("quartz", "0 0 0 1 * 2 x", "day-of-week", "the other is ?"),
        ("quartz", "0 0 0 * * ? 2030 x", "year", "start_at"),
        ("quartz", "0 0/120 0 * * ? x", "minute", "the step is longer than the field"),
        ("quartz", "0 0 0 ? * 0 x", "day-of-week", "'0' is not 1-7"),
        ("quartz", "0 5 * * * x", "day-of-week", "'x' is not 1-7 or SUN-SAT"),
        ("quartz", "0 5 * * x", "schedule", "Quartz has 6 or 7 time fields"),
        ("quartz", "@daily x", "schedule", "@-names"),
        ("spring", "0 0 0 1 * 2 x", "day-of-week", "both to match"),
        ("spring", "0 0 22-2 * * * x", "hour", "runs backwards"),
        ("jenkins", "0 0 L * * x", "day-of-month", "'L' is not 1-31"),
        ("jenkins", "0 0 0 * * * x", "day-of-month", "'0' is not 1-31"),
        ("jenkins", "TZ=Mars/Olympus 0 0 * * * x", "timezone", "not an IANA time zone"),
        ("supercronic", "0 5 30W * * x", "day-of-month", "nearest to a date"),
        ("supercronic", "0 5 * * 8 x", "day-of-week", "'8' is not 0-7"),
        ("kubernetes", "0 5 * * 7 x", "day-of-week", "'7' is not 0-6"),
        ("kubernetes", "0 5 L * * x", "day-of-month", "'L' is not 1-31"),
        ("kubernetes", "0 0 12 * * ? x", "schedule", "stands after them"),
        ("kubernetes", "@every soon x", "schedule", "no duration"),
        ("kubernetes", "@every 100ms x", "schedule", "at least a second"),
        ("kubernetes", "0 0 31 2 * x", "day-of-month", "never fires"),
        ("aws", "at(2030-01-01T00:00:00) x", "schedule", "runs once"),
        ("aws", "rate(5 weeks) x", "schedule", "a rate is a number"),
    ],
)
def test_refused_with_its_dialect(dialect: str, source: str, field: str, says: str) -> None:
    line = the_line(source, dialect)

    assert line.kind == "refused"
    assert line.reason is not None
    assert line.reason.field == field
    assert says in str(line.reason)
    assert line.never_ran is None


def test_a_zone_before_a_schedule() -> None:
    line = the_line("CRON_TZ=Asia/Tokyo 0 6 * * * x", "kubernetes")
    assert (line.schedule, line.timezone, line.command) == ("0 6 * * *", "Asia/Tokyo", "x")


def test_variables_and_users_are_read_as_ever() -> None:
    crontab = read(b"# poll\nA=b\n*/10 * * * * * * root /opt/poll%in\n", "tab", dialect="supercronic")

    line = crontab.lines[-1]
    assert (crontab.form, line.user, line.command, line.stdin) == ("system", "root", "/opt/poll", "in\n")
    assert (line.comment, dict(line.environment)) == (None, {"A": "b"})


@pytest.mark.parametrize(
    ("source", "says", "meant"),
    [
        ("0 0 12 * * ? x", "--dialect quartz or --dialect spring takes it", "at 12:00 every day"),
        ("0 15 10 ? * 6L 2022-2030 x", "seven time fields", "refuses the line"),
        ("*/5 * * * * * * x", "--dialect quartz or --dialect supercronic", "bad command"),
        ("0 15 10 ? * 6#3 x", "six time fields", "quartz: at 10:15 on the third Friday of the month"),
        ("0 0 6 * * 2 x", "six time fields", "quartz: at 06:00 on Monday; spring: at 06:00 on Tuesday"),
        ("0 0 6 * * MON-FRI x", "six time fields", "at 06:00 on Monday to Friday"),
        ("*/5 * * * * ~300 x", "six time fields", "runs a command '~300'"),
        ("H H(0-2) * * * x", "--dialect jenkins", "every day (or so: by the entry's name)"),
        ("@every 5m x", "--dialect supercronic", "every 5m"),
        ("14 14 * * ? x", "--dialect kubernetes or --dialect supercronic", "at 14:14 every day"),
        ("0/15 4 * * * x", "--dialect kubernetes or --dialect supercronic", "04:00"),
        ("0 0 LW * * x", "--dialect supercronic", "the last weekday"),
        ("rate(5 minutes) x", "--dialect aws", "every 5m"),
        ("cron(0 12 * * ? *) x", "--dialect aws", "at 12:00 every day"),
    ],
)
def test_recognised_and_never_misread(source: str, says: str, meant: str) -> None:
    line = the_line(source)

    assert line.kind == "refused"
    assert says in str(line.reason)
    assert meant in f"{line.reason} {line.never_ran}"


def test_cron_does_start_a_command_that_is_the_sixth_field() -> None:
    """Which the machine does not have, but that is in cron's log."""
    assert the_line("0 0 12 * * ? x").never_ran is None
    (line,) = read(b"0 0 12 * * ? root x\n", "/etc/crontab").lines
    assert line.never_ran is not None
    assert "bad username" in line.never_ran
    (line,) = read(b"0 0 12 * * ? root x\n", "/etc/crontab", cron="cronie").lines
    assert line.never_ran is not None
    assert "does not know; it would have meant: at 12:00 every day" in line.never_ran


def test_a_zone_before_a_schedule_starts_nothing() -> None:
    line = the_line("TZ=Asia/Tokyo 0 6 * * * x")
    assert line.kind == "refused"
    assert line.never_ran is not None


@pytest.mark.parametrize(
    ("source", "example"),
    [
        ("0 0 * * 5L x", "beatd entry add NAME --cron '0 0 * * 5L' --shell COMMAND"),
        ("0 0 LW * * x", "beatd entry add NAME --cron '0 0 LW * *' --shell COMMAND"),
        ("H 4 * * * x", "beatd entry add NAME --cron 'H 4 * * *' --shell COMMAND"),
        ("*/5 * * * * * * x", "beatd entry add NAME --cron '*/5 * * * * *' --shell COMMAND"),
        ("@every 5m x", "beatd entry add NAME --every 5m --shell COMMAND"),
        ("rate(5 minutes) x", "beatd entry add NAME --every 5m --shell COMMAND"),
        ("cron(0 12 * * ? *) x y", "0 12 * * * x y"),
        ("0 0 12 * * ? x", "0 12 * * * x"),
        ("0 0 6 * * MON-FRI x", "0 6 * * MON-FRI x"),
        ("14 14 * * ? x", "14 14 * * * x"),
        ("0/15 4 * * * x", "0-59/15 4 * * * x"),
        ("0 0 15W * * x", None),
        ("0 0 6 * * 2 x", None),
        ("TZ=Asia/Tokyo 0 6 * * * x", None),
    ],
)
def test_an_example_says_the_same_or_there_is_none(source: str, example: str | None) -> None:
    line = the_line(source)
    assert line.reason is not None
    assert line.reason.example == example


def test_a_column_counts_what_stands_before_an_expression() -> None:
    line = the_line("cron(0 12 * 13 ? *) x", "aws")
    assert line.reason is not None
    assert (line.reason.field, line.reason.where) == ("month", "tab:1:13")


def test_five_fields_and_a_command_that_looks_like_none_is_left_alone() -> None:
    for command in ("7z a", "2to3 x", "[ -f x ]", "w", "who", "sun", "./5", "~/x", "lw", "html5"):
        assert the_line(f"0 5 * * * {command}").kind == "entry", command
