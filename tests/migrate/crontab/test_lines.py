"""What a line of a user's crontab is to each cron, and to beatd: tables of lines with their readings."""

from __future__ import annotations

import pytest

from beatd.migrate.crontab.lines import Cron, Line, read

BOTH: tuple[Cron, ...] = ("debian", "cronie")


def the_line(source: str, cron: Cron = "debian") -> Line:
    """As the only one of a user's crontab, with its newline."""
    (line,) = read((source + "\n").encode(), "tab", form="user", cron=cron).lines
    return line


def reason(line: Line) -> str:
    assert line.kind == "refused", line
    assert line.reason is not None
    return str(line.reason)


@pytest.mark.parametrize("cron", BOTH)
@pytest.mark.parametrize(
    ("source", "schedule", "command"),
    [
        ("*/5 * * * * /opt/poll", "*/5 * * * *", "/opt/poll"),
        ("\t17\t4 *\t* 1-5  /opt/poll  -v ", "17 4 * * 1-5", "/opt/poll  -v "),
        ("0 9 * Jan,mAr Mon-FRI a b", "0 9 * Jan,mAr Mon-FRI", "a b"),
        ("05 007 01 012 07 padded", "05 007 01 012 07", "padded"),
        ("10-50/20,59 0-23/6 * * * x", "10-50/20,59 0-23/6 * * *", "x"),
        ("0 0 * * 7-7 sunday", "0 0 * * 7-7", "sunday"),
        ("*/90 * * * * once", "*/90 * * * *", "once"),
        ("*/5,1-3 * * * * both", "*/5,1-3 * * * *", "both"),
        ("@hourly x", "@hourly", "x"),
        ("@midnight\t\tx y", "@midnight", "x y"),
        ("@reboot /opt/start", "@reboot", "/opt/start"),
        ("0 5 * * * echo hi # not a comment", "0 5 * * *", "echo hi # not a comment"),
        ("0 5 * * * caf\u00e9 \u2603", "0 5 * * *", "caf\u00e9 \u2603"),
        ("0 5 * * * A=b cmd", "0 5 * * *", "A=b cmd"),
        ("0 0 13 * 5 friday", "0 0 13 * 5", "friday"),
        ("0 0 */2 * 5 both must match", "0 0 */2 * 5", "both must match"),
    ],
)
def test_entries_that_mean_the_same_to_cron_and_to_beatd(
    source: str, schedule: str, command: str, cron: Cron
) -> None:
    line = the_line(source, cron)

    assert (line.kind, line.schedule, line.command) == ("entry", schedule, command)
    assert (line.stdin, line.user, line.never_ran) == (None, None, None)


@pytest.mark.parametrize(
    ("source", "schedule", "warning"),
    [
        ("0 8 * * 5#2 x", "0 8 * * 5", "day-of-week '5#2': Debian's cron ignores '#2' and reads '5'"),
        ("1.5 * * * * x", "1 * * * *", "ignores '.5'"),
        ("10:30 4 * * * x", "10 4 * * *", "ignores ':30'"),
        ("0~30 4 * * * x", "0 4 * * *", "ignores '~30'"),
        ("** 4 * * * x", "* 4 * * *", "ignores '*'"),
        ("*5 4 * * * x", "* 4 * * *", "ignores '5'"),
        ("*/10-20 * * * * x", "*/10 * * * *", "ignores '-20'"),
        ("0 1-3-5 * * * x", "0 1-3 * * *", "ignores '-5'"),
        ("0 0 1,2;3 * * x", "0 0 1,2 * *", "ignores ';3'"),
        ("4294967301 * * * * x", "5 * * * *", "reads '5'"),
        ("7,5-1 * * * * x", "7 * * * *", "5-1 runs backwards"),
        ("0 0 1 * 5-1 x", "0 0 1 * *", "the other day field decides"),
        ("0 0 31-1 * mon x", "0 0 * * mon", "the other day field decides"),
    ],
)
def test_what_debians_cron_obeys_though_it_means_something_else(
    source: str, schedule: str, warning: str
) -> None:
    line = the_line(source)

    assert (line.kind, line.schedule) == ("entry", schedule)
    assert any(warning in given for given in line.warnings), line.warnings


