"""What a person does with calendars, on each database; how the fires of entries change with them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from beatd.errors import Conflict, FieldError, InvalidInput, NotFound
from beatd.operations import apply, calendars, entries
from beatd.operations.apply import Changes, Source
from beatd.operations.context import Context
from beatd.operations.export import exported, toml
from beatd.store.models import audit, entry_changes
from beatd.store.models import calendars as table


def rows(context: Context, source: Any) -> list[Any]:
    with context.database.read() as connection:
        order = [audit.c.id] if source is audit else []
        return list(connection.execute(select(source).order_by(*order)))


def audited(context: Context) -> list[tuple[str, dict[str, Any]]]:
    return [(row.action, json.loads(row.detail)) for row in rows(context, audit) if row.entry_id is None]


def do(context: Context, text: str, *, prune: bool = False) -> Changes:
    comparison = apply.compare(context, apply.read([Source("1.toml", text)]), prune=prune)
    comparison.execute(context)
    return comparison.changes


def names(context: Context) -> list[str]:
    return [calendar.name for calendar in calendars.find(context)]


def soon(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def test_a_calendar_s_life(context: Context) -> None:
    added = calendars.add(
        context,
        "closed",
        {"dates": ["2026-12-31", date(2026, 12, 24)], "description": "The office is closed"},
    )
    assert (added.name, added.entries, added.error) == ("closed", (), None)
    assert added.options == {"description": "The office is closed", "dates": ["2026-12-24", "2026-12-31"]}
    assert calendars.find(context) == [added]
    changed = calendars.change(context, "closed", {"weekdays": "sat,sun", "description": None})
    assert changed.options == {"dates": ["2026-12-24", "2026-12-31"], "weekdays": ["sat", "sun"]}
    calendars.remove(context, "closed")
    assert calendars.find(context) == []
    assert audited(context) == [
        (
            "calendar add",
            {
                "calendar": "closed",
                "description": [None, "The office is closed"],
                "dates": [None, ["2026-12-24", "2026-12-31"]],
            },
        ),
        (
            "calendar change",
            {
                "calendar": "closed",
                "description": ["The office is closed", None],
                "weekdays": [None, ["sat", "sun"]],
            },
        ),
        ("calendar remove", {"calendar": "closed"}),
    ]


def test_a_name_is_given_once(context: Context) -> None:
    calendars.add(context, "closed", {"country": "DE"})
    with pytest.raises(Conflict, match="there is a calendar 'closed' already"):
        calendars.add(context, "closed", {"country": "DE"})
    for ask in (
        lambda: calendars.show(context, "closd"),
        lambda: calendars.change(context, "closd", {"country": "FR"}),
        lambda: calendars.remove(context, "closd"),
    ):
        with pytest.raises(NotFound, match="no calendar 'closd'; did you mean 'closed'"):
            ask()


# options, the field that is named, what is said
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "dates", "give dates, weekdays or country"),
    ({"description": "nothing else"}, "dates", "give dates, weekdays or country"),
    ({"dates": "2026-02-30"}, "dates", "2026-02-30"),
    ({"dates": [1]}, "dates", "a list of texts"),
    ({"dates": 5}, "dates", "text is wanted"),
    ({"weekdays": "saturday"}, "weekdays", "did you mean 'sat'"),
    (
        {"weekdays": "sun,mon,tue,wed,thu,fri,sat"},
        "weekdays",
        "nothing would ever fire; for example 'sat,sun'",
    ),
    ({"country": "Germany"}, "country", "did you mean 'DE'"),
    ({"country": "DE", "region": "XX"}, "region", "is not a region of DE"),
    ({"dates": "2026-12-24", "region": "BY"}, "region", "of no use without country"),
    ({"country": "DE", "weekday": "sat"}, "weekday", "did you mean 'weekdays'"),
]


@pytest.mark.parametrize(("options", "field", "problem"), REFUSED)
def test_what_is_no_calendar(embedded: Context, options: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        calendars.add(embedded, "bad", options)
    [finding] = refused.value.findings
    assert finding.field == field
    assert problem in str(finding)
    assert names(embedded) == []
    # of a file the same is said, with its line
    keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    with pytest.raises(InvalidInput) as refused:
        do(embedded, f"[calendar.bad]\n{keys}")
    said = str(finding).replace("unknown option", "unknown key")
    assert said in [str(other).split(": ", 1)[1] for other in refused.value.findings]


@pytest.mark.parametrize("name", ["", " x", "a\nb", "x" * 201])
def test_a_name_is_printable(embedded: Context, name: str) -> None:
    with pytest.raises(InvalidInput, match="printable characters"):
        calendars.add(embedded, name, {"country": "DE"})


def test_single_dates_come_and_go(context: Context) -> None:
    calendars.add(context, "closed", {"dates": "2026-12-24,2026-12-31"})
    changed = calendars.change(context, "closed", {}, add_dates=["2026-11-02"], drop_dates=["2026-12-31"])
    assert changed.options["dates"] == ["2026-11-02", "2026-12-24"]
    with pytest.raises(InvalidInput, match="drop-dates: '2026-12-31': is not among its dates"):
        calendars.change(context, "closed", {}, drop_dates=["2026-12-31"])
    with pytest.raises(InvalidInput, match="dates: '2026-11-31'"):
        calendars.change(context, "closed", {}, add_dates=["2026-11-31"])
    # the same in another order is nothing new
    assert calendars.change(context, "closed", {"dates": "2026-12-24 2026-11-02"}).options == changed.options
    assert len(audited(context)) == 2


def test_the_dates_of_a_year_have_names(embedded: Context) -> None:
    calendars.add(
        embedded,
        "closed",
        {"country": "DE", "region": "BY", "weekdays": "sun", "dates": "2026-12-24 2027-01-02"},
    )
    shown = calendars.show(embedded, "closed", 2026)
    days = {day.date: day.why for day in shown.days}
    assert days[date(2026, 1, 6)] == "Epiphany"
    assert days[date(2026, 12, 24)] == "a listed date"
    assert days[date(2026, 12, 25)] == "Christmas Day"
    assert min(days).year == max(days).year == 2026
    # Sundays come every week, but for those that are holidays they are not listed
    assert [day for day in days if day.isoweekday() == 7] == [date(2026, 11, 1)]
    assert [
        day.date for day in calendars.show(embedded, "closed", 2027).days if day.why == "a listed date"
    ] == [date(2027, 1, 2)]
    assert calendars.show(embedded, "closed").year == datetime.now(UTC).year
    for year in (1969, 2200):
        with pytest.raises(FieldError, match="a year from 1970 to 2199"):
            calendars.show(embedded, "closed", year)
    calendars.add(embedded, "weekends", {"weekdays": "sat,sun"})
    assert calendars.show(embedded, "weekends", 2026).days == ()


# With entries


def test_entries_that_name_it_are_planned_afresh_and_keep_it(context: Context) -> None:
    calendars.add(context, "closed", {"dates": soon(1)})
    noon = {"cron": "0 12 * * *", "calendar": "closed", "shell": "x"}
    added = entries.add(context, "noon", noon)
    assert added.next_fire_time is not None
    assert added.next_fire_time.date().isoformat() != soon(1)
    assert calendars.show(context, "closed").calendar.entries == ("noon",)
    queued = len(rows(context, entry_changes))
    calendars.change(context, "closed", {"dates": soon(2)})
    assert len(rows(context, entry_changes)) == queued + 1
    assert entries.show(context, "noon").options == noon
    with pytest.raises(Conflict, match="calendar 'closed' is that of noon: unset their calendar first"):
        calendars.remove(context, "closed")
    entries.change(context, "noon", {"calendar": None})
    calendars.remove(context, "closed")


def test_a_long_row_of_entries_is_cut(embedded: Context) -> None:
    calendars.add(embedded, "closed", {"country": "DE"})
    for number in range(7):
        entries.add(embedded, f"e{number}", {"every": "1h", "calendar": "closed", "shell": "x"})
    with pytest.raises(Conflict, match="that of e0, e1, e2, e3, e4 and 2 more"):
        calendars.remove(embedded, "closed")


def test_how_fires_change_is_told_before(context: Context) -> None:
    calendars.add(context, "closed", {"dates": soon(40)})
    entries.add(context, "noon", {"cron": "0 12 * * *", "calendar": "closed", "shell": "x"})
    entries.add(context, "often", {"cron": "* * * * *", "calendar": "closed", "shell": "x"})
    entries.add(context, "once", {"at": f"{soon(90)}T00:00", "calendar": "closed", "shell": "x"})
    entries.add(context, "other", {"cron": "0 12 * * *", "shell": "x"})
    told = calendars.preview(context, "closed", {}, add_dates=[soon(60)], drop_dates=[soon(40)])
    assert told.changes == {"dates": ([soon(40)], [soon(60)])}
    later = {
        change.entry: [(fire.fire_time.date().isoformat(), fire.mark) for fire in change.later]
        for change in told.fires
    }
    assert later == {
        "noon": [(soon(40), "new"), (soon(60), "gone")],
        # also of what fires so often that nobody counts up to there
        "often": [(soon(40), "new")] * 3,
    }
    assert calendars.show(context, "closed").calendar.options == {"dates": [soon(40)]}
    # where the next ones change they are shown
    told = calendars.preview(context, "closed", {}, add_dates=[soon(1), soon(2)])
    noon = next(change for change in told.fires if change.entry == "noon")
    assert noon.before is not None
    marks = {fire.fire_time.date().isoformat(): fire.mark for fire in noon.before.fires}
    assert (marks[soon(1)], marks[soon(2)]) == ("gone", "gone")
    assert noon.later == ()


def test_fires_that_move_are_told_with_where_they_go(embedded: Context) -> None:
    """Around a Wednesday, with whole weeks of working days on either side."""
    today = datetime.now(UTC).date()
    wednesday = today + timedelta(days=(3 - today.isoweekday()) % 7 + 28)
    calendars.add(embedded, "closed", {"dates": soon(300)})
    entries.add(
        embedded,
        "weekly",
        {"cron": "0 12 * * wed", "calendar": "closed", "calendar_action": "previous", "shell": "x"},
    )
    [change] = calendars.preview(embedded, "closed", {}, add_dates=[wednesday.isoformat()]).fires
    assert [(fire.fire_time.date(), fire.mark) for fire in change.later] == [
        (wednesday - timedelta(days=1), "new"),
        (wednesday, "gone"),
    ]


def test_an_entry_that_is_left_without_a_fire(context: Context) -> None:
    """Nobody is kept from it: an entry of one instant does not forbid that this day becomes a holiday."""
    calendars.add(context, "closed", {"dates": soon(40)})
    entries.add(context, "once", {"at": f"{soon(50)}T12:00", "calendar": "closed", "shell": "x"})
    [change] = calendars.preview(context, "closed", {}, add_dates=[soon(50)]).fires
    assert change.before is not None
    assert [fire.mark for fire in change.before.fires] == ["gone"]
    assert change.after.fires == ()
    calendars.change(context, "closed", {}, add_dates=[soon(50)])
    assert entries.show(context, "once").state == "completed"


def test_versions_that_a_calendar_makes_are_signed(context: Context) -> None:
    """A version holds what the calendar held, so that fires of the past are settled by it."""
    calendars.add(context, "closed", {"dates": soon(40)})
    for name in ("noon", "night"):
        entries.add(context, name, {"every": "1h", "calendar": "closed", "shell": "x"})
    entries.add(context, "other", {"every": "1h", "shell": "x"})
    calendars.change(replace(context, who="bob", door="api"), "closed", {"dates": soon(41)})
    for name, made in (("noon", 2), ("night", 2), ("other", 1)):
        versions = entries.versions(context, name)
        assert [version.version for version in versions] == list(range(made, 0, -1))
        assert (versions[0].changed_by, versions[0].door) == (
            ("bob", "api") if made == 2 else ("alice", "cli")
        )


def test_one_that_cannot_be_read_is_told_and_put_right(context: Context) -> None:
    with context.database.write() as connection:
        connection.execute(insert(table).values(name="closed", dates="soon"))
        connection.execute(insert(table).values(name="fine", country="DE"))
    closed, fine = calendars.find(context)
    assert "calendar: 'closed': it cannot be read: dates: 'soon'" in str(closed.error)
    assert fine.error is None
    assert calendars.show(context, "closed").days == ()
    with pytest.raises(InvalidInput, match="it cannot be read"):
        entries.add(context, "noon", {"cron": "0 12 * * *", "calendar": "closed", "shell": "x"})
    assert calendars.change(context, "closed", {"dates": soon(1)}).error is None
    entries.add(context, "noon", {"cron": "0 12 * * *", "calendar": "closed", "shell": "x"})


# In entries files

FILE = """
[calendar.closed]
description = "The office is closed"
dates = [2026-12-24, "2026-12-31"]
weekdays = ["sat", "sun"]
country = "DE"

