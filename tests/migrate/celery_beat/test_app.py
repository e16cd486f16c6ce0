"""What an app declares for beat, entry by entry: what it becomes, and what is refused."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, schedules
from celery.beat import BeatLazyFunc
from celery.schedules import crontab
from kombu import Exchange, Queue

from beatd.errors import InvalidInput
from beatd.migrate import celery_beat
from beatd.migrate.found import Origin
from beatd.operations.options import new_columns
from beatd.planning.definition import parse_definition
from beatd.planning.timing import Surroundings
from tests.migrate.celery_beat.reading import NOW, app_of, options_of, read_app, refused

NIGHTLY = crontab(minute=0, hour=3)
SELL = {"task": "shop.sell", "expires": "never"}


class Skewed(schedules.schedule):
    """Due when it likes."""


# Schedules


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        (10, {"every": "10s"}),
        (90.0, {"every": "1m30s"}),
        (timedelta(hours=36), {"every": "1d12h"}),
        (schedules.schedule(30), {"every": "30s"}),
        (NIGHTLY, {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}),
    ],
)
def test_schedules(schedule: Any, options: dict[str, Any]) -> None:
    assert options_of({"schedule": schedule}, timezone="Europe/Berlin") == {**options, **SELL}


@pytest.mark.parametrize(
    ("event", "ours"), [("solar_noon", "noon"), ("dawn_civil", "dawn"), ("sunset", "sunset")]
)
def test_solar(event: str, ours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery wants a library for it that is not needed here."""
    monkeypatch.setitem(sys.modules, "ephem", SimpleNamespace(Observer=SimpleNamespace))
    schedule = schedules.solar(event, -33.9, 0.00001)
    assert options_of({"schedule": schedule}) == {
        "solar": ours,
        "latitude": "-33.9",
        "longitude": "0.00001",
        **SELL,
    }


RELATIVE = [
    (timedelta(seconds=30), {"every": "30s"}, 0),
    (timedelta(minutes=1), {"every": "1m"}, 0),
    (timedelta(hours=1), {"every": "1h"}, 0),
    (timedelta(hours=6), {"every": "6h"}, 1),
    (timedelta(seconds=90), {"every": "1m"}, 1),  # rounded down to the minute, each time
    (timedelta(minutes=150), {"every": "2h"}, 2),
    (timedelta(days=1), {"calendar_every": "1d"}, 0),
    (timedelta(days=7), {"calendar_every": "7d"}, 1),
    (timedelta(hours=36), {"calendar_every": "1d"}, 1),
]


@pytest.mark.parametrize(("every", "options", "warnings"), RELATIVE)
def test_relative_is_anchored_at_a_midnight(every: timedelta, options: dict[str, Any], warnings: int) -> None:
    app = app_of({"one": {"task": "t", "schedule": every, "relative": True}}, timezone="Asia/Kolkata")
    found = read_app(app).found[0]
    if every >= timedelta(minutes=1):
        options = {**options, "start_at": "2025-01-01T00:00:00", "timezone": "Asia/Kolkata"}
    assert found.options == {**options, "task": "t", "expires": "never"}
    assert len(found.warnings) == warnings


@pytest.mark.parametrize(("every", "_options", "_warnings"), RELATIVE[1:])
def test_relative_runs_when_beat_rounds_to(every: timedelta, _options: Any, _warnings: int) -> None:
    """Celery steps from our run on the hour, minute or day to the next: ours, in a zone of half hours."""
    app = app_of({"one": {"task": "t", "schedule": every, "relative": True}}, timezone="Asia/Kolkata")
    written = new_columns("one", read_app(app).found[0].options)
    ours = parse_definition(written.columns, created_at=NOW, surroundings=Surroundings()).schedule
    run = ours.next_fire_time(NOW)
    for _ in range(5):
        assert run is not None
        clock = run
        theirs = schedules.schedule(every, relative=True, app=app, nowfun=lambda at=clock: at)
        following = run + theirs.remaining_estimate(run.astimezone(app.timezone))
        run = ours.next_fire_time(run)
        assert following == run


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        (0.5, "'every 0.5 seconds': only whole seconds are counted; for example 'timedelta(seconds=1)'"),
        (0, "again and again without a pause"),
        (timedelta(seconds=-5), "again and again without a pause"),
        (Skewed(60), "Skewed': a schedule class of your own"),
        (crontab(minute=0, nowfun=lambda: NOW), "it has a clock of its own (nowfun)"),
        (None, "a number of seconds, a timedelta or a schedule is wanted"),
        (True, "a number of seconds, a timedelta or a schedule is wanted"),
        ("* * * * *", "a schedule class of your own"),
    ],
)
def test_schedules_that_are_refused(schedule: Any, told: str) -> None:
    [finding] = refused({"schedule": schedule})
    assert finding.startswith("shop beat_schedule['one']: schedule: ")
    assert told in finding


