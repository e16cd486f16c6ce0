"""Which files make up a timer, and which timers run at all."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from beatd.migrate.systemd_timers.reader import read
from tests.migrate.systemd_timers.units import TIMER, only, reading, write

JOB = "[Service]\nExecStart=/bin/echo %i\n"


def installed(root: Path) -> tuple[Path, Path]:
    """The folders of a machine: of its administrator, of its packages."""
    return root / "etc/systemd/system", root / "usr/lib/systemd/system"


def enable(folder: Path, name: str, target: Path | None = None) -> None:
    wants = folder / "timers.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / name).symlink_to(target or folder / name)


def test_a_drop_in_changes_what_the_file_says(tmp_path: Path) -> None:
    write(tmp_path, job_timer=TIMER, job_service=JOB)
    folder = write(tmp_path / "job.timer.d")
    (folder / "20-later.conf").write_text("[Timer]\nOnCalendar=06:00\n")
    (folder / "10-reset.conf").write_text("[Timer]\nOnCalendar=\nPersistent=yes\n")
    (folder / "notes.txt").write_text("[Timer]\nOnCalendar=hourly\n")
    options = only(tmp_path).options
    assert (options["cron"], options["misfire"]) == ("0 6 * * *", "latest")


def test_the_administrators_files_take_the_place_of_the_packages(tmp_path: Path) -> None:
    etc, lib = installed(tmp_path)
    write(lib, job_timer=TIMER, job_service="[Service]\nExecStart=/bin/lib\n")
    write(etc, job_service="[Service]\nExecStart=/bin/etc\n")
    enable(etc, "job.timer", lib / "job.timer")
    write(etc / "job.service.d")
    (etc / "job.service.d/user.conf").write_text("[Service]\nUser=job\n")
    (found,) = reading(lib).found
    assert (found.options["shell"], found.options["queue"]) == ("/bin/etc", "user.job")
    assert "enabled" not in found.options


def test_a_timer_that_is_not_enabled_makes_an_entry_that_is_not(tmp_path: Path) -> None:
    etc, _ = installed(tmp_path)
    write(etc, job_timer=TIMER, job_service=JOB, on_timer=TIMER, on_service=JOB)
    enable(etc, "on.timer")
    found = {one.names[0]: one for one in reading(etc).found}
    assert found["job"].options["enabled"] is False
    assert "the timer is not enabled, so the entry is not either" in found["job"].warnings
    assert "enabled" not in found["on"].options


def test_a_masked_timer_makes_no_entry(tmp_path: Path) -> None:
    etc, lib = installed(tmp_path)
    write(lib, job_timer=TIMER, job_service=JOB)
    write(etc)
    (etc / "job.timer").symlink_to("/dev/null")
    found = reading(lib)
    assert (found.found, found.refused) == ((), ())
    assert "masked" in found.notes[0]


def test_of_a_template_its_instances_are_read(tmp_path: Path) -> None:
    etc, _ = installed(tmp_path)
    write(etc)
    (etc / "dump@.timer").write_text(TIMER)
    (etc / "dump@.service").write_text(JOB)
    enable(etc, "dump@main.timer", etc / "dump@.timer")
    enable(etc, "dump@logs.timer", etc / "dump@.timer")
    found = reading(etc)
    assert not found.refused
    assert {one.names[0]: one.options["shell"] for one in found.found} == {
        "dump@logs": "/bin/echo logs",
        "dump@main": "/bin/echo main",
    }


def test_a_template_alone_is_refused_and_an_instance_can_be_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "dump@.timer").write_text(TIMER)
    (tmp_path / "dump@.service").write_text("[Service]\nExecStart=/bin/echo %i %I %j\n")
    (problem,) = reading(tmp_path).refused
    assert "is a template, of which only instances run" in str(problem)
    (found,) = read([tmp_path / r"dump@var-log\x2dx.timer"], timezone="UTC").found
    assert found.options["shell"] == r"/bin/echo 'var-log\x2dx' var/log-x dump"


def test_a_timer_of_a_repository_is_read_as_it_is(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "job.timer.j2").write_text(TIMER)
    (tmp_path / "job.service.j2").write_text("[Service]\nExecStart={{ program }}\n")
    (problem,) = reading(tmp_path).refused
    assert "is filled in by another program" in str(problem)
    (tmp_path / "job.service.j2").write_text("[Service]\nExecStart=docker ps\n")
    assert only(tmp_path).options["shell"] == "docker ps"


def test_braces_are_nothing_special_where_no_template_is(tmp_path: Path) -> None:
    write(tmp_path, job_timer=TIMER, job_service="[Service]\nExecStart=docker ps --format '{{.Names}}'\n")
    assert only(tmp_path).options["shell"] == "docker ps --format '{{.Names}}'"


def test_timers_of_a_user_are_of_the_users_own_manager(tmp_path: Path) -> None:
    folder = tmp_path / ".config/systemd/user"
    write(folder, job_timer=TIMER, job_service="[Service]\nExecStart=/bin/true\nPrivateTmp=yes\n")
    enable(folder, "job.timer")
    me = pwd.getpwuid(os.getuid()).pw_name
    found = reading(folder)
    (one,) = found.found
    assert one.options["shell"] == "systemctl --user start --wait job.service"
    assert one.options["queue"] == f"user.{me}"
    assert one.options["env"] == {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"}
    assert "systemctl --user disable --now job.timer" in found.notes[-1]
    write(folder, job_service="[Service]\nExecStart=/bin/true\n")
    (one,) = reading(folder).found
    assert (one.options["shell"], one.options["queue"]) == ("/bin/true", f"user.{me}")
    assert "cwd" not in one.options


def test_a_path_is_a_timer_or_a_folder_of_timers(tmp_path: Path) -> None:
    write(tmp_path, job_service=JOB, job_timer=TIMER)
    (problem,) = read([tmp_path / "job.service"], timezone="UTC").refused
    assert "is no timer" in str(problem)
    (problem,) = read([tmp_path / "other.timer"], timezone="UTC").refused
    assert "is not in" in str(problem)
    assert read([write(tmp_path / "empty")], timezone="UTC").notes == (
        f"{tmp_path / 'empty'}: no timer in it",
    )
    both = read([tmp_path, tmp_path / "job.timer"], timezone="UTC")
    assert len(both.found) == 1


def test_bytes_that_are_not_utf8_are_ignored_as_systemd_does(tmp_path: Path) -> None:
    write(tmp_path, job_service=JOB)
    (tmp_path / "job.timer").write_bytes(b"\xef\xbb\xbf[Timer]\r\nOnCalendar=daily\r\nOnCalendar=\xff\r\n")
    found = only(tmp_path)
    assert found.options["cron"] == "0 0 * * *"
    assert "is not UTF-8: systemd ignores it" in found.warnings[0]
