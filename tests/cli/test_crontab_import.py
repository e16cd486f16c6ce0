"""`beatd crontab import` and `export` as a person types them: once, again, and back."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd

TAB = """\
MAILTO=me
# Nightly dump
0 3 * * * dump
*/5 * * * * beat%in
"""


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd.env["TZ"] = "Asia/Tokyo"
    beatd("db", "upgrade")
    (tmp_path / "tab").write_text(TAB)
    return beatd


def names(beatd: Beatd) -> list[str]:
    return [entry["name"] for entry in beatd.json("entry", "list")]


def test_a_crontab_is_taken_over_once(beatd: Beatd) -> None:
    assert "2 added" in beatd("crontab", "import", "tab").stdout
    assert names(beatd) == ["beat", "nightly-dump"]
    shown = beatd.json("entry", "show", "nightly-dump")
    assert shown["options"] == {
        "description": "Nightly dump",
        "cron": "0 3 * * *",
        "timezone": "Asia/Tokyo",
        "misfire": "skip",
        "shell": "dump",
        "environment": "cron",
        "env": {"MAILTO": "me"},
        "mailto": "me",
    }
    origin = shown["origin"]
    assert (origin["kind"], origin["source"], origin["text"]) == (
        "crontab",
        str(beatd.home / "tab"),
        "0 3 * * * dump",
    )
    again = beatd("crontab", "import", "tab").stdout
    assert "0 added, 0 changed, 0 removed, 2 unchanged" in again


def test_what_is_left_to_do_is_told(beatd: Beatd) -> None:
    (beatd.home / "tab").write_text("@daily root x\n")
    told = beatd("crontab", "import", "tab").stderr
    assert "systemctl enable --now beatd-worker@root.service" in told
    assert "cron still runs these lines" in told
    assert "cron still" not in beatd("crontab", "import", "tab").stderr


def test_looking_writes_nothing(beatd: Beatd) -> None:
    document = beatd.json("crontab", "import", "tab", "--dry-run")
    assert (document["applied"], document["totals"]["added"]) == (False, 2)
    assert names(beatd) == []


def test_importing_again_changes_what_changed_and_prunes_on_request(beatd: Beatd) -> None:
    beatd("crontab", "import", "tab")
    (beatd.home / "tab").write_text("# Nightly dump\n0 4 * * * dump\n@daily new\n")
    document = beatd.json("crontab", "import", "tab")
    assert document["totals"] == {
        "added": 1,
        "changed": 1,
        "removed": 0,
        "unchanged": 0,
        "left": 1,
        "refused": 0,
    }
    assert names(beatd) == ["beat", "new", "nightly-dump"]
    assert beatd.json("crontab", "import", "tab", "--prune")["totals"]["removed"] == 1
    assert names(beatd) == ["new", "nightly-dump"]


def test_a_file_that_is_gone_from_its_folder_is_pruned(beatd: Beatd) -> None:
    folder = beatd.home / "cron.d"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_text(f"@daily root {name}\n")
    beatd("crontab", "import", "cron.d", "tab")
    (folder / "two").unlink()
    assert beatd.json("crontab", "import", "cron.d", "--prune")["totals"] == {
        "added": 0,
        "changed": 0,
        "removed": 1,
        "unchanged": 1,
        "left": 0,
        "refused": 0,
    }
    assert names(beatd) == ["beat", "nightly-dump", "one"]


def test_a_file_that_is_gone_is_pruned_when_that_is_asked_for(beatd: Beatd) -> None:
    beatd("crontab", "import", "tab")
    (beatd.home / "tab").unlink()
    refused = beatd("crontab", "import", "tab", status=2).stderr
    assert "cannot be read: No such file or directory; 2 of the entries came from it: --prune" in refused
    assert "cannot be read" in beatd("crontab", "import", "other", "--prune", status=2).stderr
    done = beatd("crontab", "import", "tab", "--prune")
    assert f"{beatd.home}/tab: there is no such file any more" in done.stderr
    assert "nothing is left in it: all 2 entries that came from it are removed" in done.stderr
    assert names(beatd) == []


def test_one_bad_line_keeps_all_out(beatd: Beatd) -> None:
    (beatd.home / "tab").write_text("@daily good\n* * * *\n61 * * * * y\n")
    bad = beatd("crontab", "import", "tab", status=2)
    *lines, last = bad.stderr.splitlines()
    assert [line.split(": ")[1].rpartition(":")[0] for line in lines] == ["tab:2", "tab:3"]
    assert "--partial" in last
    assert names(beatd) == []
    document = beatd.json("crontab", "import", "tab", "--partial")
    assert (document["totals"]["added"], document["totals"]["refused"]) == (1, 2)
    assert names(beatd) == ["good"]


def test_names_queue_and_zone_on_request(beatd: Beatd) -> None:
    beatd("crontab", "import", "tab", "--prefix", "alice-", "--queue", "user.alice", "--timezone", "UTC")
    assert names(beatd) == ["alice-beat", "alice-nightly-dump"]
    options = beatd.json("entry", "show", "alice-beat")["options"]
    assert (options["queue"], options["timezone"]) == ("user.alice", "UTC")


def test_a_script_for_each_entry_on_request(beatd: Beatd) -> None:
    folder = beatd.home / "cron.daily"
    folder.mkdir()
    (folder / "rotate").touch(0o755)
    (folder / "plain").touch(0o644)
    (beatd.home / "tab").write_text(f"@daily run-parts {folder}\n")
    done = beatd("crontab", "import", "tab", "--run-parts", "scripts")
    assert names(beatd) == ["cron-daily-rotate"]
    assert f"{folder}/plain is never run: it is not executable" in done.stderr


def test_there_and_back(beatd: Beatd) -> None:
    beatd("crontab", "import", "tab")
    before = beatd.json("export")
    out = beatd("crontab", "export", "--cron", "debian").stdout
    assert out == f"# the entries of beatd as a user crontab for Debian's cron\n\n{TAB}"
    for name in names(beatd):
        beatd("entry", "remove", name)
    beatd("crontab", "import", "-", "--cron", "debian", input=out)
    assert beatd.json("export") == before


def test_an_export_is_not_imported_beside_what_it_came_from(beatd: Beatd) -> None:
    beatd("crontab", "import", "tab")
    (beatd.home / "back").write_text(beatd("crontab", "export").stdout)
    refused = beatd("crontab", "import", "back", status=2).stderr
    assert f"'nightly-dump (from {beatd.home}/tab)': does this at the same times already" in refused
    assert names(beatd) == ["beat", "nightly-dump"]


def test_another_files_name_is_told_apart(beatd: Beatd) -> None:
    for user in ("alice", "bob"):
        (beatd.home / user).write_text("0 3 * * * /opt/backup.sh\n")
        told = beatd("crontab", "import", user).stdout
    assert "does the same at the same times: both will run" in " ".join(told.split())
    assert len(names(beatd)) == 2


@pytest.mark.parametrize("pattern", ["nosuch", "nosuch*"])
def test_an_export_of_nothing_is_an_error(beatd: Beatd, pattern: str) -> None:
    """`crontab -` would take it for the whole crontab."""
    for patterns in ([pattern], []):
        done = beatd("crontab", "export", *patterns, status=2)
        assert (done.stdout, done.stderr) == ("", f"beatd: no entry {(patterns or ['*'])[0]!r}\n")
    beatd("crontab", "import", "tab")
    assert beatd("crontab", "export", "beat", pattern, status=2).stdout == ""


def test_at_the_boots_of_one_machine(beatd: Beatd) -> None:
    beatd("crontab", "import", "-", input="@reboot here\n")
    assert beatd.json("entry", "show", "here")["options"]["host"] == socket.gethostname()
    out = beatd("crontab", "export").stdout
    assert "machine" not in out
    beatd("crontab", "import", "-", "--host", "db1", input="@reboot here\n")
    assert beatd.json("entry", "show", "here")["options"]["host"] == "db1"
    beatd("crontab", "import", "-", "--host", "any", input="@reboot here\n")
    assert "host" not in beatd.json("entry", "show", "here")["options"]


def test_a_time_that_cronie_drops_is_accepted_on_request(beatd: Beatd) -> None:
    (beatd.home / "tab").write_text("CRON_TZ=Asia/Kolkata\n0 7 * * * x\n")
    asked = ["tab", "--cron", "cronie", "--timezone", "Europe/Berlin"]
    assert "the hour that the machine's clock" in beatd("crontab", "import", *asked, status=2).stderr
    beatd("crontab", "check", *asked, status=1)
    beatd("crontab", "check", *asked, "--accept-cron-tz")
    beatd("crontab", "import", *asked, "--accept-cron-tz")
    assert names(beatd) == ["x"]


def test_what_cron_cannot_say(beatd: Beatd) -> None:
    beatd("entry", "add", "call", "--every", "7m", "--http", "https://a.example/")
    beatd(
        "entry",
        "add",
        "root",
        "--cron",
        "@daily",
        "--timezone",
        "Asia/Tokyo",
        "--shell",
        "x",
        "--queue",
        "user.root",
    )
    done = beatd("crontab", "export", "--system", "--cron", "debian")
    assert "\n@daily root x\n" in done.stdout
    assert (
        "# call is not in here: cron runs commands alone, and it is a request of https://a.example/\n"
        in done.stdout
    )
    assert done.stderr == "1 of 2 entries are comments: cron cannot say what they do\n"
    assert "call" not in beatd("crontab", "export", "ro*").stdout
