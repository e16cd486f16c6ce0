"""`beatd systemd check` and `import`, from unit files to entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd

TIMER = """[Unit]
Description=Nightly backup

[Timer]
OnCalendar=*-*-* 02:30
RandomizedDelaySec=15min
Persistent=true

[Install]
WantedBy=timers.target
"""
SERVICE = """[Service]
Type=oneshot
User=backup
Environment=LEVEL=9
ExecStart=/usr/local/bin/backup --level ${LEVEL} 'all of it'
TimeoutStartSec=1h
"""


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd.env["TZ"] = "Europe/Berlin"
    beatd("db", "upgrade")
    return beatd


@pytest.fixture
def units(tmp_path: Path) -> Path:
    folder = tmp_path / "units"
    folder.mkdir()
    (folder / "backup.timer").write_text(TIMER)
    (folder / "backup.service").write_text(SERVICE)
    return folder


def test_a_check_shows_what_a_timer_would_become(beatd: Beatd, units: Path) -> None:
    told = beatd("systemd", "check", str(units))
    assert "backup  30 2 * * *" in told.stdout
    assert "1 entry, 0 refused" in told.stdout
    assert "systemctl disable --now backup.timer" in told.stderr
    assert beatd.json("entry", "list") == []


def test_an_import_makes_the_entry(beatd: Beatd, units: Path) -> None:
    assert "1 added, 0 changed" in beatd("systemd", "import", str(units)).stdout
    assert beatd.json("export")["entry"]["backup"] == {
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "dst_gap": "skip",
        "jitter": "15m",
        "shell": "/usr/local/bin/backup --level \"${LEVEL}\" 'all of it'",
        "cwd": "/",
        "env": {"LEVEL": "9"},
        "timeout": "1h",
        "queue": "user.backup",
        "overlap": "queue",
        "misfire": "latest",
        "description": "Nightly backup",
    }


def test_again_it_changes_what_changed_there_and_prune_removes_what_is_gone(
    beatd: Beatd, units: Path
) -> None:
    beatd("systemd", "import", str(units))
    assert "0 changed, 0 removed, 1 unchanged" in beatd("systemd", "import", str(units)).stdout
    (units / "backup.timer").write_text(TIMER.replace("02:30", "03:30"))
    (units / "other.timer").write_text("[Timer]\nOnUnitActiveSec=1h\n")
    told = beatd("systemd", "import", str(units)).stdout
    assert "cron: 30 2 * * * → 30 3 * * *" in told
    assert "1 added, 1 changed" in told
    (units / "backup.timer").unlink()
    assert "no longer there: backup" in beatd("systemd", "import", str(units)).stderr
    assert "1 removed, 1 unchanged" in beatd("systemd", "import", str(units), "--prune").stdout
    assert list(beatd.json("export")["entry"]) == ["other"]


def test_with_one_that_cannot_be_said_nothing_is_imported(beatd: Beatd, units: Path) -> None:
    (units / "thirteenth.timer").write_text("[Timer]\nOnCalendar=Fri *-*-13\n")
    assert "1 entry, 1 refused" in beatd("systemd", "check", str(units), status=1).stdout
    told = beatd("systemd", "import", str(units), status=2).stderr
    assert f"{units}/thirteenth.timer:2: OnCalendar: 'Fri *-*-13': wants a day to be Fri" in told
    assert beatd.json("export")["entry"] == {}
    beatd("systemd", "import", str(units), "--partial")
    assert list(beatd.json("export")["entry"]) == ["backup"]


def test_options(beatd: Beatd, units: Path) -> None:
    arguments = ("--run", "unit", "--timezone", "UTC", "--queue", "host1", "--prefix", "sd-")
    beatd("systemd", "import", str(units / "backup.timer"), *arguments)
    options = beatd.json("export")["entry"]["sd-backup"]
    assert options["shell"] == "systemctl start --wait backup.service"
    assert (options["timezone"], options["queue"]) == ("UTC", "host1")
    assert (
        "must be one of auto, command, unit"
        in beatd("systemd", "check", str(units), "--run", "shell", status=2).stderr
    )


def test_a_dry_run_does_nothing(beatd: Beatd, units: Path) -> None:
    document = beatd.json("systemd", "import", str(units), "--dry-run")
    assert document["totals"]["added"] == 1
    assert document["applied"] is False
    assert beatd.json("export")["entry"] == {}
