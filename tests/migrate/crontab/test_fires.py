"""What is imported fires when cron would have started it: two years, in three zones, beside cronsim."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from beatd.migrate import importing
from beatd.migrate.crontab.entries import Taking
from beatd.migrate.crontab.tabs import Rules, read_tab
from beatd.operations import entries
from beatd.operations.context import Context
from beatd.operations.views import definition_of
from beatd.store import entries as store

#: As people write them; the name of each is its command.
TAB = """\
17 * * * * hourly
25 6\t* * *\tdaily
47 6 * * 7 weekly
52 6 1 * * monthly
@midnight midnight
@yearly yearly
30 2 * * * in-the-gap
15,45 1-3 * * * around-the-gap
0 */4 * * * steps
0 12 13 * fri either-day
0 0 */2 * mon both-days
09,39 7-21/2 * jan,jul mon-fri names
0 3 29 2 * leap-day
5 0 31 */2 0,6 odd
0 8 7,14,21,28 * * weeks
"""
NICKNAMES = {"@midnight": "0 0 * * *", "@yearly": "0 0 1 1 *"}

#: Noon, for cronsim answers with the past where it begins in a fold.
START = datetime(2027, 1, 1, 12, tzinfo=UTC)
END = START + timedelta(days=731)


def theirs(schedule: str, zone: str) -> set[datetime]:
    fires = (fire.astimezone(UTC) for fire in CronSim(schedule.upper(), START.astimezone(ZoneInfo(zone))))
    return set(takewhile(lambda fire: fire <= END, fires))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
def test_two_years(context: Context, zone: str) -> None:
    reading = read_tab(TAB.encode(), "tab", Rules("debian", "user"), Taking(zone)).reading
    importing.compare(context, reading, sources=[]).execute(context)
    lines = {line.split()[-1]: line.split() for line in TAB.splitlines()}
    assert {entry.name for entry in entries.find(context)} == lines.keys()
    for name, words in lines.items():
        with context.database.read() as transaction:
            stored = store.get(transaction, name)
            assert stored is not None
            definition = definition_of(context.surroundings(transaction), stored)
        ours = list(takewhile(lambda fire: fire <= END, definition.schedule.fire_times(START)))
        assert ours == sorted(theirs(NICKNAMES.get(words[0]) or " ".join(words[:5]), zone)), name
        assert ours