@pytest.mark.parametrize(
    ("source", "schedule", "warning"),
    [
        ("0~30 4 * * * x", "0~30 4 * * *", "draws a value whenever it reads the file"),
        ("~ 4~ * * ~5 x", "~ 4~ * * ~5", "fixed, by the entry's name"),
        ("0 0 * * sat-sun x", "0 0 * * 6-7", "cronie reads '6-7'"),
        ("0 0 * * 6-0 x", "0 0 * * 6-7", "cronie reads '6-7'"),
        ("0 0 * * 1-0 x", "0 0 * * 1-7", "cronie reads '1-7'"),
        ("3-64/40 * * * * x", "3,43 * * * *", "cronie reads '3,43'"),
    ],
)
def test_what_is_cronies_own(source: str, schedule: str, warning: str) -> None:
    line = the_line(source, "cronie")

    assert (line.kind, line.schedule) == ("entry", schedule)
    assert any(warning in given for given in line.warnings), line.warnings


@pytest.mark.parametrize("cron", BOTH)
@pytest.mark.parametrize(
    ("source", "field", "column", "says"),
    [
        ("60 * * * * x", "minute", 1, "60 is not in 0-59"),
        ("  0 24 * * * x", "hour", 5, "24 is not in 0-23"),
        ("0 0 0 * * x", "day-of-month", 5, "0 is not in 1-31"),
        ("0 0 * 13 * x", "month", 7, "13 is not in 1-12"),
        ("0 0 * * 8 x", "day-of-week", 9, "8 is not in 0-7"),
        ("0 0 * january * x", "month", 7, "names have three letters: 'JAN'"),
        ("0 0 * * fri-monday x", "day-of-week", 9, "names have three letters: 'MON'"),
        ("*/0 * * * * x", "minute", 1, "a step is at least 1"),
        ("5/15 * * * * x", "minute", 1, "N/step"),
        (",1 * * * * x", "minute", 1, "a list has no empty item"),
        ("1, * * * * x", "minute", 1, "a list has no empty item"),
        ("1- * * * * x", "minute", 1, "a number is missing"),
        ("1-70 * * * * x", "minute", 1, "70 is not in 0-59"),
        ("mon * * * * x", "minute", 1, "'mon' is not 0-59"),
        ("0 9 * * \u201cMON\u201d x", "day-of-week", 9, "five are needed"),
        ("* * * * x", "day-of-week", 9, "stands after 4 time fields"),
        ("* * /opt/x", "day-of-month", 5, "stands after 2 time fields"),
        ("* * *", "month", 6, "the line ends after 3 time fields"),
        ("x", "minute", 1, "neither an assignment"),
        ("0\u00a06\u00a0*\u00a0*\u00a0*\u00a0/opt/x", None, None, "is no blank to cron"),
        ("@Daily x", "schedule", 1, "small letters"),
        ("@every_minute x", "schedule", 1, "@-names"),
        ("@quarterly x", "schedule", 1, "@-names"),
        ("@ x", "schedule", 1, "@-names"),
        ("export PATH=/opt/bin", "minute", 1, "without a command of the shell before it"),
        ("// every night", "minute", 1, "comments begin with #"),
        ("/* every night */", "minute", 1, "comments begin with #"),
        (" * run the backup", None, None, "comments begin with #"),
        ("; 0 5 * * * x", "minute", 1, "comments begin with #"),
        ("{{ minute }} 5 * * * x", "minute", 1, "a template"),
        ("${MINUTE} 5 * * * x", "minute", 1, "a template"),
        ("\ufeff0 5 * * * x", "minute", 1, "byte order mark"),
        ("\r", "minute", 1, "carriage return"),
        ("Mon..Fri *-*-* 10:00 x", "minute", 1, "OnCalendar"),
        ("every monday 09:00 x", "minute", 1, "looks like words"),
        ("A='b' c", "minute", 1, "nothing may stand behind the quoted value"),
        ('A="b', "minute", 1, "a quote is not closed"),
    ],
)
def test_what_no_cron_takes_never_ran(
    source: str, field: str | None, column: int | None, says: str, cron: Cron
) -> None:
    line = the_line(source, cron)

    assert says in reason(line)
    assert line.never_ran is not None
    assert "refuses the line" in line.never_ran
    assert line.reason is not None
    if field is not None:
        assert (line.reason.field, line.reason.where) == (field, f"tab:1:{column}")