def test_the_zone_is_the_apps() -> None:
    assert options_of({"schedule": NIGHTLY})["timezone"] == "UTC"
    assert options_of({"schedule": NIGHTLY}, timezone="Asia/Tokyo")["timezone"] == "Asia/Tokyo"
    assert (
        options_of({"schedule": NIGHTLY}, timezone="Asia/Tokyo", enable_utc=False)["timezone"] == "Asia/Tokyo"
    )


# What an entry runs, and where it goes


def test_all_that_a_message_can_have() -> None:
    options = options_of(
        {
            "schedule": 60,
            "args": (1, ["a"], None),
            "kwargs": {"deep": {"list": (1.5, True)}},
            "options": {
                "queue": "mail",
                "priority": 5,
                "headers": {"origin": "shop"},
                "expires": timedelta(minutes=2),
                "serializer": "json",
                "compression": "gzip",
                "time_limit": 300,
                "soft_time_limit": 200.0,
                "ignore_result": True,
                "retry": True,
                "retry_policy": {"max_retries": 3},
                "countdown": None,
            },
        }
    )
    assert options == {
        "every": "1m",
        "task": "shop.sell",
        "args": [1, ["a"], None],
        "kwargs": {"deep": {"list": [1.5, True]}},
        "queue": "mail",
        "priority": 5,
        "headers": {"origin": "shop"},
        "expires": "2m",
        "serializer": "json",
        "compression": "gzip",
        "time_limit": "5m",
        "soft_time_limit": "3m20s",
        "ignore_result": True,
    }
    assert new_columns("one", options).findings == ()


def test_routing_by_exchange() -> None:
    direct = {"exchange": "jobs", "routing_key": "slow"}
    assert options_of({"schedule": 60, "options": direct}).items() >= direct.items()
    topic = {"exchange": Exchange("jobs", type="topic"), "routing_key": "jobs.slow"}
    assert options_of({"schedule": 60, "options": topic}).items() >= {
        ("exchange", "jobs"),
        ("exchange_type", "topic"),
        ("routing_key", "jobs.slow"),
    }
    reading = read_app(app_of({"a": {"task": "t", "schedule": 60, "options": {"exchange": "jobs"}}}))
    assert "exchange" not in reading.found[0].options
    assert "has no routing_key: Celery passes over it" in reading.found[0].warnings[0]


def test_a_queue_of_the_app_is_its_name() -> None:
    mine, other = Queue("mail", Exchange("mail"), routing_key="mail"), Queue("other", Exchange("x"))
    settings = {"task_queues": [mine]}
    assert options_of({"schedule": 60, "options": {"queue": mine}}, **settings)["queue"] == "mail"
    [told] = refused({"options": {"queue": other}}, **settings)
    assert "options.queue: 'other': a queue that the app's task_queues do not have" in told


def test_what_a_task_declares_of_its_messages_is_kept() -> None:
    app = app_of({"a": {"task": "t", "schedule": 60, "options": {"priority": 9}}}, task_time_limit=600)

    @app.task(
        name="t", shared=False, queue="mail", priority=3, soft_time_limit=5, expires=30, ignore_result=True
    )
    def sell() -> None: ...

    assert read_app(app).found[0].options == {
        "every": "1m",
        "task": "t",
        "queue": "mail",
        "priority": 9,
        "soft_time_limit": "5s",
        "expires": "30s",
        "ignore_result": True,
    }


