"""Explanations of what really happened, on each database: a dispatcher plans, the test turns its clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from beatd.errors import FieldError, NotFound
from beatd.operations import calendars, entries, runs
from beatd.operations.context import Context
from beatd.operations.explain import Answer, explain
from beatd.planning.explain import Explanation
from beatd.store import pauses
from beatd.store.engine import Database
from beatd.store.models import nodes
from tests.dispatch.turned import Story, Turned


@pytest.fixture
def turned(database: Database) -> Iterator[Turned]:
    """The context's database, with a clock that the test turns."""
    yield Turned(database)
    vars(database).pop("now")


def minute(story: Story, number: float) -> datetime:
    return story.start + timedelta(minutes=number)


def only(answer: Answer) -> Explanation:
    [explanation] = answer.explanations
    return explanation


def said(explanation: Explanation) -> str:
    return "\n".join(statement.text for statement in explanation.statements)


def test_a_run_from_its_fire_to_its_end(context: Context, turned: Turned) -> None:
    story = Story(turned)
    assert story.at(1) == [1]
    waiting = only(explain(context, "story", minute(story, 1)))
    assert (waiting.verdict, waiting.run) == ("waiting", story.run(1).id)
    story.tell(1, "started")
    assert only(explain(context, "story", minute(story, 1))).verdict == "running"
    story.ends(1)
    succeeded = only(explain(context, "story", minute(story, 1)))
    assert (succeeded.verdict, succeeded.headline) == ("succeeded", "it ran, and succeeded")
    words = [statement.text.split()[0].strip(",") for statement in succeeded.statements]
    assert words == ["fire", "recorded", "published", "started", "succeeded"]
    last, coming = explain(context, "story").explanations
    assert last == succeeded
    assert (coming.verdict, coming.fire_time) == ("coming", minute(story, 2))


def test_an_outage_is_explained_fire_by_fire(context: Context, turned: Turned) -> None:
    story = Story(turned)
    story.at(1)
    story.restart()
    assert story.at(6.5) == [5, 6]
    missed = only(explain(context, "story", minute(story, 3)))
    assert (missed.verdict, missed.headline) == ("suppressed", "it did not run: it was missed")
    assert "misfire = latest" in said(missed)
    assert f"the newest became run {story.run(5).id[:8]} of " in said(missed)
    day = explain(context, "story", minute(story, 1).strftime("%Y-%m-%d"))
    assert day.summary is not None
    assert "without a run" in day.summary
    assert [explanation.verdict for explanation in day.explanations][:3] == ["suppressed"] * 3


def test_one_that_skips_overlaps_names_the_run_before(context: Context, turned: Turned) -> None:
    story = Story(turned, overlap="skip")
    story.at(1)
    story.tell(1, "started")
    story.at(2)
    skipped = only(explain(context, "story", minute(story, 2)))
    assert skipped.headline == "it did not run: an earlier run was unfinished"
    assert f"the earlier one: run {story.run(1).id[:8]} of " in said(skipped)
    assert "which is started" in said(skipped)


def test_pauses_of_the_entry_and_of_everything(context: Context, turned: Turned) -> None:
    story = Story(turned)
    story.at(1)
    story.edit(enabled=False, pause_note="moving house")
    story.go()
    story.at(3)
    lasting = only(explain(context, "story", minute(story, 2)))
    assert (lasting.verdict, lasting.headline) == ("paused", "it did not run: the entry is paused")
    assert "in SQL: moving house" in said(lasting)
    story.edit(enabled=True, pause_note=None)
    story.at(4)
    over = only(explain(context, "story", minute(story, 2)))
    assert over.headline == "it did not run: the entry was paused"
    with turned.database.write() as connection:
        pauses.pause(connection, turned.database.now(connection), "fire drill", "bert")
    story.at(5)
    held = only(explain(context, "story", minute(story, 5)))
    assert (held.verdict, held.headline) == ("paused", "it did not run: everything is paused")
    assert "everything paused by bert: fire drill" in said(held)
    with turned.database.write() as connection:
        pauses.resume(connection, turned.database.now(connection))
    story.at(6)
    counted = only(explain(context, "story", minute(story, 5)))
    assert counted.headline == "it did not run: everything was paused"


