"""A backup under fire, life after it, a crash, a restore: nothing of the time in between runs again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from tests.processes import Installation
from tests.safety.conftest import Call
from tests.safety.copies import Copies
from tests.waiting import eventually


def test_nothing_runs_again(
    database_url: str, install: Callable[..., Installation], copies: Copies, call: Call
) -> None:
    installation = install(database_url, "")
    installation.upgrade()
    installation.add("each", every="1s", misfire="all", expires="1h", **installation.shell())
    installation.add("latest", every="2s", expires="never", **installation.shell())
    installation.add("one", every="1s", overlap="skip", misfire="all", expires="1h", **installation.shell())
    scheduler, worker = installation.scheduler(), installation.worker()
    eventually(lambda: len(installation.ledger()) >= 6)
    copies.backup(installation)
    known = len(installation.ledger())
    # an entry that the backup does not know, and a run of it
    installation.add("young", every="1s", **installation.shell())
    young = installation.rows("SELECT max(id) AS id FROM entries")[0].id
    eventually(lambda: len(installation.ledger()) >= known + 8)
    eventually(lambda: any(note.entry == "young" for note in installation.ledger()))
    scheduler.kill9()
    worker.kill9()
    installation.database.close()
    before = installation.ledger()

    copies.restore()
    told = call(installation, "db", "restored")
    assert told.returncode == 0, told.stderr
    assert "count as restored" in told.stdout
    restored_at = installation.now()
    installation.add("newer", every="1s", expires="1h", **installation.shell())
    newer = installation.rows("SELECT id FROM entries WHERE name = 'newer'")[0].id
    assert newer > young, "an id that a run in the broker may carry is given out again"
    installation.scheduler()
    installation.worker()
    names = {"each", "latest", "one", "newer"}

    def gone_on() -> bool:
        return {note.entry for note in installation.ledger() if note.fire_time > restored_at} == names

    eventually(gone_on)
    after = installation.ledger()[len(before) :]
    ran = Counter(note.run_id for note in installation.ledger())
    assert max(ran.values()) == 1, "a run took place a second time"
    last = max(note.fire_time for note in before)
    again = {(note.entry, note.fire_time) for note in before} & {(n.entry, n.fire_time) for n in after}
    assert again == set()
    counted = installation.rows(
        "SELECT reason, count, last_fire_at FROM suppressions WHERE reason = 'restored'"
    )
    assert sum(row.count for row in counted) >= 4
    assert last < restored_at
    explained = call(installation, "explain", "each", "--at", last.isoformat())
    assert explained.returncode == 0, explained.stderr


def test_a_restore_twice(sqlite_url: str, install: Callable[..., Installation], call: Call) -> None:
    """The command may be repeated, and says that there is nothing left to do."""
    installation = install(sqlite_url, "")
    installation.upgrade()
    first = call(installation, "db", "restored")
    second = call(installation, "db", "restored")
    assert (first.returncode, second.returncode) == (0, 0)
    assert "no fire up to" in second.stdout


def test_the_crash_is_known(sqlite_url: str, install: Callable[..., Installation], call: Call) -> None:
    """Fires up to it count as restored, those since are misfires."""
    installation = install(sqlite_url, "")
    installation.upgrade()
    hour = timedelta(hours=1)
    newest = installation.now().replace(microsecond=0) - timedelta(minutes=10)
    rule = {"every": "1h", "start_at": (newest - 100 * hour).isoformat(), "expires": "never"}
    installation.add("hourly", **rule, task="t")
    scheduler = installation.scheduler()
    eventually(lambda: installation.rows("SELECT 1 FROM timers WHERE next_due_at IS NOT NULL"))
    scheduler.stop()
    backup, fire = ((newest - hours * hour).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for hours in (9.5, 9))
    installation.sql("UPDATE entry_versions SET changed_at = :at", at=backup)
    installation.sql(
        "UPDATE timers SET planned_from = :at, next_fire_at = :fire, next_due_at = :fire",
        at=backup,
        fire=fire,
    )
    told = call(installation, "db", "restored", "--until", (newest - 3.5 * hour).isoformat())
    assert told.returncode == 0, told.stderr
    installation.scheduler()
    eventually(installation.runs)
    counts = {row.reason: row.count for row in installation.rows("SELECT reason, count FROM suppressions")}
    assert [run.fire_time for run in installation.runs()] == [newest]
    assert counts == {"restored": 6, "misfire": 3}


def test_other_databases_have_their_own_tool(
    postgres_url: str, install: Callable[..., Installation], call: Call
) -> None:
    installation = install(postgres_url, "")
    installation.upgrade()
    told = call(installation, "db", "backup", "copy")
    assert told.returncode != 0
    assert "pg_dump" in told.stderr
    assert not (installation.folder / "copy").exists()