def test_callbacks_are_tasks_and_nothing_else() -> None:
    app = app_of()

    @app.task(name="t", shared=False)
    def sell() -> None: ...

    app.add_periodic_task(60, sell.s(), name="plain", link=sell.s(), link_error=[sell.s(), sell.s()])
    app.add_periodic_task(60, sell.s(), name="more", link=sell.s(1))
    app.add_periodic_task(60, sell.s(), name="immutable", link_error=sell.si())
    reading = read_app(app)
    assert reading.found[0].options.items() >= {"link": ["t"], "link_error": ["t", "t"]}.items()
    assert [str(finding).split(": ")[1] for finding in reading.refused] == [
        "options.link",
        "options.link_error",
    ]


def test_an_apply_async_of_its_own_is_told() -> None:
    app = app_of({"a": {"task": "t", "schedule": 60}})

    class Once(app.Task):  # type: ignore[name-defined,misc]
        def apply_async(self, *args: Any, **kwargs: Any) -> Any:
            return super().apply_async(*args, **kwargs)

    @app.task(name="t", base=Once, shared=False)
    def sell() -> None: ...

    [warning] = read_app(app).found[0].warnings
    assert "Once.apply_async" in warning


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"args": [datetime(2026, 1, 1)]}, "args: 'datetime': a datetime.datetime, which JSON has not"),
        ({"kwargs": {"id": uuid4()}}, "kwargs.id: 'UUID': a uuid.UUID, which JSON has not"),
        ({"kwargs": {"map": {1: 2}}}, "kwargs.map: '1': a key that is no text"),
        ({"args": [float("nan")]}, "cannot be written as JSON"),
        ({"args": [{1, 2}]}, "a set, which JSON has not"),
        ({"args": [BeatLazyFunc(dict)]}, "BeatLazyFunc makes it anew for every message"),
        ({"args": "abc"}, "a list is wanted"),
        ({"kwargs": [1]}, "a dict is wanted"),
        ({"task": None}, "the name of a task is wanted"),
        ({"options": {"countdown": 5}}, "options.countdown: 5: beatd publishes when a run is due"),
        ({"options": {"eta": NOW}}, "options.eta"),
        ({"options": {"task_id": "x"}}, "every run has an id of its own"),
        ({"options": {"MessageGroupId": "x"}}, "options.MessageGroupId: 'x': beatd sends no message with"),
        ({"options": {"priority": "high"}}, "a whole number from 0 to 255"),
        ({"options": {"expires": 0}}, "a whole number of seconds, at least 1"),
        ({"options": {"expires": 0.5}}, "for example '1'"),
        ({"options": {"time_limit": "5m"}}, "a number of seconds is wanted"),
        ({"options": {"delivery_mode": 1}}, "options.delivery_mode"),
        ({"options": {"expires": datetime(2026, 1, 1)}}, "that has passed: beat runs it no more"),
        ({"queue": "mail"}, "no such key: an entry of beat has args,"),
        ({"crontab": NIGHTLY}, "crontab: '<crontab: 0 3 * * * (m/h/dM/MY/d)>': no such key"),
        ({"start_time": datetime(2026, 1, 1)}, "a datetime with its zone is wanted"),
    ],
)
def test_what_is_refused(entry: dict[str, Any], told: str) -> None:
    [finding] = refused(entry)
    assert finding.startswith("shop beat_schedule['one']: ")
    assert told in finding


def test_all_that_is_wrong_with_an_entry_is_found_at_once() -> None:
    findings = refused({"schedule": 0.5, "args": [object()], "options": {"countdown": 1, "shadow": "x"}})
    assert [finding.split(": ")[1] for finding in findings] == [
        "schedule",
        "args",
        "options.countdown",
        "options.shadow",
    ]


