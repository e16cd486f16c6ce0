"""Lines of a crontab as Debian's cron and cronie read them (each split was seen in cronie's own parser)."""

from __future__ import annotations

import pytest

from beatd.migrate.crontab.parser import Crontab, parse, split_input


def one(line: str) -> Crontab:
    return parse(line + "\n", "tab")


# command as written -> what the shell gets, its standard input
SPLITS = [
    ("true", "true", None),
    ("a%b\\%c%d", "a", "b%c\nd\n"),
    ("date +\\%F", "date +%F", None),
    ("echo 100\\% done \\\\% x", "echo 100% done \\\\", " x\n"),
    ("echo 'a%b'", "echo 'a", "b'\n"),
    ("cat%", "cat", "\n"),
    ("cat%a%%b", "cat", "a\n\nb\n"),
    ("printf 'a\\nb'", "printf 'a\\nb'", None),
    ("ends with \\", "ends with \\", None),
]


@pytest.mark.parametrize(("command", "shell", "stdin"), SPLITS)
def test_percent_signs(command: str, shell: str, stdin: str | None) -> None:
    assert split_input(command) == (shell, stdin)
    [job] = one(f"* * * * * {command}").jobs
    assert (job.command, job.stdin) == (shell, stdin)


JOBS = [
    ("0 3 * * * x", "0 3 * * *", "x"),
    ("\t0\t3\t*\t*\t*\ttrue", "0 3 * * *", "true"),
    ("  */5 *  * * mon-fri   a  b ", "*/5 * * * mon-fri", "a  b "),
    ("@daily x", "@daily", "x"),
    ("@midnight\tx y", "@midnight", "x y"),
    ("* * * * * A=b env", "* * * * *", "A=b env"),
    ("@hourly A=b env", "@hourly", "A=b env"),
    ("61 * * * * whether-it-can-be-is-not-asked-here", "61 * * * *", "whether-it-can-be-is-not-asked-here"),
    ("* * * * * x\r", "* * * * *", "x"),
    ("* * * * * a\u2028b", "* * * * *", "a\u2028b"),
]


@pytest.mark.parametrize(("line", "schedule", "command"), JOBS)
def test_jobs(line: str, schedule: str, command: str) -> None:
    crontab = one(line)
    [job] = crontab.jobs
    assert (job.schedule, job.command, crontab.findings) == (schedule, command, [])


SETTINGS = [
    ("FOO = bar baz  ", "FOO", "bar baz"),
    ('FOO = "bar baz"', "FOO", "bar baz"),
    ("FOO='bar '", "FOO", "bar "),
    ('"FOO"=bar', "FOO", "bar"),
    ("F=", "F", ""),
    ('F=""', "F", ""),
    ("I=a=b=c", "I", "a=b=c"),
    ("L=trailing # not a comment", "L", "trailing # not a comment"),
    ("1P=digit first", "1P", "digit first"),
    # cron takes all of it for the value of TZ, so it never ran
    ("TZ=Europe/London 0 4 * * * x", "TZ", "Europe/London 0 4 * * * x"),
]


@pytest.mark.parametrize(("line", "name", "value"), SETTINGS)
def test_settings_hold_from_their_line_on(line: str, name: str, value: str) -> None:
    crontab = parse(f"@daily before\n{line}\n@daily after\n", "tab")
    assert [job.env for job in crontab.jobs] == [{}, {name: value}]
    assert crontab.findings == crontab.notes == []


@pytest.mark.parametrize("name", ["MAILTO", "MAILFROM", "CRON_TZ", "RANDOM_DELAY"])
def test_crons_own_settings_are_put_aside_with_a_note(name: str) -> None:
    crontab = parse(f"{name}=x\n@daily y\n", "tab")
    assert crontab.jobs[0].env == {}
    [note] = crontab.notes
    assert note.startswith(f"tab:1: {name}=x is left out: ")


REFUSED = [
    ("@reboot x", "run at boot"),
    ("* * * * x", "neither a setting nor"),
    ("* * * * *", "neither a setting nor"),
    ("@daily", "neither a setting nor"),
    ("@ x", None),
    ("* * * * * * * echo seven fields", "more than five fields"),
    ('R="a" "b"', "neither a setting nor"),
    ("hello", "neither a setting nor"),
]


@pytest.mark.parametrize(("line", "problem"), REFUSED)
def test_what_is_no_job(line: str, problem: str | None) -> None:
    crontab = parse(f"# first\n{line}\n", "tab")
    if problem is None:
        assert crontab.jobs[0].schedule == "@"  # which the schedule's own check refuses
        return
    [finding] = crontab.findings
    assert finding.where == "tab:2"
    assert problem in str(finding)
    assert crontab.jobs == []


COMMENTS = [
    ("# Nightly dump", "Nightly dump"),
    ("#Nightly dump ", "Nightly dump"),
    ("  # indented", "indented"),
    ("# m h  dom mon dow   command", None),
    ("# 0 4 * * * disabled", None),
    ("#*/5 * * * * disabled", None),
    ("# @daily disabled", None),
    ("# PATH=/bin", None),
    ("# ------", None),
    ("#", None),
]


@pytest.mark.parametrize(("comment", "said"), COMMENTS)
def test_the_comment_right_above_belongs_to_a_job(comment: str, said: str | None) -> None:
    text = f"{comment}\n@daily a\n@daily b\n{comment}\n\n@daily c\n{comment}\nX=y\n@daily d\n"
    assert [job.comment for job in parse(text, "tab").jobs] == [said, None, None, None]


def test_the_last_line_needs_no_end() -> None:
    assert len(parse("@daily a\n@daily b", "tab").jobs) == 2
    assert parse("", "tab").jobs == []