@pytest.mark.parametrize(
    ("source", "cron", "never_ran"),
    [
        ("~ 4 * * * x", "debian", "bad minute"),
        ("-0 4 * * * x", "debian", "bad minute"),
        ("0 0 * * 5#2 x", "cronie", "at 00:00 on the second Friday of the month"),
        ("0~59/2 * * * * x", "cronie", "bad minute"),
        ("0 0 * * 5L x", "debian", "at 00:00 on the last Friday of the month"),
        ("0 0 LW * * x", "cronie", "the last weekday (Monday to Friday) of the month"),
        ("@every 5m x", "debian", "every 5m"),
        ("0 5 * * * -ns x", "cronie", "bad option"),
        ("0 5 * * *", "cronie", "bad command"),
        ("@daily", "cronie", "bad command"),
        ("0 5 * * * *", "debian", "bad command"),
    ],
)
def test_what_one_cron_refuses_and_would_have_meant(source: str, cron: Cron, never_ran: str) -> None:
    line = the_line(source, cron)

    assert line.kind == "refused"
    assert line.never_ran is not None
    assert never_ran in line.never_ran


@pytest.mark.parametrize("cron", BOTH)
@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("0 0 31 2 * x", "there is no day 31 in Feb"),
        ("0 0 31 4,6 * x", "there is no day 31 in Apr, Jun"),
        ("30-10 * * * * x", "runs backwards"),
        ("0 22-6 * * * x", "runs backwards"),
        ("0 0 * 11-2 * x", "runs backwards"),
        ("0 0 * * 5-1 x", "5-6,0-1"),
    ],
)
def test_what_cron_takes_and_never_runs(source: str, says: str, cron: Cron) -> None:
    line = the_line(source, cron)

    assert says in reason(line)
    assert "never fires" in reason(line)
    assert line.never_ran is not None
    assert "takes the line" in line.never_ran


def test_to_debians_cron_saturday_to_sunday_is_no_day() -> None:
    line = the_line("0 0 * * sat-sun x")

    assert "sat-sun runs backwards, which matches nothing" in reason(line)
    assert line.reason is not None
    assert line.reason.example == "0 0 * * 6-7 x"


@pytest.mark.parametrize(
    ("source", "debian", "cronie", "stdin"),
    [
        ("cat%one%two", "cat", "cat", "one\ntwo\n"),
        ("cat%", "cat", "cat", ""),
        ("cat%%", "cat", "cat", "\n"),
        ("cat%a%", "cat", "cat", "a\n"),
        (r"date +\%F", "date +%F", "date +%F", None),
        (r"a\%b%c\%d%e", "a%b", "a%b", "c%d\ne\n"),
        (r"echo '\\'", r"echo '\'", r"echo '\\'", None),
        (r"echo \\%in", "echo \\", r"echo \\", "in\n"),
        (r"echo \n \$x", r"echo \n \$x", r"echo \n \$x", None),
        (r"cat%a\\b", "cat", "cat", "a\\\\b\n"),
        (r"cat%a\\%b", "cat", "cat", "a\\%b\n"),
        ("cat%a\\", "cat", "cat", "a\\\n"),
        ("cat%\\", "cat", "cat", "\\"),
        ("cat \\", "cat \\", "cat \\", None),
    ],
)
def test_percent_signs(source: str, debian: str, cronie: str, stdin: str | None) -> None:
    for cron, command in (("debian", debian), ("cronie", cronie)):
        line = the_line(f"0 5 * * * {source}", cron)  # type: ignore[arg-type]
        assert (line.command, line.stdin) == (command, stdin), cron