def test_what_nobody_has_settled(context: Context, turned: Turned) -> None:
    story = Story(turned)
    story.at(1)
    turned.turn(minutes=2)
    unsettled = only(explain(context, "story", minute(story, 2)))
    assert unsettled.verdict == "unsettled"
    assert "no scheduler is on record" in said(unsettled)
    alive = {
        "id": "11111111-1111-4111-8111-111111111111",
        "name": "node-1",
        "host": "here",
        "pid": 1,
        "pid_started": 1,
        "beatd_version": "0",
        "started_at": turned.now(),
        "status": "waiting for the broker",
    }
    with turned.database.write() as connection:
        connection.execute(insert(nodes).values(heartbeat_at=turned.now(), **alive))
    assert "scheduler node-1 lives: waiting for the broker" in said(
        only(explain(context, "story", minute(story, 2)))
    )
    turned.turn(minutes=1)
    assert "no scheduler lives; node-1 was last heard of then" in said(
        only(explain(context, "story", minute(story, 2)))
    )
    assert explain(context, "story").explanations[-1].verdict == "unsettled"


def test_a_trigger_tells_who(context: Context, turned: Turned) -> None:
    story = Story(turned, cron="0 3 1 1 *")
    run = runs.trigger(context, "story")
    explanation = only(explain(context, "story", run.fire_time))
    assert (explanation.verdict, explanation.run) == ("waiting", run.id)
    assert explanation.statements[0].text == "triggered by alice (cli)"
    assert said(only(explain(context, "story", minute(story, 90)))).startswith("the rule that holds")


def test_an_edit_of_the_rule_and_a_removal(context: Context, turned: Turned) -> None:
    story = Story(turned)
    story.at(1)
    story.ends(1)
    story.edit(every=None, cron="0 3 1 1 *")
    story.at(3)
    before = only(explain(context, "story", minute(story, 1)))
    assert "recorded with version 1 of the entry; it is at 2 now" in said(before)
    quiet = only(explain(context, "story", minute(story, 2)))
    assert quiet.verdict == "no fire"
    assert "of version 2: at 03:00 on 1 January, UTC" in said(quiet)
    turned.ahead = timedelta()  # an edit by our own door has the database's time
    entries.remove(context, "story")
    turned.turn(minutes=30)
    gone = only(explain(context, "story", minute(story, 20)))
    assert (gone.verdict, gone.headline) == ("no entry", "there was no such entry any more")
    assert "removed by alice (cli)" in said(gone)
    last, nothing = explain(context, "story").explanations
    assert (last.verdict, nothing.verdict) == ("succeeded", "no entry")


def test_a_calendar(context: Context, turned: Turned) -> None:
    today = turned.now().date()
    tomorrow = today + timedelta(days=1)
    calendars.add(context, "off", {"dates": str(tomorrow)})
    entries.add(context, "daily", {"cron": "0 3 * * *", "shell": "x", "calendar": "off"})
    dispatcher = turned.dispatcher()
    dispatcher.run_once()
    turned.turn(days=3)
    for _ in range(4):
        dispatcher.run_once()
    dropped = only(explain(context, "daily", f"{tomorrow}T03:00"))
    assert dropped.headline == "it did not run: its calendar drops it"
    assert "calendar 'off': a listed date" in said(dropped)
    assert only(explain(context, "daily", str(tomorrow))) == dropped  # the only one of its day


def test_an_edit_of_the_calendar_is_told_and_does_not_change_the_past(
    context: Context, turned: Turned
) -> None:
    tomorrow = turned.now().date() + timedelta(days=1)
    calendars.add(context, "off", {"dates": "2000-01-01"})
    entries.add(context, "daily", {"cron": "0 3 * * *", "shell": "x", "calendar": "off"})
    dispatcher = turned.dispatcher()
    dispatcher.run_once()
    calendars.change(context, "off", {"dates": str(tomorrow)})
    dispatcher.run_once()
    turned.turn(days=3)
    for _ in range(4):
        dispatcher.run_once()
    dropped = only(explain(context, "daily", f"{tomorrow}T03:00"))
    assert dropped.headline == "it did not run: its calendar drops it"
    early = only(explain(context, "daily", turned.now() - timedelta(days=300)))
    assert early.verdict == "no entry"
    quiet = only(explain(context, "daily", f"{tomorrow}T04:00"))
    assert "of version 2: at 03:00 every day, UTC, except on the days of calendar 'off'" in said(quiet)


