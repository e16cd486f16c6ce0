"""Pings and alerts: whom an event concerns, what is sent, and what happens where nobody answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from beatd import weburls
from beatd.config import AlertSettings
from beatd.dispatch import alerts as module
from beatd.dispatch.alerts import Alerts
from beatd.dispatch.deadlines import sweep
from beatd.dispatch.events import Event, of_reports
from beatd.dispatch.pulse import Pulse
from beatd.errors import BrokerUnavailable, DatabaseUnavailable
from beatd.planning.reasons import UNSTARTED
from beatd.reports import Report
from beatd.store import reported, schema
from beatd.store.engine import Database
from beatd.store.reported import Told
from tests.dispatch.turned import Turned, settle
from tests.receiver import Receiver, receiving
from tests.waiting import eventually

FIRE = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def turned(sqlite_url: str) -> Iterator[Turned]:
    database = Database.open(sqlite_url)
    schema.upgrade(database)
    yield Turned(database)
    database.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01, 0.01))


class Running:
    """Alerts at work, with settings that the test changes."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self.settings = AlertSettings(**settings)
        self.alerts = Alerts(database, "node-1", lambda: self.settings)
        self.alerts.start()

    def told(self, *events: Event) -> None:
        self.alerts.tell(events)
        eventually(lambda: self.alerts.idle)


@pytest.fixture
def running(turned: Turned) -> Iterator[Running]:
    running = Running(turned.database)
    yield running
    running.alerts.stop(0)


def test_a_success_is_a_ping_and_no_alert(turned: Turned, running: Running, receiver: Receiver) -> None:
    running.settings = AlertSettings(url=f"{receiver.url}/all")
    entry = turned.add("nightly", every="1h", ping_url=f"{receiver.url}/abc?x=1")
    other = turned.add("other", every="1h")
    running.told(*(Event("run.succeeded", id_, FIRE, "succeeded", "r") for id_ in (entry, other, 999)))
    [ping] = receiver.requests
    assert (ping.method, ping.path, ping.body) == ("GET", "/abc?x=1", "")
    assert running.alerts.statistics() == {"sent": 1, "failed": 0, "dropped": 0}


def test_trouble_is_told_to_the_entrys_address_and_to_that_of_all(
    turned: Turned, running: Running, receiver: Receiver
) -> None:
    running.settings = AlertSettings(url=f"{receiver.url}/all")
    nightly = turned.add("nightly", every="1h", alert_url=f"{receiver.url}/own", ping_url=f"{receiver.url}/p")
    other = turned.add("other", every="1h")
    running.told(
        Event("run.missing", nightly, FIRE, "missing: why", count=3),
        Event("run.failed", other, FIRE, "failed: boom", "r"),
    )
    assert receiver.events("/own") == [("run.missing", "nightly")]
    assert sorted(receiver.events("/all")) == [("run.failed", "other"), ("run.missing", "nightly")]
    assert receiver.to("/p") == []
    [own] = receiver.to("/own")
    assert own.method == "POST"
    assert own.headers["Content-Type"].startswith("application/json")
    assert own.json | {"at": ""} == {
        "event": "run.missing",
        "entry": "nightly",
        "fire_time": "2026-01-01T02:30:00+00:00",
        "run_id": None,
        "count": 3,
        "node": "node-1",
        "at": "",
        "text": "nightly, 2026-01-01 02:30:00 UTC: missing: why",
    }


def test_the_messages_of_an_entry_arrive_in_order(
    turned: Turned, running: Running, receiver: Receiver
) -> None:
    entry = turned.add("e", every="1h", ping_url=f"{receiver.url}/ok", alert_url=f"{receiver.url}/fail")
    kinds = ["run.succeeded", "run.failed"] * 5
    running.told(*(Event(kind, entry, FIRE, "x", "r") for kind in kinds))  # type: ignore[arg-type]
    assert [request.path for request in receiver.requests] == ["/ok", "/fail"] * 5


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("answers", "requests", "outcome"),
    [
        ([500, 503], 3, "sent"),
        ([429], 2, "sent"),
        ([500, 500, 500], 3, "answered 500"),
        ([404], 1, "answered 404"),
        ([301], 1, "answered 301"),
    ],
)
def test_it_is_tried_again_where_that_may_help(
    turned: Turned, running: Running, receiver: Receiver, answers: list[int], requests: int, outcome: str
) -> None:
    entry = turned.add("e", every="1h", alert_url=f"{receiver.url}/secret-token")
    receiver.answers = answers
    running.told(Event("run.failed", entry, FIRE, "failed", "r"))
    assert len(receiver.requests) == requests
    told = running.alerts.statistics()
    if outcome == "sent":
        assert told == {"sent": 1, "failed": 0, "dropped": 0}
    else:
        assert told["failed"] == 1
        assert told["trouble"] == f"run.failed of e to {receiver.url}/…: {outcome}"


