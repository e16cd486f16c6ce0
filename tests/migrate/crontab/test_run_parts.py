"""Lines that run a folder of scripts: recognised whole, and split where that changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from beatd.errors import FieldError
from beatd.migrate.crontab.run_parts import run_parts_of, scripts_of

# command -> the folder, what leaves the work to itself, the command of one script
LINES = [
    ("run-parts /etc/cron.daily", "/etc/cron.daily", None, "/x/a"),
    ("run-parts /etc/cron.daily/", "/etc/cron.daily", None, "/x/a"),
    ("cd / && run-parts --report /etc/cron.hourly", "/etc/cron.hourly", None, "cd / && /x/a"),
    ("nice run-parts /etc/cron.daily", "/etc/cron.daily", None, "nice /x/a"),
    ("nice -n 19 /bin/run-parts -v /etc/periodic/15min", "/etc/periodic/15min", None, "nice -n 19 /x/a"),
    (
        "test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )",
        "/etc/cron.daily",
        "/usr/sbin/anacron",
        "test -x /usr/sbin/anacron || ( cd / && /x/a )",
    ),
    (
        "test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.weekly; }",
        "/etc/cron.weekly",
        "/usr/sbin/anacron",
        "test -x /usr/sbin/anacron || { cd / && /x/a; }",
    ),
    (
        "[ -x /usr/sbin/anacron ] || run-parts /etc/cron.daily",
        "/etc/cron.daily",
        "/usr/sbin/anacron",
        "[ -x /usr/sbin/anacron ] || /x/a",
    ),
]


@pytest.mark.parametrize(("command", "folder", "unless", "one"), LINES)
def test_what_such_a_line_says(command: str, folder: str, unless: str | None, one: str) -> None:
    parts = run_parts_of(command)
    assert parts is not None
    assert (parts.folder, parts.unless, parts.other_options) == (folder, unless, ())
    assert parts.command(Path("/x/a")) == one


@pytest.mark.parametrize(
    "command",
    [
        "run-parts /etc/cron.daily >/dev/null",
        "run-parts /etc/cron.daily && echo done",
        "run-parts relative/folder",
        "run-parts $DIR",
        "run-parts",
        "my-run-parts /etc/cron.daily",
        "echo run-parts /etc/cron.daily",
        "cd /srv && run-parts /etc/cron.daily",
    ],
)
def test_a_line_that_does_more_is_a_line_like_others(command: str) -> None:
    assert run_parts_of(command) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The first three are scripts to anybody."""
    folder = tmp_path / "cron.daily"
    folder.mkdir()
    for name in ("b-2", "A_1", "a1", "with.dot", "old~", "c.rpmsave", ".placeholder"):
        (folder / name).touch(0o755)
    (folder / "plain").touch(0o644)
    (folder / "sub").mkdir()
    return folder


def test_debians_rule_of_names(folder: Path) -> None:
    parts = run_parts_of(f"run-parts --report {folder}")
    assert parts is not None
    scripts = scripts_of(parts, "debian", "tab:1")
    assert [script.name for script in scripts.taken] == ["A_1", "a1", "b-2"]
    assert [text.removeprefix(f"{folder}/").split(" is ")[0] for text in scripts.left_out] == [
        "c.rpmsave",
        "old~",
        "plain",
        "with.dot",
    ]
    assert f"{folder}/plain is never run: it is not executable" in scripts.left_out


def test_cronies_rule_of_names(folder: Path) -> None:
    parts = run_parts_of(f"run-parts {folder}")
    assert parts is not None
    scripts = scripts_of(parts, "cronie", "tab:1")
    assert [script.name for script in scripts.taken] == ["A_1", "a1", "b-2", "with.dot"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (
            "run-parts --exit-on-error --report {}",
            "tab:1: run_parts: '--exit-on-error': means something for all",
        ),
        ("run-parts --arg=x {}", "'--arg=x'"),
        ("run-parts {}/gone", "cannot be read (No such file or directory)"),
    ],
)
def test_a_line_that_cannot_be_split(folder: Path, command: str, problem: str) -> None:
    parts = run_parts_of(command.format(folder))
    assert parts is not None
    with pytest.raises(FieldError) as caught:
        scripts_of(parts, "debian", "tab:1")
    assert problem in str(caught.value)
