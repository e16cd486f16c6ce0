"""The table of an import at a terminal's width, its document, and what the commands end with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from beatd.cli.migration import print_rows
from beatd.migrate.importing import Row
from tests.cli.inside import InProcess
from tests.cli.program import Beatd

FIRES = tuple(datetime(2026, 3, 29, 1, 17, tzinfo=UTC) + timedelta(days=day) for day in range(3))
BERLIN = {"timezone": "Europe/Berlin", "next_fires": FIRES}


def printed(width: int, *rows: Row, **how: bool) -> list[str]:
    out = StringIO()
    print_rows(Console(file=out, width=width, highlight=False, markup=False, emoji=False), rows, **how)
    return out.getvalue().splitlines()


ROWS = [
    Row("/etc/crontab:7", "add", "hourly", "17 * * * *", **BERLIN),
    Row(
        "/etc/crontab:25",
        "change",
        "nightly-backup-to-the-other-site",
        "*/5 2-4 1,15 * MON",
        **BERLIN,
        warnings=("kept: queue was edited here",),
        changes={"cron": ("0 2 * * *", "*/5 2-4 1,15 * MON"), "stdin": (None, "word " * 60)},
    ),
    Row("/etc/crontab:26", "unchanged", "boot", "@reboot"),
    Row(
        "/etc/crontab:31:5",
        "refused",
        "",
        problem="cron: '0 22-6 * * *': hour: '22-6' is reversed, " + "so " * 20,
    ),
    Row("beat: cleanup", "add", "cleanup", "every 30s", timezone="UTC", next_fires=FIRES[:1]),
    Row("beat: solar", "refused", "", problem="schedule: 'x': no"),
    Row("/etc/crontab", "remove", "old", "0 5 * * *"),
]


def test_at_120_columns() -> None:
    lines = printed(120, *ROWS)
    assert lines[:6] == [
        "/etc/crontab",
        "   7  add        hourly                            17 * * * *          2026-03-29 03:17 CEST",
        "  25  change     nightly-backup-to-the-other-site  */5 2-4 1,15 * MON  2026-03-29 03:17 CEST",
        "      cron: 0 2 * * * → */5 2-4 1,15 * MON",
        f"      stdin: – → {('word ' * 20).rstrip()}",
        f"             {'word ' * 20}…",
    ]
    assert lines[6:9] == [
        "      ! kept: queue was edited here",
        "  26  unchanged  boot                              @reboot             –",
        "  31  refused",
    ]
    assert lines[9].startswith(
        "      ✗ /etc/crontab:31:5: cron: '0 22-6 * * *': hour: '22-6' is reversed, so so"
    )
    assert lines[-5:] == [
        "      add        cleanup                           every 30s           2026-03-29 01:17 UTC",
        "      refused    beat: solar",
        "      ✗ schedule: 'x': no",
        "/etc/crontab (no longer in it)",
        "      remove     old                               0 5 * * *           –",
    ]


def test_at_80_columns_names_are_wrapped() -> None:
    lines = printed(80, *ROWS)
    assert max(map(len, lines)) <= 80
    assert lines[2:4] == [
        "  25  change     nightly-backup-to-    */5 2-4 1,15 * MON  2026-03-29 03:17 CEST",
        "                 the-other-site",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200, 10_000])
def test_at_no_width_anything_is_lost(width: int) -> None:
    """But for the end of a schedule."""
    everything = " ".join(printed(width, *ROWS, all_fires=True))
    for row in ROWS:
        assert row.where.partition(":")[0] in everything
        assert all(piece in everything for piece in row.name.split("-"))
        assert row.schedule[:16] in everything


def test_all_are_refused() -> None:
    lines = printed(80, Row("/etc/crontab:1:1", "refused", "", problem="minute: '61': too many"))
    assert lines == ["/etc/crontab", "  1  refused", "      ✗ /etc/crontab:1:1: minute: '61': too many"]


def test_a_check_tells_three_fires() -> None:
    assert printed(100, ROWS[0], all_fires=True)[2] == (
        "      then Mon 2026-03-30 03:17 CEST, Tue 2026-03-31 03:17 CEST"
    )


# What the commands that use it have in common, as `beatd crontab` shows it


TAB = "# Backup\n30 2 * * * backup --all\n*/5 * * * * poll\n"


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path, {"TZ": "Europe/Berlin"})
    beatd("db", "upgrade")
    (tmp_path / "tab").write_text(TAB)
    return beatd


def names(beatd: Beatd) -> set[str]:
    return {entry["name"] for entry in beatd.json("entry", "list")}


def test_imported_and_shown(beatd: Beatd) -> None:
    planned = beatd("crontab", "import", "tab", "--user", "--dry-run")
    assert planned.stdout.splitlines()[-1] == (
        "nothing was done (--dry-run); it would be: 2 added, 0 changed, 0 removed, 0 unchanged"
    )
    assert names(beatd) == set()
    done = beatd("crontab", "import", "tab", "--user")
    assert done.stdout.splitlines()[-1] == "2 added, 0 changed, 0 removed, 0 unchanged"
    assert names(beatd) == {"backup", "poll"}

    shown = beatd("entry", "show", "backup").stdout
    assert f"from         crontab {beatd.home}/tab:2, of 20" in shown
    document = beatd.json("entry", "show", "backup")
    imported_at = document["origin"].pop("imported_at")
    assert datetime.fromisoformat(imported_at).tzinfo is not None
    assert document["origin"] == {
        "kind": "crontab",
        "source": f"{beatd.home}/tab",
        "place": "2",
        "text": "30 2 * * * backup --all",
    }
    beatd("entry", "add", "own", "--every", "5m", "--shell", "x")
    assert [bool(entry["origin"]) for entry in beatd.json("entry", "list")] == [True, False, True]
    assert "(import)" in beatd("entry", "versions", "backup").stdout


def test_what_changed_is_told(beatd: Beatd) -> None:
    beatd("crontab", "import", "tab", "--user")
    beatd("entry", "set", "backup", "--queue", "slow")
    (beatd.home / "tab").write_text("# Backup\n30 3 * * * backup --all\n")
    done = beatd("crontab", "import", "tab", "--user")
    assert "cron: 30 2 * * * → 30 3 * * *" in done.stdout
    assert "! kept: queue was edited here" in done.stdout
    assert "no longer there: poll; --prune removes them" in done.stderr
    pruned = beatd("crontab", "import", "tab", "--user", "--prune")
    assert "remove     poll" in pruned.stdout
    assert names(beatd) == {"backup"}


def test_refused(beatd: Beatd) -> None:
    (beatd.home / "tab").write_text(TAB + "0 22-6 * * * night\n")
    refused = beatd("crontab", "import", "tab", "--user", status=2)
    assert refused.stdout == ""
    assert "tab:4" in refused.stderr
    assert refused.stderr.endswith("nothing was imported: correct these, or leave them out with --partial\n")
    assert names(beatd) == set()
    done = beatd("crontab", "import", "tab", "--user", "--partial")
    assert done.stdout.splitlines()[-1] == "2 added, 0 changed, 0 removed, 0 unchanged, 1 refused"
    assert names(beatd) == {"backup", "poll"}


def test_the_document_of_what_is_refused(beatd: Beatd) -> None:
    (beatd.home / "tab").write_text(TAB + "61 * * * * night\n")
    refused = beatd("crontab", "import", "tab", "--user", "--json", status=2)
    document = json.loads(refused.stdout)
    assert (document["applied"], document["totals"]["refused"], document["totals"]["added"]) == (False, 1, 2)
    assert [row["where"] for row in document["rows"] if row["action"] == "refused"] == ["tab:4:1"]
    assert "nothing was imported" in refused.stderr
    assert names(beatd) == set()


def test_nothing_but_refusals(beatd: Beatd) -> None:
    (beatd.home / "tab").write_text("61 * * * * x\n")
    done = beatd("crontab", "import", "tab", "--user", "--partial")
    assert "✗ tab:1:1: minute" in done.stdout
    assert names(beatd) == set()


def test_an_edited_command_is_no_second_job(beatd: Beatd) -> None:
    """And what is no longer there says that it still runs."""
    (beatd.home / "tab").write_text("0 3 * * * /opt/backup.sh --full\n0 4 * * * other\n")
    beatd("crontab", "import", "tab", "--user")
    (beatd.home / "tab").write_text("0 3 * * * /opt/backup.sh --full --to s3\n0 9 1 * * new\n")
    done = beatd("crontab", "import", "tab", "--user")
    assert "shell: /opt/backup.sh --full → /opt/backup.sh --full --to s3" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 added, 1 changed, 0 removed, 0 unchanged, 1 left"
    assert "it stays and goes on firing beside what was added; --prune removes it" in done.stdout
    assert "until they are removed they run BESIDE what was added" in done.stderr


@pytest.mark.parametrize("columns", ["80", "120"])
def test_columns_are_kept_to_outside_a_terminal(beatd: Beatd, columns: str) -> None:
    beatd.env["COLUMNS"] = columns
    (beatd.home / "tab").write_text(f"0 4 * * * x\n* */3 * * * {'word ' * 50}\n61 4 * * * y\n")
    for arguments in (["check"], ["import", "--dry-run", "--partial"]):
        told = beatd("crontab", *arguments, "tab", "--user", status=None)
        lines = [*told.stdout.splitlines(), *told.stderr.splitlines()]
        assert max(map(len, lines)) <= int(columns)


def test_the_document(beatd: Beatd) -> None:
    done = beatd.json("crontab", "import", "tab", "--user", "--dry-run")
    assert done["totals"] == {"added": 2, "changed": 0, "removed": 0, "unchanged": 0, "left": 0, "refused": 0}
    assert done["applied"] is False
    first = done["rows"][0]
    assert (first["action"], first["name"], first["schedule"]) == ("add", "backup", "30 2 * * *")
    assert first["changes"]["cron"] == {"old": None, "new": "30 2 * * *"}
    assert len(first["next_fires"]) == 3
    json.dumps(done)


def test_mailto(beatd: Beatd) -> None:
    beatd("entry", "add", "job", "--every", "5m", "--shell", "x", "--mailto", "ops@example.org, root")
    assert beatd.json("entry", "show", "job")["options"]["mailto"] == "ops@example.org, root"
    exported = beatd("export", "job").stdout
    assert 'mailto = "ops@example.org, root"' in exported
    assert beatd("apply", "-", input=exported).stdout.startswith("0 added, 0 changed")
    beatd("entry", "set", "job", "--mailto", "root")
    refused = beatd("entry", "set", "job", "--mailto", "", status=2)
    assert refused.stderr == (
        "beatd: mailto: '': whom the output is mailed to, in one line; for example 'ops@example.org'\n"
    )
    changes = [version["changes"] for version in beatd.json("entry", "versions", "job")]
    assert changes == [{"mailto": ["ops@example.org, root", "root"]}, {}]
    beatd("entry", "set", "job", "--unset", "mailto")
    assert "mailto" not in beatd.json("entry", "show", "job")["options"]