@pytest.mark.usefixtures("quick")
def test_where_nobody_listens_the_secret_stays_one(
    turned: Turned, running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = turned.add("e", every="1h", ping_url="http://user:pw@127.0.0.1:9/secret-token")
    broken = turned.add("b", every="1h", ping_url="ftp://h/secret-token")
    running.told(*(Event("run.succeeded", id_, FIRE, "succeeded", "r") for id_ in (entry, broken)))
    told = running.alerts.statistics()
    assert told["failed"] == 2
    out, err = capsys.readouterr()
    assert "secret" not in f"{told}{out}{err}"
    assert "pw" not in f"{told}{out}{err}".replace("http", "")


def test_an_address_that_hangs_holds_up_its_own_alone_and_memory_stays_bounded(
    turned: Turned, running: Running, receiver: Receiver
) -> None:
    receiver.answering.clear()
    with receiving() as other:
        running.settings = AlertSettings(url=f"{other.url}/all")
        hanging = turned.add("hanging", every="1h", alert_url=receiver.url)
        many = module.MESSAGES + module.EVENTS
        for _ in range(0, many, 100):
            running.alerts.tell([Event("run.failed", hanging, FIRE, "failed", "r")] * 100)
        eventually(lambda: len(other.requests) > 20)
        eventually(lambda: running.alerts.statistics()["dropped"] > 0)
        assert len(receiver.requests) == 1


def test_without_the_database_nothing_is_lost_for_now(turned: Turned, receiver: Receiver) -> None:
    entry = turned.add("e", every="1h", ping_url=receiver.url)
    alerts = Alerts(turned.database, "n", AlertSettings)
    alerts.tell([Event("run.succeeded", entry, FIRE, "succeeded", "r")])
    read = turned.database.read

    def down() -> Any:
        raise DatabaseUnavailable("down")

    turned.database.read = down  # type: ignore[method-assign]
    with pytest.raises(DatabaseUnavailable):
        alerts.run_once()
    turned.database.read = read  # type: ignore[method-assign]
    assert alerts.run_once() == 1
    assert alerts.run_once(0.01) == 0


# What becomes an event


def told(**columns: Any) -> Told:
    default: dict[str, Any] = {
        "id": "r",
        "entry_id": 1,
        "fire_time": FIRE,
        "due_time": FIRE,
        "published_at": FIRE,
        "first_start": None,
        "state": "started",
        "error": None,
    }
    return Told(**{**default, **columns})


@pytest.mark.parametrize(
    ("run", "events"),
    [
        (told(first_start=FIRE + MINUTE), []),
        (told(first_start=FIRE + 2 * MINUTE), [("run.late", "late: started 120 s after it was due")]),
        # of this one the outbox told
        (told(first_start=FIRE + 2 * MINUTE, published_at=FIRE + 2 * MINUTE), []),
        (told(state="succeeded"), [("run.succeeded", "succeeded")]),
        (
            told(state="failed", error="Traceback\n  …\nValueError: no\n"),
            [("run.failed", "failed: ValueError: no")],
        ),
        (told(state="failed"), [("run.failed", "failed")]),
        (told(state="expired"), [("run.missing", "missing: expired, as its worker told")]),
        (told(state="revoked"), []),
        (told(state="retrying"), []),
        (
            told(state="succeeded", first_start=FIRE + 2 * MINUTE),
            [("run.late", "late: started 120 s after it was due"), ("run.succeeded", "succeeded")],
        ),
    ],
)
def test_what_workers_tell(run: Told, events: list[tuple[str, str]]) -> None:
    assert [(event.kind, event.text) for event in of_reports([run], MINUTE)] == events


def test_news_is_told_once(database: Database) -> None:
    turned = Turned(database)
    entry = turned.add("e", every="1m")
    dispatcher = turned.dispatcher()
    settle(dispatcher)
    turned.turn(minutes=1)
    settle(dispatcher)
    id_ = turned.one("SELECT id FROM runs").id
    at = turned.now()
    started = Report(str(id_), "started", at, "w")
    succeeded = Report(str(id_), "succeeded", at, "w")

    def store(*reports: Report) -> list[tuple[int, str, bool]]:
        with database.write() as connection:
            news = reported.apply_reports(connection, reports, at).told
        return [(run.entry_id, run.state, run.first_start is not None) for run in news]

    assert store(started) == [(entry, "started", True)]
    assert store(started) == []
    assert store(started, succeeded) == [(entry, "succeeded", False)]
    assert store(succeeded) == []


def test_what_the_sweep_closes_is_missing(database: Database) -> None:
    turned = Turned(database)
    turned.add("e", at=(turned.now() + MINUTE).isoformat(), expires="10m")
    dispatcher = turned.dispatcher()
    settle(dispatcher)
    turned.turn(minutes=1)
    settle(dispatcher)
    turned.sql("UPDATE runs SET state = 'published', published_at = due_time")
    turned.turn(minutes=12)
    events: list[Event] = []
    sweep(database, reports=True, publish_again_after=None, tell=events.extend)
    sweep(database, reports=True, publish_again_after=None, tell=events.extend)
    [event] = events
    assert (event.kind, event.text) == ("run.missing", f"missing: {UNSTARTED}")


def test_fires_that_an_outage_swallowed_are_missing(turned: Turned) -> None:
    events: list[Event] = []
    dispatcher = turned.dispatcher(tell=events.extend)
    turned.add("e", every="1h", misfire="skip")
    turned.add("skipping", every="1h", misfire="skip", overlap="skip")
    settle(dispatcher)
    turned.turn(hours=3, minutes=30)
    settle(dispatcher)
    assert [(event.kind, event.count, event.run_id) for event in events] == [("run.missing", 3, None)] * 2
    assert events[0].text == "missing: 3 fires were missed (misfire)"


# The node's own ping


def test_the_pulse_is_there_while_all_is_well(receiver: Receiver) -> None:
    settings = AlertSettings(ping_url=f"{receiver.url}/node", ping_task="proj.alive", ping_every="1s")
    troubles: list[str] = ["stalled: dispatch"]
    published: list[tuple[str, float]] = []
    pulse = Pulse(lambda: settings, lambda: troubles, lambda *task: published.append(task))
    pulse._stopping.wait = lambda _=None: False  # type: ignore[assignment,method-assign]
    pulse.run_once()
    assert (receiver.requests, published) == ([], [])
    troubles.clear()
    pulse.run_once()
    assert [(request.method, request.path) for request in receiver.requests] == [("GET", "/node")]
    assert published == [("proj.alive", 1.0)]
    pulse.stop()
    pulse._last = None
    pulse.run_once()
    assert pulse.sent == 1


def test_the_pulse_keeps_its_time_and_says_what_went_wrong(receiver: Receiver) -> None:
    settings = AlertSettings(ping_url=f"{receiver.url}/secret", ping_task="proj.alive")
    receiver.answers = [404]

    def publish(task: str, expires: float) -> None:
        raise BrokerUnavailable("broker amqp://h: refused")

    pulse = Pulse(lambda: settings, list, publish)
    pulse._stopping.wait = lambda _=None: False  # type: ignore[assignment,method-assign]
    for _ in range(3):
        pulse.run_once()
    assert len(receiver.requests) == 1
    assert (
        pulse.trouble
        == f"ping to {receiver.url}/…: answered 404; ping by proj.alive: broker amqp://h: refused"
    )


def test_without_the_database_there_is_no_pulse(receiver: Receiver) -> None:
    def down() -> list[str]:
        raise DatabaseUnavailable("down")

    pulse = Pulse(lambda: AlertSettings(ping_url=receiver.url), down, lambda *_: None)
    pulse._stopping.wait = lambda _=None: False  # type: ignore[assignment,method-assign]
    pulse.run_once()
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hc-ping.com/uuid", "https://hc-ping.com/…"),
        ("http://u:p@h:8000/x?token=1", "http://h:8000/…"),
    ],
)
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    assert weburls.shown(weburls.check(url)) == shown


def test_a_document_is_json_whatever_the_name(turned: Turned, running: Running, receiver: Receiver) -> None:
    entry = turned.add('na"me ü', every="1h", alert_url=receiver.url)
    running.told(Event("run.failed", entry, FIRE, "failed", "r"))
    assert json.loads(receiver.requests[0].body)["entry"] == 'na"me ü'
