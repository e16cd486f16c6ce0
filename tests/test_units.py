"""The systemd units: systemd itself finds nothing wrong with them, and the scheduler's is closed."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest

from tests.services.binaries import program

UNITS = Path(__file__).parent.parent / "systemd"
INSTALLED = "/opt/beatd/bin/beatd"


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program("systemd-analyze"), *arguments], capture_output=True, text=True)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as installed, but for a program that exists on every machine (systemd looks for it)."""
    for unit in UNITS.glob("*.service"):
        text = unit.read_text()
        assert f"ExecStart={INSTALLED} " in text
        (tmp_path / unit.name).write_text(text.replace(INSTALLED, "/bin/true"))
    return tmp_path


def verify(unit: Path) -> str:
    """Everything systemd says of a unit; it exits 0 even where it met a key that it does not know."""
    done = analyze("verify", "--recursive-errors=yes", "--man=no", str(unit))
    return done.stderr + (f"exit status {done.returncode}" if done.returncode else "")


@pytest.mark.parametrize("name", ["beatd.service", "beatd-worker@root.service"])
def test_systemd_finds_nothing_wrong(units: Path, name: str) -> None:
    template = units / "beatd-worker@.service"
    (units / "beatd-worker@root.service").write_text(template.read_text())
    assert verify(units / name) == ""


def test_systemd_would_have_found_a_misspelt_key(units: Path) -> None:
    unit = units / "beatd.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert "WatchdogSecs" in verify(unit)


def test_the_scheduler_is_closed() -> None:
    done = analyze("security", "--offline=yes", "--threshold=15", str(UNITS / "beatd.service"))
    assert done.returncode == 0, done.stdout


def test_the_scheduler_can_read_the_boot_id() -> None:
    """Boot entries need /proc/sys/kernel/random/boot_id, which ProcSubset=pid would hide."""
    assert "ProcSubset" not in read("beatd.service")["Service"]


@pytest.mark.parametrize(
    ("unit", "key", "value"),
    [
        ("beatd.service", "Type", "notify"),
        ("beatd.service", "WatchdogSec", "30"),
        ("beatd.service", "ExecStart", "/opt/beatd/bin/beatd scheduler"),
        ("beatd.service", "ExecReload", "/bin/kill -HUP $MAINPID"),
        ("beatd.service", "StateDirectory", "beatd"),
        ("beatd-worker@.service", "User", "%i"),
        ("beatd-worker@.service", "KillMode", "mixed"),
        ("beatd-worker@.service", "ExecStart", "/opt/beatd/bin/beatd worker --queue user.%i"),
    ],
)
def test_what_operators_rely_on(unit: str, key: str, value: str) -> None:
    assert read(unit)["Service"][key] == value


def test_sysusers_makes_the_schedulers_user(tmp_path: Path) -> None:
    file = str(UNITS / "sysusers.d" / "beatd.conf")
    command = [program("systemd-sysusers"), "--dry-run", f"--root={tmp_path}", "--inline"]
    lines = [line for line in Path(file).read_text().splitlines() if not line.startswith("#")]
    done = subprocess.run([*command, *lines], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "beatd scheduler" in done.stderr + done.stdout


def read(unit: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / unit)
    return parser
