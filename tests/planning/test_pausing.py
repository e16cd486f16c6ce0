"""Fires while an entry, or everything, is paused: counted, and not made up."""

from __future__ import annotations

import pytest

from beatd.planning.look import Pause
from tests.planning.stories import at, entry, fires, look, suppressed


def test_fires_before_paused_until_are_counted_and_the_one_at_that_instant_runs() -> None:
    definition = entry(paused_until="2026-03-10T12:00Z", expires="never", misfire="all")
    decided = look(definition, "2026-03-10T09:30", "2026-03-10T13:00:10")
    assert suppressed(decided) == [("paused", 2, "10 10:00", "10 11:00")]
    assert fires(decided) == ["10 12:00", "10 13:00"]


def test_an_entry_that_is_paused_until_then_fires_next_then() -> None:
    definition = entry(paused_until="2026-03-10T12:00Z")
    decided = look(definition, "2026-03-10T09:30", "2026-03-10T10:00:10")
    assert suppressed(decided) == [("paused", 1, "10 10:00", "10 10:00")]
    assert (decided.next_fire, decided.next_due) == (at("2026-03-10T12:00"), at("2026-03-10T12:00"))


def test_paused_until_is_a_wall_time_of_the_entry_s_zone() -> None:
    definition = entry(paused_until="2026-03-10T12:00", timezone="Europe/Berlin")
    assert definition.paused_until == at("2026-03-10T11:00")


def test_a_year_disabled_is_one_record() -> None:
    versions = [
        ("2026-03-01T00:00", entry(cron="* * * * *", misfire="all")),
        ("2026-03-10T12:00:30", entry(cron="* * * * *", misfire="all", enabled=False)),
        ("2027-03-10T12:00:30", entry(cron="* * * * *", misfire="all")),
    ]
    decided = look(versions, "2026-03-10T12:00:10", "2027-03-10T12:00:40")
    [record] = decided.suppressions
    assert (record.reason, record.count, record.exact) == ("paused", 365 * 24 * 60, True)
    assert (record.first, record.last) == (at("2026-03-10T12:01"), at("2027-03-10T12:00"))
    assert decided.runs == ()
    assert decided.next_fire == at("2027-03-10T12:01")


PAUSES_OF_EVERYTHING = [
    # paused from, until (None: still), looked at, runs, records, next fire
    ("11:30", "13:30", "14:00:10", ["14:00"], [("all paused", 2, "12:00", "13:00")], "15:00"),
    ("11:30", "13:00", "13:00:10", ["13:00"], [("all paused", 1, "12:00", "12:00")], "14:00"),
    ("12:00", "12:30", "12:59:00", ["11:00"], [("all paused", 1, "12:00", "12:00")], "13:00"),
    ("11:00", "12:00", "12:00:10", ["12:00"], [("all paused", 1, "11:00", "11:00")], "13:00"),
    ("11:30", None, "12:30:00", ["11:00"], [("all paused", 1, "12:00", "12:00")], "13:00"),
    ("11:30", "13:30", "12:30:00", ["11:00"], [("all paused", 1, "12:00", "12:00")], "13:00"),
]


@pytest.mark.parametrize(("since", "until", "now", "runs", "records", "next_fire"), PAUSES_OF_EVERYTHING)
def test_while_everything_is_paused(
    since: str,
    until: str | None,
    now: str,
    runs: list[str],
    records: list[tuple[str, int, str, str]],
    next_fire: str,
) -> None:
    pause = Pause(at(f"2026-03-10T{since}"), until and at(f"2026-03-10T{until}"))
    planned_from = "2026-03-10T10:10" if "11:00" in (*runs, since) else "2026-03-10T11:10"
    definition = entry(misfire="all", expires="never")
    decided = look(definition, planned_from, f"2026-03-10T{now}", pauses=[pause])
    assert fires(decided) == [f"10 {run}" for run in runs]
    assert suppressed(decided) == [(why, n, f"10 {first}", f"10 {last}") for why, n, first, last in records]
    assert decided.next_fire == at(f"2026-03-10T{next_fire}")


def test_several_pauses_of_everything_and_one_of_the_entry_within() -> None:
    versions = [
        ("2026-03-01T00:00", entry(misfire="all", expires="never")),
        ("2026-03-10T03:30", entry(misfire="all", expires="never", enabled=False)),
        ("2026-03-10T07:30", entry(misfire="all", expires="never")),
    ]
    pauses = [
        Pause(at("2026-03-10T01:30"), at("2026-03-10T04:30")),
        Pause(at("2026-03-10T09:30"), at("2026-03-10T10:30")),
    ]
    decided = look(versions, "2026-03-10T00:30", "2026-03-10T12:30", pauses=pauses)
    assert fires(decided) == ["10 01:00", "10 08:00", "10 09:00", "10 11:00", "10 12:00"]
    assert suppressed(decided) == [
        ("all paused", 2, "10 02:00", "10 03:00"),
        ("paused", 4, "10 04:00", "10 07:00"),
        ("all paused", 1, "10 10:00", "10 10:00"),
    ]


def test_a_pause_of_everything_may_end_early_so_the_next_fire_is_the_rule_s() -> None:
    pause = Pause(at("2026-03-10T09:30"), at("2026-03-10T14:30"))
    decided = look(entry(), "2026-03-10T09:10", "2026-03-10T09:40", pauses=[pause])
    assert decided.next_fire == at("2026-03-10T10:00")
    assert decided.runs == decided.suppressions == ()


@pytest.mark.parametrize("columns", [{"paused_until": "2026-03-10T12:00Z"}, {}])
def test_looking_at_the_very_instant_before_a_pause_ends(columns: dict[str, str]) -> None:
    pauses = [] if columns else [Pause(at("2026-03-10T09:30"), at("2026-03-10T12:00"))]
    before = look(entry(**columns), "2026-03-10T11:30", "2026-03-10T11:59:59.999999", pauses=pauses)
    assert (before.runs, before.suppressions) == ((), ())
    assert before.planned_from == at("2026-03-10T11:59:59.999999")
    after = look(entry(**columns), "2026-03-10T11:59:59.999999", "2026-03-10T12:00", pauses=pauses)
    assert fires(after) == ["10 12:00"]


def test_looking_at_the_very_instant_at_which_a_pause_begins() -> None:
    pause = Pause(at("2026-03-10T12:00"), at("2026-03-10T13:30"))
    decided = look(entry(expires="never"), "2026-03-10T11:30", "2026-03-10T12:00", pauses=[pause])
    assert suppressed(decided) == [("all paused", 1, "10 12:00", "10 12:00")]


def test_records_tell_the_version_that_was_paused() -> None:
    versions = [
        ("2026-03-01T00:00", entry(expires="never")),
        ("2026-03-10T11:30", entry(enabled=False)),
        ("2026-03-10T12:30", entry(expires="never")),
    ]
    decided = look(versions, "2026-03-10T11:10", "2026-03-10T12:40")
    assert [(record.version, record.reason) for record in decided.suppressions] == [(2, "paused")]