def test_fires_that_no_rule_knows_beforehand(context: Context, turned: Turned) -> None:
    story = Story(turned, every="5m", fixed_delay=True)
    story.at(5)
    story.ends(5)
    assert only(explain(context, "story", minute(story, 5))).verdict == "succeeded"
    between = only(explain(context, "story", minute(story, 7)))
    assert between.verdict == "no fire"
    assert f"the run before: run {story.run(5).id[:8]} of " in said(between)
    story.edit(enabled=False)
    story.at(26)
    story.edit(enabled=True)
    story.go()
    counted = only(explain(context, "story", minute(story, 12)))
    assert (counted.verdict, counted.headline) == ("suppressed", "it did not run: the entry was paused")


# When is meant


@pytest.fixture
def berlin(embedded: Context) -> Context:
    entries.add(embedded, "night", {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "shell": "x"})
    entries.add(
        embedded,
        "second",
        {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "shell": "x", "dst_fold": "second"},
    )
    return embedded


ASKED: list[tuple[str, str, datetime | None]] = [
    ("night", "2098-03-30 02:30", datetime(2098, 3, 30, 1, 0, tzinfo=UTC)),  # skipped, so at 03:00
    ("night", "2098-03-30T01:00:30Z", datetime(2098, 3, 30, 1, 0, tzinfo=UTC)),  # its minute
    ("night", "2098-10-26 02:30", datetime(2098, 10, 26, 0, 30, tzinfo=UTC)),  # the first of two
    ("second", "2098-10-26 02:30", datetime(2098, 10, 26, 1, 30, tzinfo=UTC)),  # the second of two
    ("night", "2098-05-01", datetime(2098, 5, 1, 0, 30, tzinfo=UTC)),  # a day
    ("night", "2098-05-01 02:31", None),
]


@pytest.mark.parametrize(("name", "at", "fire_time"), ASKED)
def test_a_wall_time_a_minute_or_a_day(
    berlin: Context, name: str, at: str, fire_time: datetime | None
) -> None:
    assert only(explain(berlin, name, at)).fire_time == fire_time


def test_a_wall_time_that_never_was_is_remarked_on(berlin: Context) -> None:
    assert explain(berlin, "night", "2098-03-30 02:30").summary == (
        "2098-03-30 02:30 was skipped in Europe/Berlin: taken for 2098-03-30 03:00 CEST (01:00 UTC)"
    )
    assert explain(berlin, "night", "2098-03-31 02:30").summary is None


def test_a_time_of_day_and_how_long_ago(berlin: Context) -> None:
    """Before it was there."""
    now = datetime.now(UTC)
    for at in ("02:30", "2d", timedelta(days=2), now - timedelta(days=2)):
        assert only(explain(berlin, "night", at)).verdict == "no entry"
    answer = explain(berlin, "night", "02:30")
    assert answer.asked is not None
    assert now - timedelta(days=1, hours=1) < answer.asked[0] <= now
    assert answer.asked[1] - answer.asked[0] == timedelta(minutes=1)


BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("nigt", None, NotFound, "no entry 'nigt'; did you mean 'night'"),
    ("night", "soon", FieldError, "at: 'soon': is not a date and time"),
    ("night", "2026-02-30", FieldError, "at: '2026-02-30': is not a date of the calendar"),
    ("night", "25:00", FieldError, "at: '25:00': is not a time of day"),
]


@pytest.mark.parametrize(("name", "at", "kind", "text"), BAD)
def test_what_cannot_be_asked(berlin: Context, name: str, at: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        explain(berlin, name, at)


def test_many_fires_of_a_minute_are_the_nearest(embedded: Context) -> None:
    entries.add(embedded, "often", {"cron": "*/10 * * * * *", "shell": "x"})
    soon = datetime.now(UTC).replace(microsecond=0, second=0) + timedelta(minutes=5)
    nearest = only(explain(embedded, "often", soon + timedelta(seconds=19)))
    assert nearest.fire_time == soon + timedelta(seconds=20)
    exact = only(explain(embedded, "often", soon + timedelta(seconds=30)))
    assert exact.fire_time == soon + timedelta(seconds=30)


def test_the_zone_is_the_configuration_s_where_the_entry_names_none(embedded: Context) -> None:
    entries.add(embedded, "plain", {"cron": "30 2 * * *", "shell": "x"})
    tokyo = replace(embedded, timezone="Asia/Tokyo")
    answer = explain(tokyo, "plain", "2098-05-01 02:30")
    assert answer.timezone == "Asia/Tokyo"
    assert only(answer).fire_time == datetime(2098, 4, 30, 17, 30, tzinfo=UTC)