@pytest.mark.parametrize(
    "expires", [datetime(2026, 7, 1), datetime(2026, 7, 1, tzinfo=UTC), "2026-07-01T00:00:00"]
)
def test_an_instant_of_expiry_ends_the_entry(expires: Any) -> None:
    reading = read_app(app_of({"a": {"task": "t", "schedule": 60, "options": {"expires": expires}}}))
    [found] = reading.found
    assert found.options.items() >= {("end_at", "2026-06-30T23:59:59Z"), ("expires", "never")}
    assert "one instant" in found.warnings[0]


def test_what_schedulers_with_a_database_know_of_entries() -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    given = {"enabled": False, "start_time": start, "one_off": True, "description": "Sells"}
    assert options_of({"schedule": 60, "options": {"expire_seconds": 30}, **given}) == {
        "every": "1m",
        "start_at": "2026-07-01T00:00:00Z",
        "task": "shop.sell",
        "expires": "30s",
        "description": "Sells",
        "max_runs": 1,
        "enabled": False,
    }
    assert options_of({"schedule": 60, "options": {"one_off": True}})["max_runs"] == 1


# Where the schedule comes from


def test_the_names_that_it_had_before() -> None:
    app = Celery("shop", set_as_current=False)
    app.conf.CELERYBEAT_SCHEDULE = {"old": {"task": "t", "schedule": 60}}
    assert [found.names for found in read_app(app).found] == [("old", "t")]

    class Settings:
        SHOP_BEAT_SCHEDULE = {"spaced": {"task": "t", "schedule": 60}}  # noqa: RUF012
        SHOP_TIMEZONE = "Europe/Berlin"

    app = Celery("shop", set_as_current=False)
    app.config_from_object(Settings, namespace="SHOP")
    assert [found.names for found in read_app(app).found] == [("spaced", "t")]


def test_periodic_tasks_that_handlers_add() -> None:
    app = app_of({"declared": {"task": "t", "schedule": 60}})

    @app.task(name="shop.sell", shared=False)
    def sell(what: str, number: int = 1) -> None: ...

    @app.on_after_configure.connect
    def early(sender: Celery, **_: Any) -> None:
        sender.add_periodic_task(NIGHTLY, sell.s("apples"), name="apples", expires=60)

    @app.on_after_finalize.connect
    def late(sender: Celery, **_: Any) -> None:
        sender.add_periodic_task(30.0, sell.s("pears", number=2).set(queue="fruit"))

    found = {one.origin.place: one for one in read_app(app).found}
    assert found.keys() == {"declared", "apples", "shop.sell('pears', number=2)"}
    assert found["apples"].options.items() >= {("expires", "1m"), ("cron", "0 3 * * *")}
    assert found["shop.sell('pears', number=2)"].options == {
        "every": "30s",
        "task": "shop.sell",
        "args": ["pears"],
        "kwargs": {"number": 2},
        "queue": "fruit",
        "expires": "never",
    }


def test_what_beat_adds_by_itself(tmp_path: Path) -> None:
    app = app_of(
        {"a": {"task": "t", "schedule": 60}}, result_backend=f"file://{tmp_path}", timezone="Asia/Tokyo"
    )
    app.conf.result_expires = 3600
    cleanup = read_app(app).found[-1]
    assert cleanup.options == {
        "cron": "0 4 * * *",
        "timezone": "Asia/Tokyo",
        "task": "celery.backend_cleanup",
        "expires": "12h",
    }
    assert "beat adds it by itself" in cleanup.warnings[0]
    app = app_of({}, result_backend=f"file://{tmp_path}/nowhere")
    app.conf.result_expires = 3600
    [finding] = read_app(app).refused
    assert str(finding).startswith("shop beat_schedule['celery.backend_cleanup']: result_backend: ")