[entry.noon]
cron = "0 12 * * *"
calendar = "closed"
shell = "x"
"""


def test_a_file_holds_calendars_and_the_entries_that_name_them(context: Context) -> None:
    changes = do(context, FILE)
    assert [(change.kind, change.name) for change in changes.added] == [
        ("calendar", "closed"),
        ("entry", "noon"),
    ]
    assert calendars.show(context, "closed").calendar.entries == ("noon",)
    again = do(context, FILE)
    assert (again.nothing, again.unchanged) == (True, 2)
    changed = do(context, FILE.replace(', "2026-12-31"', ""))
    [change] = changed.changed
    assert (change.kind, change.name) == ("calendar", "closed")
    assert change.options == {"dates": (["2026-12-24", "2026-12-31"], ["2026-12-24"])}
    # what is not in the file goes back to its default
    changed = do(context, FILE.replace('country = "DE"\n', ""))
    assert changed.changed[0].options["country"] == ("DE", None)


def test_an_export_applied_changes_nothing(context: Context) -> None:
    do(context, FILE)
    calendars.add(context, "unused", {"country": "FR"})
    text = toml(*exported(context))
    assert do(context, text, prune=True).nothing
    assert names(context) == ["closed", "unused"]
    # of some entries, the calendars that they name
    assert "[calendar.closed]" in toml(*exported(context, ["noon"]))
    assert "unused" not in toml(*exported(context, ["noon"]))


def test_how_fires_change_by_a_file(context: Context) -> None:
    do(context, FILE)
    text = FILE.replace('"2026-12-31"', f'"{soon(1)}"') + '[entry.other]\nevery = "1h"\nshell = "x"\n'
    comparison = apply.compare(context, apply.read([Source("1.toml", text)]))
    [calendar] = comparison.changes.changed
    assert {change.entry for change in calendar.fires} <= {"noon"}
    # an entry that takes another calendar
    text = FILE + f'[calendar.new]\ndates = ["{soon(1)}"]\n'
    comparison = apply.compare(
        context, apply.read([Source("1.toml", text.replace('calendar = "closed"', 'calendar = "new"'))])
    )
    [entry] = comparison.changes.changed
    assert (entry.kind, entry.options) == ("entry", {"calendar": ("closed", "new")})
    [fires] = entry.fires
    assert "'new'" in fires.after.sentence


def test_prune_removes_calendars_that_nobody_names(context: Context) -> None:
    do(context, FILE)
    calendars.add(context, "used", {"country": "FR"})
    calendars.add(context, "unused", {"country": "FR"})
    text = '[entry.tick]\nevery = "1h"\ncalendar = "used"\nshell = "x"\n'
    assert do(context, text).removed == ()
    assert names(context) == ["closed", "unused", "used"]
    changes = do(context, text, prune=True)
    assert [(change.kind, change.name) for change in changes.removed] == [
        ("entry", "noon"),
        ("calendar", "closed"),
        ("calendar", "unused"),
    ]
    assert names(context) == ["used"]


def test_an_edit_in_between_is_not_run_over(context: Context) -> None:
    do(context, FILE)
    for edit in (
        lambda: calendars.change(context, "closed", {"country": "FR"}),
        lambda: calendars.add(context, "new", {"country": "FR"}),
    ):
        text = FILE.replace('"DE"', '"AT"') + '[calendar.new]\ncountry = "DE"\n'
        comparison = apply.compare(context, apply.read([Source("1.toml", text)]))
        edit()
        before = calendars.find(context)
        with pytest.raises(Conflict, match=r"calendar '(closed|new)' was changed meanwhile; nothing"):
            comparison.execute(context)
        assert calendars.find(context) == before
    # also where an entry comes to name what is to be removed
    comparison = apply.compare(context, apply.read([Source("1.toml", FILE)]), prune=True)
    assert [change.name for change in comparison.changes.removed] == ["new"]
    entries.add(context, "late", {"every": "1h", "calendar": "new", "shell": "x"})
    with pytest.raises(Conflict, match="calendar 'new' was changed meanwhile"):
        comparison.execute(context)


def test_what_is_wrong_has_its_line(embedded: Context) -> None:
    bad = """\
[calendar.one]
dates = ["2026-13-01"]
[calendar.two]
counntry = "DE"
[calendar.three]
country = "DE"
region = "XX"
[calendar]
four = 4
[entry.tick]
every = "1h"
calendar = "ten"
shell = "x"
"""
    with pytest.raises(InvalidInput) as refused:
        do(embedded, bad)
    assert [(finding.where, finding.field) for finding in refused.value.findings] == [
        ("1.toml:2", "dates"),
        ("1.toml:3", "dates"),
        ("1.toml:4", "counntry"),
        ("1.toml:7", "region"),
        ("1.toml:9", "calendar"),
        ("1.toml:9", "dates"),
        ("1.toml:12", "calendar"),
    ]