@pytest.mark.parametrize(
    ("source", "warning"),
    [
        ("* */3 * * * x", "every minute of each of 8 hours a day, 480 times a day; once an hour is 0 */3"),
        ("* 16 * * * x", "every minute of that hour"),
        ("*/7 * * * * x", "its last step is 4 long"),
        ("0 */5 * * * x", "its last step is 4 long"),
        ("*/90 * * * * x", "is 0 alone"),
        ("0 0 1 * mon x", "a day that matches one of them is enough"),
        ("0 0 */2 * mon x", "must both match"),
        ("0 0 31 * * x", "not every month has a day 31"),
        ("0 0 29 2 * x", "leap years only"),
        ("0 0 * * * date +%F", "a percent sign is written"),
        ("0 0 * * * x \\", "continues nothing"),
        ("0 0 * * * x\r", "carriage return"),
        ("0 9 * * MON \u2013 FRI x", "is it part of the schedule?"),
        ("0 5 * * * <%= @x %> y", "a template"),
    ],
)
def test_likely_mistakes_are_carried_over_and_told(source: str, warning: str) -> None:
    line = the_line(source)

    assert line.kind == "entry"
    assert any(warning in given for given in line.warnings), line.warnings


@pytest.mark.parametrize(
    "source",
    ["*/5 * * * * x", "* 9-17 * * * x", "0 0 1-28 * * x", "0 4 * * 1-5 x", "0 */6 * * * x", "@daily x"],
)
def test_what_is_right_is_not_warned_of(source: str) -> None:
    assert the_line(source).warnings == ()


def test_a_command_longer_than_debians_cron_takes() -> None:
    assert the_line("0 5 * * * " + "x" * 998).kind == "entry"
    line = the_line("0 5 * * * " + "x" * 999)

    assert "takes at most 998" in reason(line)
    assert line.never_ran is not None
    assert "command too long" in line.never_ran
    assert the_line("0 5 * * * " + "x" * 999, "cronie").kind == "entry"
    assert the_line("0 5 * * * " + "\u00e9" * 500).kind == "refused"


def test_cronies_options() -> None:
    quiet = the_line("-0 5 * * * x", "cronie")
    assert (quiet.kind, quiet.quiet, quiet.schedule, quiet.command) == ("entry", True, "0 5 * * *", "x")

    failures_only = the_line("0 5 * * * -n x -n", "cronie")
    assert (failures_only.kind, failures_only.command) == ("entry", "x -n")
    assert "mails the output of failures only" in failures_only.warnings[0]


@pytest.mark.parametrize(("owner", "kind"), [("root", "entry"), ("anna", "refused")])
def test_only_root_may_keep_a_line_out_of_cronies_log(owner: str, kind: str) -> None:
    (line,) = read(b"-0 5 * * * x\n", f"/var/spool/cron/{owner}", cron="cronie").lines
    assert line.kind == kind


def test_cron_has_no_continuation_lines() -> None:
    first, second = read(b"0 5 * * * /opt/poll \\\n    --all\n", "tab", form="user").lines

    assert first.command == "/opt/poll \\"
    assert "the \\ above joins nothing" in str(second.reason)


@pytest.mark.parametrize(
    ("source", "example"),
    [
        ("0 0-24 * * * x", "0 0-23 * * * x"),
        ("1-70 * * * * x y", "1-59 * * * * x y"),
        ("0-60 * * * * x", "0-59 * * * * x"),
        ("0 0 0-31 * * x", "0 0 1-31 * * x"),
        ("*/0 * * * * x", "* * * * * x"),
        ("60 * * * * x", "0 * * * * x"),
        ("0 24 * * * x", "0 0 * * * x"),
        ("5/15 * * * * x", "5-59/15 * * * * x"),
        ("0\t0 * january *  x", "0\t0 * jan *  x"),
        ("0 22-6 * * * x", "0 22-23,0-6 * * * x"),
        ("0 5 * * /opt/poll -x", "0 5 * * * /opt/poll -x"),
        ("0\u00a06 * * * /opt/x", "0 6 * * * /opt/x"),
        ("@Daily x", "@daily x"),
        ("@every_5_minutes x", "*/5 * * * * x"),
        ("@every_minute x", "* * * * * x"),
        ("@2hours x", "0 */2 * * * x"),
        ("@quarterly x", "0 0 1 1,4,7,10 * x"),
        ("export A=b", "A=b"),
        ("MAILTO: anna", "MAILTO=anna"),
        ("A='b' # c", "A='b'"),
        ('A="b c', 'A="b c"'),
        ("// every night", "# // every night"),
    ],
)
def test_an_example_is_what_was_meant(source: str, example: str) -> None:
    for cron in BOTH:
        line = the_line(source, cron)
        assert line.reason is not None
        assert line.reason.example == example


