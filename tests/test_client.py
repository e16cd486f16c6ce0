"""The public Python API, on an installation of one's own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import beatd
from beatd.client import Client
from beatd.errors import Conflict, DatabaseUnavailable, FieldError, InvalidInput, NotFound, SchemaMismatch
from beatd.store import schema
from beatd.store.engine import Database


@pytest.fixture
def url(sqlite_url: str) -> str:
    database = Database.open(sqlite_url)
    schema.upgrade(database)
    database.close()
    return sqlite_url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with beatd.Client(database_url=url, who="deploy") as client:
        yield client


def test_entries(client: Client, tmp_path: Path) -> None:
    added = client.add("nightly", every=timedelta(hours=1), shell="true", env={"A": "b"}, expires="30m")
    assert client.get("nightly") == added
    assert (added.options["every"], added.options["env"]) == ("1h", {"A": "b"})
    with pytest.raises(Conflict):
        client.add("nightly", every="1h", shell="true")
    with pytest.raises(InvalidInput):
        client.add("other", every="1h", shel="true")
    assert client.change("nightly", queue="slow", env=None).options.get("env") is None
    with pytest.raises(Conflict):
        client.change("nightly", version=1, queue="fast")
    assert client.pause("nightly").state == "paused"
    assert client.list(state="paused") == [client.get("nightly")]
    assert client.resume("nightly").state == "active"
    assert client.rename("nightly", "hourly").name == "hourly"
    coming = client.next("hourly", 2)
    assert coming.fire_times[1] - coming.fire_times[0] == timedelta(hours=1)
    newest, *_, first = client.versions("hourly")
    assert (newest.changed_by, newest.door, first.operation) == ("deploy", "api", "insert")

    answer = client.explain("hourly")
    assert (answer.entry, answer.asked) == ("hourly", None)
    assert [explained.verdict for explained in answer.explanations][-1] == "coming"
    assert client.explain("hourly", timedelta(days=1)).explanations[0].headline
    load = client.agenda(end=timedelta(hours=10))
    assert load.fires in (9, 10, 11)
    assert client.agenda("2099-01-01", "2099-01-02", by="minute").fires == 24
    with pytest.raises(FieldError, match="by: 'day': one of minute, hour"):
        client.agenda(by="day")

    (tmp_path / "entries.toml").write_text(client.export("hour*"))
    client.remove("hourly")
    assert client.list() == []
    assert client.apply(tmp_path / "entries.toml", dry_run=True).added[0].name == "hourly"
    assert client.list() == []
    client.apply(str(tmp_path / "entries.toml"))
    assert client.apply(tmp_path / "entries.toml").nothing
    with pytest.raises(NotFound):
        client.get("nightly")
    client.change("hourly", queue=None)
    assert client.restore("hourly", 1).options["queue"] == "slow"


def test_pauses(client: Client) -> None:
    client.add("nightly", every="1h", shell="true")
    paused = client.pause("nightly", note="moving house", until=timedelta(hours=2))
    assert paused.state == "paused"
    told = client.paused("nightly")
    assert told is not None
    assert (told.note, told.who, told.until) == ("moving house", "deploy", paused.paused_until)
    assert client.pause("nightly", until="never").paused_until is None
    client.resume("nightly")
    assert client.paused("nightly") is client.paused() is client.resume_all() is None
    everything = client.pause_all(note="no power")
    assert everything == client.paused() == client.resume_all()
    assert client.paused() is None


def test_calendars(client: Client, tmp_path: Path) -> None:
    added = client.add_calendar("closed", dates=[date(2026, 12, 24)], country="DE")
    assert client.calendars() == [added]
    client.add("noon", cron="0 12 * * *", calendar="closed", shell="true")
    assert client.change_calendar("closed", weekdays=["sat", "sun"]).entries == ("noon",)
    [listed] = [day for day in client.calendar("closed", 2026).days if day.why == "a listed date"]
    assert listed.date == date(2026, 12, 24)
    with pytest.raises(Conflict):
        client.remove_calendar("closed")
    (tmp_path / "all.toml").write_text(client.export())
    assert client.apply(tmp_path / "all.toml").nothing
    client.change("noon", calendar=None)
    client.remove_calendar("closed")
    with pytest.raises(NotFound):
        client.calendar("closed")


def test_previews(client: Client) -> None:
    client.add("noon", cron="0 12 * * *", shell="true")
    told = client.preview("noon", cron="0 13 * * *")
    assert told.changes == {"cron": ("0 12 * * *", "0 13 * * *")}
    assert told.fires is not None
    assert [fire.mark for fire in told.fires.after.fires] == ["new"] * 3
    assert client.get("noon").version == 1


def test_backfill(client: Client) -> None:
    client.add("noon", cron="0 12 * * *", shell="true")
    looked = client.backfill("noon", "2026-03-01", "2026-03-08", dry_run=True)
    assert len(looked.fire_times) == 7
    assert client.runs("noon") == []
    made = client.backfill("noon", "2026-03-01", "2026-03-08", overlap="queue")
    assert {run.origin for run in client.runs("noon")} == {made.origin}
    assert client.backfill("noon", "2026-03-01", "2026-03-08", missing=True).left_out == 7
    assert client.revoke_backfill(made.origin) == 7


def test_runs(client: Client) -> None:
    client.add("once", at=datetime.now(UTC) + timedelta(hours=1), shell="true")
    run = client.trigger("once")
    assert client.run(run.id) == run
    assert client.runs("once", states=["pending"]) == [run] == client.history("once")
    assert client.wait(run.id, timedelta(0)).state == "pending"
    assert client.trigger("once", wait=timedelta(milliseconds=1)).state == "pending"
    assert client.revoke(run.id).done
    assert client.runs(states=["revoked"], since=timedelta(minutes=5), limit=1)[0].id == run.id


def test_what_is_wrong_is_said_when_it_is_made(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    with pytest.raises(DatabaseUnavailable, match=r"no such file: run 'beatd init'"):
        Client(database_url=f"sqlite:///{file}")
    assert not file.exists()
    file.touch()
    with pytest.raises(SchemaMismatch, match="beatd db upgrade"):
        Client(database_url=f"sqlite:///{file}")
    with pytest.raises((InvalidInput, FieldError), match=r"database.url"):
        Client(database_url="oracle://x")
    with pytest.raises(InvalidInput, match="no such file"):
        Client(config=tmp_path / "none.toml")


def test_it_reads_a_configuration(url: str, tmp_path: Path) -> None:
    file = tmp_path / "beatd.toml"
    file.write_text(f'timezone = "Asia/Tokyo"\n[database]\nurl = "{url}"\n')
    with Client(file) as client:
        assert client.add("x", cron="@daily", shell="true").timezone == "Asia/Tokyo"


def test_importing_beatd_imports_nothing_heavy() -> None:
    code = "import sys, beatd; print([m for m in ('sqlalchemy', 'celery', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError):
        beatd.Nothing  # noqa: B018


def test_what_the_page_shows(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of docs/python.md, one after the other; nobody runs what they trigger."""
    page = (Path(__file__).parent.parent / "docs" / "python.md").read_text()
    monkeypatch.setenv("BEATD_DATABASE_URL", url)
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(programs) >= 2
    names: dict[str, object] = {}
    for program in programs:
        exec(program.replace("wait=timedelta(minutes=5)", "wait=timedelta(0)"), names)
