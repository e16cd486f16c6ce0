"""What will come of an entry: fires with their remarks, and those that become no runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from beatd.errors import FieldError, InvalidInput, NotFound
from beatd.operations import entries, pausing
from beatd.operations.context import Context
from beatd.operations.upcoming import upcoming
from beatd.planning.preview import Coming, Withheld


def test_coming_fire_times_are_strictly_after(embedded: Context) -> None:
    entries.add(embedded, "night", {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "shell": "x"})
    coming = upcoming(embedded, "night", 3, "2026-03-27T02:30:00")
    assert coming.fire_times == (
        datetime(2026, 3, 28, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 0, tzinfo=UTC),  # 02:30 is skipped: the first instant after the gap
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    )
    assert coming.timezone == "Europe/Berlin"
    instant = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    assert upcoming(embedded, "night", 1, instant).fire_times[0] > instant
    now = datetime.now(UTC)
    times = upcoming(embedded, "night", 50).fire_times
    assert times[0] > now
    assert all(one < other for one, other in pairwise(times))
    for bad in (0, 10_001):
        with pytest.raises(FieldError, match="count"):
            upcoming(embedded, "night", bad)
    with pytest.raises(FieldError, match="after: 'soon'"):
        upcoming(embedded, "night", 1, "soon")
