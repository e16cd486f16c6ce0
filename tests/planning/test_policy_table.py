"""What becomes of six fires under every combination of misfire, overlap, expiry, pause and calendar.

The entry fires daily at 12:00. It was planned up to the 1st at 00:00, then no scheduler ran until the 6th at
12:00:30: the fires of the 1st to the 5th are missed, that of the 6th is on time. A run of the last day of
February is unfinished. Each row shows the fates of the fires of the 1st to the 6th:

    R  a run                        m  no run: missed (misfire)
    H  a run that is held back      o  no run: an earlier run is not finished (overlap)
    C  a run that cancels others    x  no run: its expiry has passed (expired)
                                    p  no run: the entry was paused, from the 4th 00:00 to the 5th 00:00
                                    a  no run: everything was paused, in the same time
                                    c  no run: the calendar drops the 4th

With expiry 60h a fire of the 3rd has expired by the 6th, 00:00; the one of the 4th has not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from beatd.planning.definition import parse_definition
from beatd.planning.look import Facts, Pause, Period, Plan
from beatd.planning.plan import plan
from beatd.planning.policies import MISFIRES, OVERLAPS
from beatd.planning.timing import Surroundings
from beatd.schedules import parse_date_set

CREATED = datetime(2026, 2, 1, tzinfo=UTC)
PLANNED_FROM = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 6, 12, 0, 30, tzinfo=UTC)
PAUSED_FROM, PAUSED_UNTIL = datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)
FIRES = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in range(1, 7)]
WORKS = Surroundings(calendars={"works": parse_date_set("2026-03-04", None, None, None)})

LETTERS = {"misfire": "m", "overlap": "o", "expired": "x", "paused": "p", "all paused": "a", "calendar": "c"}


def entry(**columns: Any) -> Any:
    given = {"name": "report", "task": "proj.report", "cron": "0 12 * * *", **columns}
    return parse_definition(given, created_at=CREATED, surroundings=WORKS)


def decided(misfire: str, overlap: str, expires: str, pause: str, calendar: str, *, open_run: bool) -> Plan:
    columns: dict[str, Any] = {"misfire": misfire, "overlap": overlap, "expires": expires}
    if calendar == "drop":
        columns["calendar"] = "works"
    periods = [Period(1, CREATED, entry(**columns))]
    pauses = []
    if pause == "entry":
        periods.append(Period(2, PAUSED_FROM, entry(**columns, enabled=False)))
        periods.append(Period(3, PAUSED_UNTIL, entry(**columns)))
    elif pause == "all":
        pauses.append(Pause(PAUSED_FROM, PAUSED_UNTIL))
    return plan(periods, PLANNED_FROM, NOW, Facts(open_run=open_run), pauses)


def fates(plan: Plan) -> str:
    found = {run.fire_time: "H" if run.held else "C" if run.cancels else "R" for run in plan.runs}
    # the narrowest first: a record may span fires of which others tell
    for record in sorted(plan.suppressions, key=lambda record: record.last - record.first):
        told = [fire for fire in FIRES if record.first <= fire <= record.last and fire not in found]
        assert (record.count, record.exact) == (len(told), True)
        found |= dict.fromkeys(told, LETTERS[record.reason])
    return "".join(found.get(fire, "?") for fire in FIRES)


PAUSES = ("none", "entry", "all")
CALENDARS = ("none", "drop")

# For each pause one column, without and with the calendar, first where nothing expires, then under 60h.
TABLE = """
an earlier run is unfinished
              expires = never                                 expires = 60h
              no pause        entry paused    all paused      no pause        entry paused    all paused