def test_an_app_in_a_file_with_the_origin_of_each_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"proj_{uuid4().hex}"
    Path(f"{name}.py").write_text(
        "from celery import Celery\napp = Celery('shop')\napp.conf.result_expires = None\n"
        "app.conf.beat_schedule = {'sell': {'task': 'shop.sell', 'schedule': 60, 'args': [1]}}\n"
    )
    reading, source = celery_beat.read_app(f"{name}:app", NOW)
    assert source == ("celery", f"{name}:app")
    assert reading.found[0].origin == Origin(*source, "sell", "every 60 seconds: shop.sell(1)")
    assert reading.found[0].where == f"{name}:app beat_schedule['sell']"
    sys.modules.pop(name)
    Path(f"{name}.py").write_text(
        f"from celery import Celery\napp = Celery('shop', include=['{name}_tasks'])\n"
    )
    Path(f"{name}_tasks.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(InvalidInput, match="its tasks cannot be imported: ModuleNotFoundError"):
        celery_beat.read_app(f"{name}:app", NOW)


def test_the_text_of_an_entry_is_the_same_in_every_process() -> None:
    def text() -> str:
        entry = {"task": "t", "schedule": crontab(minute={30, 0, 15}, hour=[9, 10]), "kwargs": {"a": 1}}
        return read_app(app_of({"a": entry})).found[0].origin.text

    assert text() == "crontab(minute=[0, 15, 30], hour=[9, 10]): t(a=1)"


@pytest.mark.parametrize(
    ("configured", "queue", "told"),
    [("", None, "2 of them name no queue"), ("shop:app", None, None), ("", "all", None)],
)
def test_where_messages_go_that_name_no_queue(configured: str, queue: str | None, told: str | None) -> None:
    entries = {str(n): {"task": "t", "schedule": 60} for n in range(2)}
    entries["3"] = {"task": "t", "schedule": 60, "options": {"queue": "mail"}}
    notes = list(celery_beat.routing_notes(read_app(app_of(entries)), configured, "shop:app", queue))
    assert [note[:23] for note in notes] == ([told] if told else [])


def test_long_intervals_are_said_to_count_from_the_import() -> None:
    schedule = {"day": {"task": "t", "schedule": 86_400}, "hour": {"task": "t", "schedule": 3600}}
    [note] = read_app(app_of({**schedule, "minute": {"task": "t", "schedule": 60}})).notes
    assert note.startswith("day, hour: beat counts intervals from its last run, which the app does not tell")
    assert read_app(app_of({"minute": {"task": "t", "schedule": 60}})).notes == ()


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"beat_cron_starting_deadline": 90}, {"misfire_grace": "1m30s"}),
        ({"beat_cron_starting_deadline": 0.5}, {"misfire_grace": "1s"}),
        ({"beat_cron_starting_deadline": 0}, {"misfire": "skip"}),
        ({}, {}),
    ],
)
def test_how_late_a_crontab_may_start(settings: dict[str, Any], options: dict[str, Any]) -> None:
    of_crontab = options_of({"schedule": crontab(minute=0, hour=3)}, **settings)
    assert {key: value for key, value in of_crontab.items() if key.startswith("misfire")} == options
    assert "misfire_grace" not in options_of({"schedule": 60}, **settings)


@pytest.mark.parametrize("arguments", [{"args": [(1, 2)]}, {"kwargs": {"a": [{"b": (1,)}]}}])
def test_tuples_are_told_where_messages_would_keep_them(arguments: dict[str, Any]) -> None:
    entry = {"task": "t", "schedule": 60, **arguments}
    [found] = read_app(app_of({"a": entry}, task_serializer="pickle")).found
    assert found.warnings == ("a tuple inside args or kwargs becomes a list, where pickle keeps it a tuple",)
    by_option = {**entry, "options": {"serializer": "pickle"}}
    assert read_app(app_of({"a": by_option})).found[0].warnings == found.warnings
    assert read_app(app_of({"a": entry})).found[0].warnings == ()


@pytest.mark.parametrize("seconds", [1e20, float("nan"), float("inf")])
def test_seconds_that_nobody_can_count_are_refused(seconds: float) -> None:
    [told] = refused({"schedule": seconds})
    assert f"schedule: {seconds!r}: so many seconds cannot be counted" in told


def test_all_keys_are_told_those_too_of_what_is_refused() -> None:
    app = app_of({"good": {"task": "a", "schedule": 60}, "bad": {"task": "b", "schedule": -1}})
    reading = read_app(app)
    assert len(reading.found) == len(reading.refused) == 1
    assert list(reading.keys.values()) == [frozenset({"good", "bad"})]
