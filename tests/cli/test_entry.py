"""`beatd entry` as a person types it: results on stdout, the rest on stderr, exit status 0, 1 or 2."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import PROGRAM, Beatd


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    return beatd


def test_an_entrys_life(beatd: Beatd) -> None:
    assert "entry add hello" in beatd("entry", "list").stdout  # what to do next
    assert beatd.json("entry", "list") == []

    added = beatd("entry", "add", "hello", "--every", "5m", "--shell", "echo [hi]", "--env", "A=b=c")
    assert added.stdout.startswith("added hello (active, next ")
    taken = beatd("entry", "add", "hello", "--every", "5m", "--shell", "x", status=1)
    assert taken.stderr.startswith("beatd: there is an entry 'hello' already")

    shown = beatd.json("entry", "show", "hello")
    assert (shown["name"], shown["state"], shown["version"], shown["error"]) == ("hello", "active", 1, None)
    assert shown["options"] == {"every": "5m", "shell": "echo [hi]", "env": {"A": "b=c"}}
    assert datetime.fromisoformat(shown["next_fire_time"]) > datetime.now(UTC)
    assert shown["next_fire_time"].endswith("Z")
    assert beatd.json("entry", "list") == [shown]
    listing = beatd("entry", "list").stdout
    assert "hello" in listing
    assert "echo [hi]" in listing  # and not taken for markup
    assert "echo [hi]" in beatd("entry", "show", "hello").stdout
    assert "fires    every 5 minutes\n" in beatd("entry", "show", "hello").stdout

    changed = beatd(
        "entry", "set", "hello", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin", "--unset", "env"
    )
    assert changed.stdout.splitlines()[-1].startswith("changed hello (active, next ")
    assert beatd("entry", "set", "hello", "--cron", "0 3 * * *").stdout == "nothing changed\n"
    assert beatd.json("entry", "show", "hello")["options"] == {
        "cron": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "shell": "echo [hi]",
    }

    assert beatd("entry", "pause", "hello").stdout == "paused hello\n"
    assert beatd("entry", "pause", "hello").stdout == "hello was paused already\n"
    paused_at = datetime.fromisoformat(beatd.json("entry", "versions", "hello")[0]["changed_at"])
    beatd("entry", "set", "hello", "--description", "still paused")
    assert f"paused since {paused_at:%Y-%m-%d %H:%M:%S} UTC" in beatd("entry", "history", "hello").stdout
    assert [entry["name"] for entry in beatd.json("entry", "list", "--state", "paused")] == ["hello"]
    assert beatd.json("entry", "list", "x*") == []
    beatd("entry", "resume", "hello")
    assert beatd("entry", "resume", "hello").stdout == "hello was not paused\n"
    assert "paused since" not in beatd("entry", "history", "hello").stdout

    beatd("entry", "set", "hello", "--rename", "goodbye")
    assert beatd("entry", "remove", "goodbye").stdout == "removed goodbye\n"
    beatd("entry", "show", "goodbye", status=2)
    assert beatd("entry", "restore", "goodbye", "1").stdout.startswith("restored goodbye (active")
    assert beatd.json("entry", "show", "goodbye")["options"]["every"] == "5m"


def test_versions_say_who_when_what(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--every", "5m", "--shell", "x")
    beatd("entry", "set", "hello", "--every", "1h", "--disabled")
    newest, first = beatd.json("entry", "versions", "hello")
    assert newest["changes"] == {"enabled": [True, False], "every": ["5m", "1h"]}
    assert (newest["version"], newest["door"], first["version"], first["changes"]) == (2, "cli", 1, {})
    assert "every: 5m → 1h" in beatd("entry", "versions", "hello").stdout


def test_coming_fire_times_in_the_zone_and_utc(beatd: Beatd) -> None:
    beatd("entry", "add", "night", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--shell", "x")
    after = "2026-03-28T02:30:00"  # in Berlin: it fires then, so it is not among those after it
    coming = beatd.json("entry", "next", "night", "-n", "2", "--after", after)
    assert coming["fire_times"] == ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    lines = beatd("entry", "next", "night", "-n", "1", "--after", after).stdout.splitlines()
    assert lines[0] == "night: at 02:30 every day, Europe/Berlin"
    assert lines[-1].split("   ")[:2] == ["Sun 2026-03-29 03:00 CEST", "2026-03-29 01:00 UTC"]
    beatd("entry", "pause", "night")
    assert "it is paused" in beatd("entry", "next", "night").stdout


def test_everything_wrong_is_said_at_once(beatd: Beatd) -> None:
    wrong = ["--cron", "61 * * * *", "--timezone", "Europe/Brelin", "--shell", "", "--priority", "999"]
    done = beatd("entry", "add", "bad", *wrong, status=2)
    assert done.stdout == ""
    starts = [line.split("'")[0] for line in done.stderr.splitlines()]
    assert starts == [
        "beatd: timezone: ",
        "beatd: cron: ",
        "beatd: priority: 999: a whole number from 0 to 255; for example ",
        "beatd: shell: ",
    ]
    assert beatd.json("entry", "list") == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--misfire", "all"], True),
        (["--misfire", "all", "--expires", "1h"], True),
        (["--misfire", "all", "--expires", "7d"], False),
        (["--misfire", "all", "--expires", "never"], False),
        (["--misfire", "latest"], False),
    ],
)
def test_missed_fires_that_could_not_be_made_up_deserve_a_word(
    beatd: Beatd, options: list[str], told: bool
) -> None:
    added = beatd("entry", "add", "bill", "--cron", "0 6 * * *", "--shell", "x", *options)
    assert ("bill: misfire = 'all' makes up the newest" in added.stderr) == told
    exported = beatd("export").stdout
    beatd("entry", "remove", "bill")
    applied = beatd("apply", "--yes", "-", input=exported)
    assert ("stdin:1: bill: misfire = 'all' makes up the newest" in applied.stderr) == told
    assert ("makes up the newest" in beatd("entry", "set", "bill", "--queue", "q").stderr) == told


BAD_INPUT = [
    (["add", "x"], "beatd: task: None: give one of shell"),
    (
        ["add", "x", "--every", "5m", "--shell", "x", "--env", "A"],
        "beatd: env: 'A': NAME=VALUE is wanted",
    ),
    (["add", "x", "--every", "5m", "--task", "t", "--args", "[1"], "beatd: args: '[1': not a JSON array"),
    (
        ["add", "x", "--every", "5m", "--shell", "x", "--priority", "high"],
        "beatd: priority: 'high': a whole number from 0 to 255",
    ),
    (
        ["set", "hello", "--misfire-limit", "9999"],
        "beatd: misfire_limit: 9999: a whole number from 1 to 1000",
    ),
    (["set", "x"], "say what to change"),
    (["set", "hello", "--unset", "quue"], "did you mean 'queue'?"),
    (["show", "hell"], "no entry 'hell'; did you mean 'hello'?"),
    (["next", "hello", "--after", "soon"], "beatd: after: 'soon'"),
    (["next", "hello", "-n", "0"], "beatd: count: 0"),
    (["list", "--state", "gone"], "beatd: state: 'gone': one of active, paused"),
    (
        ["restore", "hello", "7"],
        "beatd: entry 'hello' has no version 7 to go back to: it has version 1 alone",
    ),
    (["trigger", "hello", "--wait-limit", "5"], "beatd: wait-limit: '5': has no unit"),
]


def test_bad_input_ends_with_status_2(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--every", "5m", "--shell", "x")
    for arguments, said in BAD_INPUT:
        done = beatd("entry", *arguments, status=2)
        assert said in done.stderr
        assert done.stdout == ""


def test_a_triggered_run_is_recorded_and_told(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--every", "5m", "--shell", "x")
    run = beatd.json("entry", "trigger", "hello")
    assert (run["entry"], run["state"], run["origin"][:8]) == ("hello", "pending", "trigger:")
    told = beatd("entry", "trigger", "hello").stdout
    assert told.startswith("run ")
    assert "runs show" in told
    history = beatd.json("entry", "history", "hello")
    assert [item["kind"] for item in history] == ["run", "run"]
    assert history[1]["id"] == run["id"]
    # nobody runs it here
    waited = beatd("entry", "trigger", "hello", "--wait", "--wait-limit", "1s", status=1)
    assert "is still pending" in waited.stderr


def test_editing(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--every", "5m", "--shell", "x")
    beatd.env["EDITOR"] = "true"
    assert beatd("entry", "edit", "hello").stdout == "nothing changed\n"
    beatd.env["EDITOR"] = "sed -i -e s/5m/7m/ -e s/hello/hi/"
    assert beatd("entry", "edit", "hello").stdout.splitlines()[-1].startswith("changed hi (active")
    assert beatd.json("entry", "show", "hi")["options"]["every"] == "7m"
    beatd.env["EDITOR"] = "sed -i s/7m/7/"
    assert "every: '7': has no unit" in beatd("entry", "edit", "hi", status=2).stderr
    for editor in ("false", "/not/there"):
        beatd.env["EDITOR"] = editor
        told = beatd("entry", "edit", "hi", status=1).stderr
        assert told.startswith("beatd: the editor failed, nothing was changed: ")
        assert "bug" not in told
    # somebody else was quicker
    beatd.env["EDITOR"] = "sh racer.sh"
    program = beatd.home / "racer.sh"
    program.write_text(f'{PROGRAM} entry set hi --queue q >/dev/null && sed -i s/7m/8m/ "$1"\n')
    assert "was changed meanwhile" in beatd("entry", "edit", "hi", status=1).stderr
    assert beatd.json("entry", "show", "hi")["options"] == {"every": "7m", "shell": "x", "queue": "q"}


def test_adding_says_in_plain_english_when_it_fires(beatd: Beatd) -> None:
    added = beatd(
        "entry", "add", "night", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin", "--shell", "x"
    ).stdout.splitlines()
    assert added[1] == "    at 03:00 every day, Europe/Berlin"
    times = [datetime.strptime(line.strip()[4:14], "%Y-%m-%d") for line in added[2:]]
    assert [one - times[0] for one in times] == [timedelta(days=number) for number in range(3)]
    # nobody knows when
    assert beatd("entry", "add", "boot", "--cron", "@reboot", "--shell", "x").stdout.splitlines() == [
        "added boot (active)",
        "    once after each boot of each machine",
    ]


def test_how_fires_change_is_shown_before(beatd: Beatd) -> None:
    beatd("entry", "add", "night", "--cron", "0 3 * * *", "--shell", "x")
    looked = beatd("entry", "set", "night", "--cron", "30 4 * * *", "--queue", "q", "--dry-run").stdout
    lines = looked.splitlines()
    assert lines[:4] == [
        "    cron: 0 3 * * * → 30 4 * * *",
        "    queue: – → q",
        "    - at 03:00 every day, UTC",
        "    + at 04:30 every day, UTC",
    ]
    assert [line.split()[2:5] for line in lines[4:]] == [["03:00", "UTC", "gone"]] * 3
    assert all(line.endswith("04:30 UTC new") for line in lines[4:])
    assert beatd.json("entry", "show", "night")["version"] == 1
    changed = beatd("entry", "set", "night", "--cron", "30 4 * * *", "--queue", "q").stdout.splitlines()
    assert changed[:-1] == lines[2:]
    assert changed[-1].startswith("changed night (active, next ")
    # nothing about fires where they stay
    assert len(beatd("entry", "set", "night", "--queue", "r").stdout.splitlines()) == 1
    assert beatd("entry", "set", "night", "--queue", "r", "--dry-run").stdout == "nothing would change\n"


def test_every_schedule_and_policy_has_its_flags(beatd: Beatd) -> None:
    """As `entry add` takes them, `export` gives them back."""
    beatd("calendar", "add", "closed", "--country", "DE")
    given = {
        "quarterly": "--calendar-every 3mo --time 09:00 --day last --calendar closed --calendar-action next",
        "delayed": "--every 5m --fixed-delay --max-runs 7 --on-failure pause --failure-limit 5",
        "boot": "--cron @reboot --host db1 --on-lost rerun --overlap queue",
        "spread": "--every 1h --jitter 10m --paused-until 2999-01-01 --pause-note later",
    }
    for name, flags in given.items():
        beatd("entry", "add", name, *flags.split(), "--shell", "x")
    exported = beatd.json("export")["entry"]
    assert exported["quarterly"] == {
        "calendar_every": "3mo",
        "time": "09:00",
        "day": "last",
        "calendar": "closed",
        "calendar_action": "next",
        "shell": "x",
    }
    assert exported["delayed"] == {
        "every": "5m",
        "fixed_delay": True,
        "max_runs": 7,
        "shell": "x",
        "on_failure": "pause",
        "failure_limit": 5,
    }
    boot = {"cron": "@reboot", "host": "db1", "shell": "x", "overlap": "queue", "on_lost": "rerun"}
    assert exported["boot"] == boot
    assert exported["spread"]["jitter"] == "10m"
    # with = , for it may begin with a minus
    beatd(
        "entry", "add", "sun", "--solar", "noon", "--latitude=-33.87", "--longitude", "151.2", "--shell", "x"
    )
    assert beatd.json("export", "sun")["entry"]["sun"]["latitude"] == "-33.87"
    refused = beatd("entry", "set", "sun", "--max-runs", "0", "--latitude", "91", status=2).stderr
    assert "beatd: max_runs: 0: a whole number from 1" in refused
    assert "beatd: latitude: '91'" in refused


def test_a_project_in_the_working_directory_may_make_triggers(beatd: Beatd) -> None:
    (beatd.home / "rules_of_the_shop.py").write_text(
        "from apscheduler.triggers.cron import CronTrigger\n\n"
        "def office(hour, timezone=None):\n    return CronTrigger(hour=hour, timezone=timezone)\n"
    )
    (beatd.home / "beatd.toml").write_text('[schedules]\ncustom = { office = "rules_of_the_shop:office" }\n')
    flags = ("--custom", "office", "--custom-args", '{"hour": 9}', "--shell", "x")
    added = beatd("--config", "beatd.toml", "entry", "add", "open", *flags).stdout
    assert "as custom schedule 'office' says with {\"hour\": 9}, UTC" in added
    assert added.count(" 09:00 UTC") == 4
