"""Importing beat's schedules again and again: a key says which entry is which, and what is another project's
stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from beatd.errors import InvalidInput
from beatd.migrate import importing
from beatd.migrate.celery_beat import refuse_foreign
from beatd.operations import entries, pausing
from beatd.operations.context import Context
from tests.migrate.celery_beat.reading import app_of, read_app
from tests.migrate.imports import on_sqlite, options

pytestmark = on_sqlite

SOURCE = ("celery", "shop")
HOURLY = {"task": "shop.sync", "schedule": 3600}
DAILY = {"task": "shop.sync", "schedule": 86400}
HALF = {"task": "shop.sync", "schedule": 0.5}


def bring(context: Context, schedule: Mapping[str, Any], **more: Any) -> dict[str, str]:
    """As the scheduler inside beat does it; what became of each."""
    reading = read_app(app_of(schedule))
    refuse_foreign(context, reading, [SOURCE])
    done = importing.compare(context, reading, sources=[SOURCE], prune=True, **more)
    done.execute(context)
    return {row.name: row.action for row in done.rows}


def test_a_key_is_the_same_entry_whatever_stands_there(context: Context) -> None:
    bring(context, {"hourly": HOURLY, "daily": DAILY})
    pausing.pause(context, ["hourly"])
    ids = {entry.name: entry.id for entry in entries.find(context)}
    assert bring(context, {"hourly": DAILY, "daily": HOURLY}) == {"hourly": "change", "daily": "change"}
    assert {entry.name: entry.id for entry in entries.find(context)} == ids
    assert options(context, "hourly")["every"] == "1d"
    assert entries.show(context, "hourly").state == "paused"


def test_what_is_gone_is_removed_and_what_has_its_text_is_another(context: Context) -> None:
    bring(context, {"hourly": HOURLY, "daily": DAILY})
    pausing.pause(context, ["hourly"])
    assert bring(context, {"hourly": DAILY}) == {"hourly": "change", "daily": "remove"}
    assert entries.show(context, "hourly").state == "paused"


def test_what_vanished_is_removed_beside_what_is_refused_and_stays(context: Context) -> None:
    bring(context, {"hourly": HOURLY, "daily": DAILY})
    assert bring(context, {"hourly": HALF}, partial=True) == {
        "": "refused",
        "daily": "remove",
        "hourly": "left",
    }
    assert options(context, "hourly")["every"] == "1h"


@pytest.mark.parametrize("theirs", [{}, {"weekly": {"task": "other.task", "schedule": 604800}}])
def test_another_project_of_the_same_name_removes_nothing(
    context: Context, theirs: Mapping[str, Any]
) -> None:
    bring(context, {"hourly": HOURLY, "celery.backend_cleanup": HOURLY})
    with pytest.raises(InvalidInput) as refused:
        bring(
            context, {**theirs, "celery.backend_cleanup": {"task": "celery.backend_cleanup", "schedule": 60}}
        )
    assert str(refused.value).startswith(
        "source: 'shop': none of the entries that came from it (hourly) is in it any more"
    )
    assert {entry.name for entry in entries.find(context)} == {"hourly", "celery-backend-cleanup"}


def test_the_only_key_may_be_renamed(context: Context) -> None:
    bring(context, {"hourly": HOURLY})
    assert bring(context, {"each-hour": HOURLY}) == {"each-hour": "add", "hourly": "remove"}