@pytest.mark.parametrize(
    "source",
    [
        "0 8-24 * * * x",
        "0 24 * * 1 x",
        "5-60 * * * * x",
        "0 0 0 * * x",
        "0 0 31 2 * x",
        "0 0 * * 8 x",
        "1- * * * * x",
        "* * * *",
        "0 5 * * * ",
        "@every_7_minutes x",
        "@often x",
        "{{ minute }} 5 * * * x",
        "every monday 09:00 x",
        "*-*-* 04:00:00 x",
        "A='b' c",
        "60 60 * * * x",
        "* * * 0 * root x",
        "60 5-1 * * * x",
        "0 0-24 * * * %in",
    ],
)
def test_where_nobody_knows_what_was_meant_there_is_no_example(source: str) -> None:
    for cron in BOTH:
        line = the_line(source, cron)
        assert line.reason is not None
        assert line.reason.example is None


@pytest.mark.parametrize(
    ("source", "column"),
    [("31 0 31 2 * x", 6), ("  5 22-6 * * * x 22-6", 5), ("5-1\t5-1 * * * x", 1), ("0 0  * * 5-1 x 5-1", 10)],
)
def test_the_column_is_that_of_the_field(source: str, column: int) -> None:
    line = the_line(source)
    assert line.reason is not None
    assert line.reason.where == f"tab:1:{column}"


@pytest.mark.parametrize("command", ["%", "%in", "% %"])
def test_input_for_nothing(command: str) -> None:
    assert "there is no command before the %" in reason(the_line(f"0 5 * * * {command}"))


def test_nothing_to_run() -> None:
    line = the_line("0 5 * * * ")
    assert "there is no command; cron starts a shell that does nothing" in reason(line)
    assert line.never_ran is None


def test_a_byte_0_splits_the_line_for_cron() -> None:
    (line,) = read(b"0 5 * * * rm -rf x\0 y\n", "tab", form="user").lines
    assert "a byte 0" in reason(line)
    assert line.reason is not None
    assert line.reason.where == "tab:1:19"


def test_bytes_that_are_not_utf_8_stay() -> None:
    (line,) = read(b"0 5 * * * echo \xe9\xff%\xfe\n", "tab", form="user").lines
    assert line.command is not None
    assert line.stdin is not None
    assert line.command.encode("utf-8", "surrogateescape") == b"echo \xe9\xff"
    assert line.stdin.encode("utf-8", "surrogateescape") == b"\xfe\n"


def test_the_byte_255_is_the_end_of_the_file_to_debians_cron_before_a_command() -> None:
    (line,) = read(b"0 5 * * * \xff\n", "tab", form="user").lines
    assert line.kind == "refused"
    (line,) = read(b"0 5 * * * \xff\n", "tab", form="user", cron="cronie").lines
    assert line.kind == "entry"


@pytest.mark.parametrize(
    ("above", "comment"),
    [
        ("# Rotate the logs\n", "Rotate the logs"),
        ("#Rotate\n# ... and keep ten of them\n", "... and keep ten of them"),
        ("# Rotate the logs\n\n", None),
        ("# m h  dom mon dow   command\n", None),
        ("# ------------------\n", None),
        ("#0 4 * * * /opt/old\n", None),
        ("# @daily /opt/old\n", None),
        ("# MAILTO=anna\n", None),
        ("# |  .------ hour (0 - 23)\n", None),
        ("#\n", None),
        ("# Rotate the logs\nA=b\n", None),
    ],
)
def test_the_comment_above(above: str, comment: str | None) -> None:
    lines = read(f"{above}0 5 * * * x\n".encode(), "tab", form="user").lines
    assert lines[-1].comment == comment
