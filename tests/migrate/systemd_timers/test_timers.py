"""What the lines of [Timer] are together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.migrate.systemd_timers.units import only, refused, timed, write

CALENDAR = {"cron": "0 0 * * *", "misfire": "skip", "overlap": "queue", "shell": "/bin/true"}
HOURLY = {"every": "1h", "misfire": "latest", "overlap": "queue", "shell": "/bin/true"}
BOOT = {"cron": "@reboot", "shell": "/bin/true"}

TIMERS = [
    ("OnCalendar=daily", [CALENDAR]),
    ("OnCalendar=daily\nPersistent=true", [CALENDAR | {"misfire": "latest"}]),
    ("OnCalendar=daily\nRandomizedDelaySec=1h", [CALENDAR | {"jitter": "1h"}]),
    ("OnCalendar=daily\nRandomizedDelaySec=1d", [CALENDAR | {"jitter": "1d"}]),
    ("OnCalendar=daily\nRandomizedDelaySec=0", [CALENDAR]),
    (
        "OnCalendar=Mon..Fri 08:00\nOnCalendar=Sat 10:00",
        [CALENDAR | {"cron": "0 8 * * 1-5"}, CALENDAR | {"cron": "0 10 * * 6"}],
    ),
    ("OnUnitActiveSec=1h", [HOURLY]),
    ("OnBootSec=15min\nOnUnitActiveSec=1h", [HOURLY]),
    ("OnActiveSec=0\nOnUnitActiveSec=1h\nOnUnitActiveSec=2h", [HOURLY]),
    ("OnUnitActiveSec=1h\nRandomizedDelaySec=5min", [HOURLY | {"jitter": "5m"}]),
    (
        "OnUnitInactiveSec=15min",
        [{"every": "15m", "misfire": "latest", "fixed_delay": True, "shell": "/bin/true"}],
    ),
    ("OnUnitActiveSec=1M", [HOURLY | {"every": "30d10h30m"}]),
    ("OnBootSec=0", [BOOT]),
    ("OnBootSec=5min", [BOOT | {"shell": "sleep 300; /bin/true"}]),
    ("OnStartupSec=30", [BOOT | {"shell": "sleep 30; /bin/true"}]),
    ("OnBootSec=5min\nOnCalendar=daily", [CALENDAR, BOOT | {"shell": "sleep 300; /bin/true"}]),
    # an empty line takes away those of every kind
    ("OnBootSec=5min\nOnCalendar=hourly\nOnCalendar=\nOnCalendar=daily", [CALENDAR]),
    ("OnCalendar=daily\nOnUnitActiveSec=infinity", [CALENDAR]),
    ("OnCalendar=%p\nOnCalendar=\nOnCalendar=dai\\\n# not this\nly", None),
    ("OnCalendar=daily\n; comment\n# comment\nAccuracySec=1us", [CALENDAR]),
]


@pytest.mark.parametrize(("lines", "expected"), TIMERS, ids=[lines for lines, _ in TIMERS])
def test_lines_and_the_schedules_that_they_are(
    tmp_path: Path, lines: str, expected: list[dict[str, object]] | None
) -> None:
    if expected is None:  # a continued line has a blank where it was broken
        assert "'dai  ly'" in refused(tmp_path, lines) or "'dai ly'" in refused(tmp_path, lines)
    else:
        found = timed(tmp_path, lines)
        assert sorted(found, key=str) == sorted(expected, key=str)


REFUSED = [
    ("OnCalendar=daily\nOnUnitActiveSec=1h", "job.timer:3: OnUnitActiveSec: '1h': beside OnCalendar=daily"),
    ("OnUnitActiveSec=1h\nOnUnitInactiveSec=1h", "job.timer:2: OnUnitActiveSec: '1h': both"),
    ("OnCalendar=Fri *-*-13", "job.timer:2: OnCalendar: 'Fri *-*-13': wants a day to be Fri"),
    (
        "OnCalendar=hourly\nRandomizedDelaySec=2h",
        "job.timer:3: RandomizedDelaySec: '2h': is longer than the 1h",
    ),
    (
        "OnCalendar=weekly\nRandomizedDelaySec=2d",
        "job.timer:3: RandomizedDelaySec: '2d': is longer than a day",
    ),
    ("OnUnitActiveSec=500ms", "job.timer:2: OnUnitActiveSec: '500ms': beatd counts whole seconds"),
    ("OnBootSec=2d", "job.timer:2: OnBootSec: '2d': whole seconds up to 12h"),
    ("OnBootSec=soon", "job.timer:2: OnBootSec: 'soon': is no time span"),
    ("OnClockChange=yes", "job.timer:2: OnClockChange: 'yes': starts the service when the clock is set"),
    ("OnCalendar=daily\nPersistent=maybe", "job.timer:3: Persistent: 'maybe': is neither yes nor no"),
    ("OnCalendar={{ when }}", "job.timer:2: OnCalendar: '{{ when }}': '{{ when }}' is filled in by another"),
    ("OnCalendar=%b", "job.timer:2: OnCalendar: '%b': %b is known to systemd alone"),
    ("Persistent=true", "job.timer: Timer: None: never fires"),
    ("[Timer", "job.timer:2: line: '[Timer': is no section: ']' is missing"),
]


@pytest.mark.parametrize(("lines", "text"), REFUSED, ids=[lines for lines, _ in REFUSED])
def test_what_no_schedule_does_is_refused_with_its_place(tmp_path: Path, lines: str, text: str) -> None:
    assert refused(tmp_path, lines).startswith(text)


TOLD = [
    ("OnBootSec=15min\nOnUnitActiveSec=1h", "OnBootSec=15min: systemd's row begins 15m after each boot"),
    ("OnUnitActiveSec=1h", "systemd's row begins once the service was started in another way"),
    ("OnUnitActiveSec=1h\nRandomizedDelaySec=1h", "systemd adds up to 1h to each distance"),
    ("OnBootSec=5min", "OnBootSec=5min: the command waits 5m in its worker"),
    ("OnActiveSec=5min", "OnActiveSec counts from when the timer itself is started"),
    ("OnCalendar=daily\nAccuracySec=12h", "AccuracySec=12h: systemd may fire so much later"),
    ("OnCalendar=daily\nWakeSystem=yes", "WakeSystem: beatd does not wake"),
    ("OnCalendar=daily\nRandomizedDelaySec=1h\nFixedRandomDelay=true", "FixedRandomDelay: systemd's delay"),
    ("OnCalendar=daily\nOnCalender=hourly", "job.timer:3: OnCalender=hourly: systemd's timers have no such"),
    ("OnCalendar=daily\nno assignment", "job.timer:3: line: 'no assignment': has no '=': systemd ignores it"),
    ("OnCalendar=daily\n[Unit]\nConditionACPower=true", "ConditionACPower=true of the timer is not carried"),
]


@pytest.mark.parametrize(("lines", "text"), TOLD, ids=[lines for lines, _ in TOLD])
def test_what_differs_a_little_is_told(tmp_path: Path, lines: str, text: str) -> None:
    timed(tmp_path, lines)
    assert any(text in warning for warning in only(tmp_path).warnings)


@pytest.mark.parametrize("lines", ["OnCalendar=daily", "OnCalendar=daily\nAccuracySec=1us\nWakeSystem=no"])
def test_of_a_plain_timer_nothing_is_told(tmp_path: Path, lines: str) -> None:
    timed(tmp_path, lines)
    assert only(tmp_path).warnings == ()


def test_an_entry_has_the_name_and_the_description_of_its_timer(tmp_path: Path) -> None:
    write(tmp_path, db_backup_timer="[Unit]\nDescription=Nightly backup\n[Timer]\nOnCalendar=daily\n")
    found = only(tmp_path)
    assert found.names == ("db_backup", "Nightly backup")
    assert found.options["description"] == "Nightly backup"
    assert found.origin.place == "db_backup.timer"
    assert found.origin.text == "OnCalendar=daily"
