"""A second opinion on when cron starts a line, and the comparison with what its entry does."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beatd.clock import wall
from beatd.migrate.crontab import evaluator, imported
from beatd.migrate.crontab.crons import Cron
from beatd.migrate.crontab.entries import Taking
from beatd.migrate.crontab.evaluator import NotEvaluated, read_times, starts
from beatd.migrate.crontab.imported import Entries, Imported
from beatd.migrate.crontab.tabs import Rules, Tab, Tabs, read_tab
from beatd.migrate.crontab.verify import Compared, Proof, Verdict, compare, verify
from beatd.operations.context import Offline
from beatd.schedules import Schedule, parse_cron

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def started(line: str, zone: str, start: str, end: str, job_zone: str | None = None) -> list[str]:
    """Wall times in `zone`, with the offset; of several processes at once each."""
    found = starts(
        read_times(line), ZoneInfo(zone), at(start), at(end), ZoneInfo(job_zone) if job_zone else None
    )
    instants = [
        datetime.fromtimestamp(second, ZoneInfo(zone)) for second, count in found for _ in range(count)
    ]
    return [f"{instant:%d %H:%M%z}"[:-2] for instant in instants]


def test_the_evaluator_is_on_its_own() -> None:
    """It knows nothing of beatd, whose schedules it is to judge."""
    tree = ast.parse(Path(evaluator.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert not [module for module in modules if module and module.startswith("beatd")]
    assert not {"croniter", "cronsim", "apscheduler"} & modules


SPRING = ("Europe/Berlin", "2026-03-29T01:00+01:00", "2026-03-29T05:00+02:00")
AUTUMN = ("Europe/Berlin", "2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00")
LORD_HOWE = ("Australia/Lord_Howe", "2026-10-04T01:00+10:30", "2026-10-04T04:00+11:00")
SAMOA = ("Pacific/Apia", "2011-12-29T12:00-10:00", "2011-12-31T12:00+14:00")

#: What Debian's cron is known to do on such nights.
NIGHTS: list[tuple[str, tuple[str, str, str], list[str]]] = [
    ("30 2 * * * x", SPRING, ["29 03:00+02"]),
    ("0,30 2 * * * x", SPRING, ["29 03:00+02"] * 2),
    ("0 3 * * * x", SPRING, ["29 03:00+02"]),
    ("0,30 1-3 * * * x", SPRING, ["29 01:00+01", "29 01:30+01", *["29 03:00+02"] * 3, "29 03:30+02"]),
    ("*/30 2 * * * x", SPRING, []),
    ("*/30 * * * * x", SPRING, [f"29 {time}" for time in (
        "01:00+01", "01:30+01", "03:00+02", "03:30+02", "04:00+02", "04:30+02")]),
    ("@hourly x", SPRING, ["29 01:00+01", "29 03:00+02", "29 04:00+02"]),
    ("30 2 * * * x", AUTUMN, ["25 02:30+02"]),
    ("0 3 * * * x", AUTUMN, ["25 03:00+01"]),
    ("0 * * * * x", AUTUMN, ["25 01:00+02", "25 02:00+02", "25 02:00+01", "25 03:00+01"]),
    ("* 2 * * * x", ("Europe/Berlin", "2026-10-25T02:58+02:00", "2026-10-25T02:02+01:00"), [
        "25 02:58+02", "25 02:59+02", "25 02:00+01", "25 02:01+01"]),
    ("15 2 * * * x", LORD_HOWE, ["04 02:30+11"]),
    ("30 2 * * * x", LORD_HOWE, ["04 02:30+11"]),
    ("0 6 30 12 * x", SAMOA, []),
    ("0 6 * * * x", SAMOA, ["31 06:00+14"]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "night", "expected"), NIGHTS, ids=str)
def test_nights_on_which_clocks_change(
    line: str, night: tuple[str, str, str], expected: Sequence[str]
) -> None:
    assert started(line, *night) == expected


def test_another_zone_s_clock_is_read_minute_by_minute() -> None:
    """cronie makes up for nothing, and holds nothing back, for the sake of CRON_TZ."""
    assert started("30 2 * * * x", "UTC", *SPRING[1:], job_zone="Europe/Berlin") == []
    assert started("30 2 * * * x", "UTC", *AUTUMN[1:], job_zone="Europe/Berlin") == [
        "25 00:30+00",
        "25 01:30+00",
    ]
    while_ours_is_put_back = started("30 10 * * * x", *AUTUMN, job_zone="Asia/Tokyo")
    assert while_ours_is_put_back == [], "cronie holds back all fixed times then"


DAYS: list[tuple[str, list[str]]] = [
    ("0 0 13 * 5 x", ["02", "09", "13", "16", "23", "30"]),
    ("0 0 13 * * x", ["13"]),
    ("0 0 */2 * 5 x", ["09", "23"]),
    ("0 0 13 * */5 x", []),
    ("0 0 * JAN sun x", ["04", "11", "18", "25"]),
    ("0 0 * 1 7 x", ["04", "11", "18", "25"]),
    ("0 0 * 1 5-7 x", ["02", "03", "04", "09", "10", "11", "16", "17", "18", "23", "24", "25", "30", "31"]),
    ("0 0 1-31/10 * * x", ["01", "11", "21", "31"]),
    ("@monthly x", ["01"]),
    ("@weekly x", ["04", "11", "18", "25"]),
    ("@yearly x", ["01"]),
]


@pytest.mark.parametrize(("line", "expected"), DAYS)
def test_days_of_january(line: str, expected: list[str]) -> None:
    found = started(line, "UTC", "2026-01-01T00:00+00:00", "2026-02-01T00:00+00:00")
    assert [text.split()[0] for text in found] == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("@reboot x", True),
        ("~ 3 * * * x", True),
        ("@fortnightly x", False),
        ("5/10 * * * * x", False),
        ("*/0 * * * * x", False),
        ("61 * * * * x", False),
        ("noon 3 * * * x", False),
        ("-5 3 * * * x", False),
        ("5\u00a03 * * * x y", False),
        ("1-5/ 3 * * * x", False),
        ("*/ 3 * * * x", False),
        ("1- 3 * * * x", False),
        ("*/5x 3 * * * x", False),
        ("* * *", False),
    ],
)
def test_what_it_cannot_say(line: str, expected: bool) -> None:
    with pytest.raises(NotEvaluated) as refused:
        read_times(line)
    assert refused.value.expected is expected


ZONES = (
    *("Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"),
    *("Pacific/Apia", "Antarctica/Troll", "Asia/Kathmandu", "America/Havana", "UTC"),
)


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.integers(1, high)
    item = st.one_of(
        number.map(str),
        span,
        st.tuples(span, step).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        st.tuples(st.just("*"), step).map(lambda pair: f"*/{pair[1]}"),
    )
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


FIELDS = st.tuples(numbers(0, 59), numbers(0, 23), numbers(1, 28), numbers(1, 12), numbers(0, 7))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=FIELDS, zone=st.sampled_from(ZONES), year=st.integers(2011, 2030), month=st.integers(1, 12))
def test_beatd_fires_when_cron_starts(fields: tuple[str, ...], zone: str, year: int, month: int) -> None:
    cron = " ".join(fields)
    start = datetime(year, month, 1, tzinfo=UTC)
    end = start + timedelta(days=35)
    schedule = parse_cron(cron, ZoneInfo(zone), name="any")
    by_cron = list(starts(read_times(f"{cron} x"), ZoneInfo(zone), start, end))
    tick = timedelta(microseconds=1)
    compared = compare(by_cron, schedule.fire_times(start - tick, end - tick))
    assert compared.first == ()


# Lines and their entries


def proof(
    text: str,
    cron: Cron = "debian",
    zone: ZoneInfo = BERLIN,
    other: str | None = None,
    dialect: str | None = None,
) -> Proof:
    """Of a crontab against the entries of itself, or of `other`."""
    tabs, others = (_tabs(source, cron, zone, dialect) for source in (text, text if other is None else other))
    entries = imported.would_be(Offline(), others, wall())
    return verify(tabs, entries, zone, START, END, dialect)


def _tabs(text: str, cron: Cron, zone: ZoneInfo, dialect: str | None) -> Tabs:
    tab: Tab = read_tab(
        text.encode(), "crontab", Rules(cron, "user", dialect), Taking(zone.key, accept_cron_tz=True)
    )
    return Tabs((tab,))


def only(proof: Proof) -> Verdict:
    (verdict,) = proof.verdicts
    return verdict


def counted(verdict: Verdict) -> Compared:
    assert verdict.compared is not None
    return verdict.compared


def test_equal_over_two_years() -> None:
    text = "# nightly\n30 2 * * * /usr/local/bin/backup\n\nMAILTO=root\n*/15 8-18 * * 1-5 poll\n"
    found = proof(text)
    assert found.holds
    assert [(one.line, one.outcome, counted(one).starts) for one in found.verdicts] == [
        (2, "equal", 730),
        (5, "equal", 522 * 44),
    ]


@dataclass(frozen=True)
class Counted(Schedule):
    """One that tells how often its fire times were asked for."""

    schedule: Schedule
    asked: list[int] = field(default_factory=list, compare=False)

    def next_fire_time(self, after: datetime) -> datetime | None:
        self.asked.append(1)
        return self.schedule.next_fire_time(after)


def test_lines_with_equal_times_are_worked_out_once() -> None:
    tabs = _tabs("0 3 * * * x\n00 03 * * * y\n0 3 * * * z\n", "debian", BERLIN, None)
    schedules = [Counted(parse_cron("0 3 * * *", BERLIN)) for _ in range(3)]
    entries = Entries(
        {f"crontab:{number}": [Imported(f"entry-{number}", one)] for number, one in enumerate(schedules, 1)}
    )
    found = verify(tabs, entries, BERLIN, START, START + timedelta(days=10))
    assert [counted(one).starts for one in found.verdicts] == [10, 10, 10]
    assert [len(one.asked) for one in schedules] == [11, 0, 0]


def test_processes_at_one_instant_are_one_run_and_it_is_said() -> None:
    verdict = only(proof("0,30 2 * * * x\n"))
    assert (verdict.outcome, counted(verdict).merged) == ("equal", 2)
    assert verdict.note == "where the clock is put forward, cron starts 2 more at the same instant: one run"


def test_what_differs_is_told_by_the_first_few() -> None:
    found = proof("30 2 * * * x\n", other="30 3 * * * x\n")
    assert not found.holds
    compared = counted(only(found))
    assert (compared.starts, compared.fires, compared.differing) == (730, 730, 1460)
    assert [(difference.only, difference.at) for difference in compared.first[:2]] == [
        ("cron", at("2026-01-01T02:30+01:00")),
        ("beatd", at("2026-01-01T03:30+01:00")),
    ]
    assert len(compared.first) == 5


def test_a_zone_that_only_differs_in_winter() -> None:
    tabs = _tabs("0 12 * * * x\n", "debian", ZoneInfo("Europe/London"), None)
    entries = imported.would_be(Offline(), tabs, wall())
    compared = counted(only(verify(tabs, entries, UTC_ZONE, START, END)))
    first = compared.first[0]
    assert (first.at, first.only) == (at("2026-03-29T12:00+01:00"), "beatd")


@pytest.mark.parametrize(
    ("text", "cron", "outcome", "note"),
    [
        ("@reboot x\n", "debian", "not compared", "it runs at boots"),
        ("~ 3 * * * x\n", "cronie", "not compared", "cron draws its time"),
        ("RANDOM_DELAY=15\n0 3 * * * x\n", "cronie", "equal", "up to 15 minutes late"),
        ("CRON_TZ=Asia/Tokyo\n0 3 * * * x\n", "cronie", "equal", None),
        ("CRON_TZ=Asia/Tokyo\n0 3 * * * x\n", "debian", "equal", None),
        ("1.5 3 ** * * x\n", "debian", "equal", None),
        ("0 3 1 * Wed-Sun x\n", "debian", "equal", None),
        ("0 3 1 * Wed-Sun x\n", "cronie", "equal", None),
    ],
)
def test_what_is_said_of_a_line(text: str, cron: Cron, outcome: str, note: str | None) -> None:
    verdict = only(proof(text, cron))
    assert verdict.outcome == outcome
    assert note is None or note in (verdict.note or "")


def counts(verdict: Verdict) -> tuple[str, int, int]:
    return verdict.outcome, counted(verdict).starts, counted(verdict).fires


#: A line that is refused, what comes of it, how often cron starts it, and what is said.
REFUSED: list[tuple[str, Cron, tuple[str, int, int], str]] = [
    ("0 3 30 2 * x", "debian", ("equal", 0, 0), "there is no day 30 in Feb"),
    ("61 3 * * * x", "debian", ("equal", 0, 0), "Debian's cron refuses the line (bad minute)"),
    ("61 3 * * * x", "cronie", ("equal", 0, 0), "cronie refuses the line (bad minute)"),
    ("0 3 * * * *x", "debian", ("equal", 0, 0), "Debian's cron refuses the line (bad command)"),
    ("0 3 * * * %a", "debian", ("differs", 730, 0), "it is not carried over: crontab:1:11: command"),
    ("0 3 * * * ? /bin/x", "debian", ("differs", 730, 0), "it is not carried over"),
    ("0 3 * * *", "cronie", ("equal", 0, 0), "cronie refuses the line"),
]


@pytest.mark.parametrize(("line", "cron", "expected", "said"), REFUSED)
def test_a_refused_line_differs_where_cron_runs_it(
    line: str, cron: Cron, expected: tuple[str, int, int], said: str
) -> None:
    verdict = only(proof(f"{line}\n", cron))
    assert (verdict.entry, counts(verdict)) == (None, expected)
    assert said in (verdict.note or "")


def test_what_is_no_time_of_day_is_not_compared_where_it_is_refused() -> None:
    verdict = only(proof("@reboot %a\n"))
    assert (verdict.outcome, verdict.compared) == ("differs", None)
    verdict = only(proof("CRON_TZ=Mars/Base\n", "cronie"))
    assert verdict.outcome == "not compared"
    assert "to cron an assignment, which starts nothing" in (verdict.note or "")


def test_lines_of_which_none_became_an_entry_prove_nothing() -> None:
    assert not proof("61 3 * * * x\n").holds
    assert proof("# nothing\nPATH=/bin\n").holds


def test_nothing_is_started_of_a_file_that_cron_ignores() -> None:
    found = proof("0 5 * * * ok\n0 6 * * * %a\n61 * * * * bad\n")
    assert not found.holds
    assert [counts(verdict) for verdict in found.verdicts] == [
        ("differs", 0, 730),
        ("equal", 0, 0),
        ("equal", 0, 0),
    ]
    first = found.verdicts[0]
    assert (first.note or "").startswith("Debian's cron ignores the whole file, for it refuses line 3")
    in_cronie = proof("0 5 * * * ok\n61 * * * * bad\n", "cronie")
    assert counts(in_cronie.verdicts[0]) == ("equal", 730, 730), "cronie leaves the line out"


def test_a_line_that_was_never_imported() -> None:
    verdict = only(proof("0 5 * * * x\n", other="# nothing\n"))
    assert (counts(verdict), verdict.note) == (("differs", 730, 0), "no entry was imported from it")
    reboot = only(proof("@reboot x\n", other="# nothing\n"))
    assert (reboot.outcome, reboot.compared) == ("differs", None)


def test_what_cronie_does_for_another_zone_is_done_here_too() -> None:
    verdict = only(proof("CRON_TZ=Europe/Berlin\n30 2 * * * x\n", "cronie", UTC_ZONE))
    assert verdict.outcome == "equal"


def test_what_cronie_drops_in_the_hour_that_the_machine_repeats_is_said() -> None:
    verdict = only(proof("CRON_TZ=UTC\n30 6 * * * x\n", "cronie", ZoneInfo("America/New_York")))
    assert verdict.outcome == "differs"
    assert {difference.only for difference in counted(verdict).first} == {"beatd"}
    assert "in the hour that the machine's clock repeats, cronie drops" in (verdict.note or "")


def test_other_schedulers_are_not_compared() -> None:
    verdict = only(proof("*/10 * * * * * * x\n", "cronie", dialect="supercronic"))
    assert verdict.outcome == "not compared"
    assert "written for supercronic" in (verdict.note or "")