overlap/misfire       calendar        calendar        calendar        calendar        calendar        calendar
allow  skip   mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR  mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR
allow  latest mmmmRR  mmmcRR  mmmpRR  mmmcRR  mmmaRR  mmmcRR  mmmmRR  mmmcRR  mmmpRR  mmmcRR  mmmaRR  mmmcRR
allow  all    RRRRRR  RRRcRR  RRRpRR  RRRcRR  RRRaRR  RRRcRR  xxxRRR  xxxcRR  xxxpRR  xxxcRR  xxxaRR  xxxcRR
skip   skip   mmmmmo  mmmcmo  mmmpmo  mmmcmo  mmmamo  mmmcmo  mmmmmo  mmmcmo  mmmpmo  mmmcmo  mmmamo  mmmcmo
skip   latest mmmmoo  mmmcoo  mmmpoo  mmmcoo  mmmaoo  mmmcoo  mmmmoo  mmmcoo  mmmpoo  mmmcoo  mmmaoo  mmmcoo
skip   all    oooooo  ooocoo  ooopoo  ooocoo  oooaoo  ooocoo  xxxooo  xxxcoo  xxxpoo  xxxcoo  xxxaoo  xxxcoo
queue  skip   mmmmmH  mmmcmH  mmmpmH  mmmcmH  mmmamH  mmmcmH  mmmmmH  mmmcmH  mmmpmH  mmmcmH  mmmamH  mmmcmH
queue  latest mmmmoH  mmmcoH  mmmpoH  mmmcoH  mmmaoH  mmmcoH  mmmmoH  mmmcoH  mmmpoH  mmmcoH  mmmaoH  mmmcoH
queue  all    oooooH  ooocoH  ooopoH  ooocoH  oooaoH  ooocoH  xxxooH  xxxcoH  xxxpoH  xxxcoH  xxxaoH  xxxcoH
cancel skip   mmmmmC  mmmcmC  mmmpmC  mmmcmC  mmmamC  mmmcmC  mmmmmC  mmmcmC  mmmpmC  mmmcmC  mmmamC  mmmcmC
cancel latest mmmmoC  mmmcoC  mmmpoC  mmmcoC  mmmaoC  mmmcoC  mmmmoC  mmmcoC  mmmpoC  mmmcoC  mmmaoC  mmmcoC
cancel all    oooooC  ooocoC  ooopoC  ooocoC  oooaoC  ooocoC  xxxooC  xxxcoC  xxxpoC  xxxcoC  xxxaoC  xxxcoC
no run is unfinished
              expires = never                                 expires = 60h
              no pause        entry paused    all paused      no pause        entry paused    all paused
overlap/misfire       calendar        calendar        calendar        calendar        calendar        calendar
allow  skip   mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR  mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR
allow  latest mmmmRR  mmmcRR  mmmpRR  mmmcRR  mmmaRR  mmmcRR  mmmmRR  mmmcRR  mmmpRR  mmmcRR  mmmaRR  mmmcRR
allow  all    RRRRRR  RRRcRR  RRRpRR  RRRcRR  RRRaRR  RRRcRR  xxxRRR  xxxcRR  xxxpRR  xxxcRR  xxxaRR  xxxcRR
skip   skip   mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR  mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR
skip   latest mmmmRo  mmmcRo  mmmpRo  mmmcRo  mmmaRo  mmmcRo  mmmmRo  mmmcRo  mmmpRo  mmmcRo  mmmaRo  mmmcRo
skip   all    Rooooo  Roocoo  Roopoo  Roocoo  Rooaoo  Roocoo  xxxRoo  xxxcRo  xxxpRo  xxxcRo  xxxaRo  xxxcRo
queue  skip   mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR  mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR
queue  latest mmmmRH  mmmcRH  mmmpRH  mmmcRH  mmmaRH  mmmcRH  mmmmRH  mmmcRH  mmmpRH  mmmcRH  mmmaRH  mmmcRH
queue  all    RooooH  RoocoH  RoopoH  RoocoH  RooaoH  RoocoH  xxxRoH  xxxcRH  xxxpRH  xxxcRH  xxxaRH  xxxcRH
cancel skip   mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR  mmmmmR  mmmcmR  mmmpmR  mmmcmR  mmmamR  mmmcmR
cancel latest mmmmoR  mmmcoR  mmmpoR  mmmcoR  mmmaoR  mmmcoR  mmmmoR  mmmcoR  mmmpoR  mmmcoR  mmmaoR  mmmcoR
cancel all    oooooR  ooocoR  ooopoR  ooocoR  oooaoR  ooocoR  xxxooR  xxxcoR  xxxpoR  xxxcoR  xxxaoR  xxxcoR
"""


def rows() -> Iterator[tuple[bool, str, str, str, str, str, str]]:
    open_run = False
    for line in TABLE.splitlines():
        words = line.split()
        if line in ("an earlier run is unfinished", "no run is unfinished"):
            open_run = line.startswith("an")
        elif words and words[0] in OVERLAPS:
            overlap, misfire, *found = words
            combinations = product(("never", "60h"), PAUSES, CALENDARS)
            for (expires, pause, calendar), expected in zip(combinations, found, strict=True):
                yield open_run, overlap, misfire, expires, pause, calendar, expected


def test_the_table_has_every_combination() -> None:
    combinations = {row[:-1] for row in rows()}
    assert len(combinations) == 2 * len(OVERLAPS) * len(MISFIRES) * 2 * len(PAUSES) * len(CALENDARS)


@pytest.mark.parametrize(
    ("open_run", "overlap", "misfire", "expires", "pause", "calendar", "expected"), list(rows())
)
def test_the_fates_of_six_fires(
    open_run: bool, overlap: str, misfire: str, expires: str, pause: str, calendar: str, expected: str
) -> None:
    plan = decided(misfire, overlap, expires, pause, calendar, open_run=open_run)
    assert fates(plan) == expected
    assert plan.next_fire == datetime(2026, 3, 7, 12, tzinfo=UTC)
