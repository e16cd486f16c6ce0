"""Variables: what is an assignment to which cron, what its value is, and from where on it holds."""

from __future__ import annotations

import pytest

from beatd.migrate.crontab.lines import Cron, Line, read

BOTH: tuple[Cron, ...] = ("debian", "cronie")


def the_line(source: str, cron: Cron = "debian") -> Line:
    (line,) = read((source + "\n").encode(), "tab", form="user", cron=cron).lines
    return line


@pytest.mark.parametrize("cron", BOTH)
@pytest.mark.parametrize(
    ("source", "name", "value"),
    [
        ("A=b", "A", "b"),
        ("  A=b", "A", "b"),
        ("A = b", "A", "b"),
        ("A\t=\tb c \t", "A", "b c"),
        ("A=b # c", "A", "b # c"),
        ('A="b c"', "A", "b c"),
        ("A='b \"c\" d'", "A", 'b "c" d'),
        ('A=""', "A", ""),
        ("A='b=c'  ", "A", "b=c"),
        ("A=b=c", "A", "b=c"),
        ("A==b", "A", "=b"),
        ("A=b'c'", "A", "b'c'"),
        ('A=b "c"', "A", 'b "c"'),
        ("A=$HOME/bin:$PATH", "A", "$HOME/bin:$PATH"),
        ("A=100%", "A", "100%"),
        ("A=b\\", "A", "b\\"),
        ("A=b\r", "A", "b"),
        ('A="b"\r', "A", "b"),
        ('"A B"=c', "A B", "c"),
        ("'A'='b'", "A", "b"),
        ("1A=b", "1A", "b"),
        ("A.B-C=d", "A.B-C", "d"),
        ("=b", "", "b"),
        ("* = b", "*", "b"),
        ("MAILTO=root HOME=/", "MAILTO", "root HOME=/"),
        ("A=caf\u00e9", "A", "caf\u00e9"),
    ],
)
def test_assignments(source: str, name: str, value: str, cron: Cron) -> None:
    line = the_line(source, cron)

    assert (line.kind, line.assignment) == ("environment", (name, value))


@pytest.mark.parametrize(
    ("source", "debian", "cronie"),
    [
        ("A=", None, ""),
        ("A = ", None, ""),
        ("A=\r", None, ""),
        ('A="b  "', "b", "b  "),
        ("A=\"'b'\"", "b", "'b'"),
        ("A='\"b\" '", "b", '"b" '),
        ('A="\'"', "'", "'"),
    ],
)
def test_where_the_crons_differ(source: str, debian: str | None, cronie: str) -> None:
    to_debian, to_cronie = the_line(source), the_line(source, "cronie")

    assert to_cronie.assignment == ("A", cronie)
    if debian is None:
        assert to_debian.kind == "refused"
        assert 'A=""' in str(to_debian.reason)
    else:
        assert to_debian.assignment == ("A", debian)


@pytest.mark.parametrize("cron", BOTH)
@pytest.mark.parametrize(
    "source", ["A b=c", "export A=b", 'A="b" c', "A='b", '"A=b', '"A=b"', "A", '"A"b=c', "A='b' # c"]
)
def test_what_is_no_assignment_is_a_bad_entry(source: str, cron: Cron) -> None:
    line = the_line(source, cron)

    assert line.kind == "refused"
    assert line.never_ran is not None
    assert "bad minute" in line.never_ran


def test_debians_cron_cuts_a_long_assignment_off() -> None:
    assert the_line("A=" + "x" * 2000).assignment == ("A", "x" * 996)
    assert the_line("A=" + "x" * 2000, "cronie").assignment == ("A", "x" * 2000)
    assert the_line("A=" + "\u00e9" * 600).assignment == ("A", "\u00e9" * 498)


def test_a_variable_holds_from_its_line_on() -> None:
    lines = read(b"* * * * * a\nA=1\n* * * * * b\nB=2\nA=3\n* * * * * c\n", "tab", form="user").lines

    assert [dict(line.environment) for line in lines if line.kind == "entry"] == [
        {},
        {"A": "1"},
        {"A": "3", "B": "2"},
    ]


@pytest.mark.parametrize(
    ("source", "cron", "warning"),
    [
        ("MAILTO=root HOME=/", "debian", "HOME is not set"),
        ("PATH=$HOME/bin:$PATH", "debian", "replaces no $NAME"),
        ("A=b # c", "debian", "no comments behind a value"),
        ("CRON_TZ=Europe/Berlin", "debian", "times stay in the machine's zone"),
        ("RANDOM_DELAY=30", "debian", "nothing is delayed"),
        ("TZ=Europe/Berlin", "debian", "for the commands alone"),
        ("TZ=Europe/Berlin", "cronie", "for the commands alone"),
        ("LOGNAME=anna", "debian", "has no effect"),
        ("USER=anna", "cronie", "has no effect"),
        ("=b", "debian", "no command sees it"),
        ("A-B=c", "debian", "shells have no variable"),
        ("RANDOM_DELAY=soon", "cronie", "no number of minutes"),
        ("RANDOM_DELAY=1441", "cronie", "is not in 0-1440"),
        ("RANDOM_DELAY=-5", "cronie", "is not in 0-1440"),
    ],
)
def test_what_a_person_should_know_of_an_assignment(source: str, cron: Cron, warning: str) -> None:
    line = the_line(source, cron)

    assert line.kind == "environment"
    assert any(warning in given for given in line.warnings), line.warnings


@pytest.mark.parametrize(
    "source", ["PATH=/usr/local/bin:/usr/bin:/bin", "MAILTO=ops@example.org", "SHELL=/bin/bash"]
)
def test_a_plain_assignment_is_not_warned_of(source: str) -> None:
    assert the_line(source).warnings == ()


def test_cronies_zone_and_delay() -> None:
    source = b"0 5 * * * a\nCRON_TZ=Asia/Tokyo\nRANDOM_DELAY=45\n0 5 * * * b\nCRON_TZ=\n0 5 * * * c\n"
    a, b, c = (line for line in read(source, "tab", form="user", cron="cronie").lines if line.kind == "entry")

    assert (a.timezone, a.random_delay) == (None, None)
    assert (b.timezone, b.random_delay) == ("Asia/Tokyo", 45)
    assert (c.timezone, c.random_delay) == (None, 45)
    assert b.environment["CRON_TZ"] == "Asia/Tokyo"


def test_to_debians_cron_they_are_plain_variables() -> None:
    crontab = read(b"CRON_TZ=Asia/Tokyo\nRANDOM_DELAY=45\n0 5 * * * b\n", "tab", form="user")

    line = crontab.lines[-1]
    assert (line.timezone, line.random_delay) == (None, None)
    assert dict(line.environment) == {"CRON_TZ": "Asia/Tokyo", "RANDOM_DELAY": "45"}
    assert "Debian's cron keeps to the machine's zone" in " ".join(crontab.notes)


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "UTC+3", "Europe/Berlinn", ":Mars/Olympus", "/etc/localtime"]
)
def test_an_unknown_zone_is_refused_with_all_that_it_holds_for(zone: str) -> None:
    source = f"CRON_TZ={zone}\n0 5 * * * a\nCRON_TZ=UTC\n0 5 * * * b\n".encode()
    assignment, a, _, b = read(source, "tab", form="user", cron="cronie").lines

    for line in (assignment, a):
        assert line.kind == "refused"
        assert line.reason is not None
        assert (line.reason.field, line.reason.value) == ("timezone", zone)
    assert (b.kind, b.timezone) == ("entry", "UTC")


@pytest.mark.parametrize(
    "source",
    [
        "TZ=Europe/London 0 4 * * * x",
        "CRON_TZ=UTC 0 6 * * * x",
        "TZ=Europe/London H 4 * * * x",
        "TZ=UTC @daily x",
    ],
)
def test_a_zone_before_a_schedule_is_not_taken_for_a_variable(source: str) -> None:
    line = the_line(source)

    assert line.kind == "refused"
    assert "cron takes all of the line for an assignment" in str(line.reason)


@pytest.mark.parametrize(
    ("zone", "says", "example"),
    [
        ("Mars/Olympus", "cronie would take it for UTC", None),
        ("europe/berlin", "cronie would take it for UTC", "CRON_TZ=Europe/Berlin"),
        ("UTC+3", "cronie takes it for one of POSIX's, 3 h behind UTC", "CRON_TZ=Etc/GMT+3"),
        ("UTC3", "3 h behind UTC", "CRON_TZ=Etc/GMT+3"),
        ("<+03>-3", "3 h ahead of UTC", "CRON_TZ=Etc/GMT-3"),
        (":UTC-14", "14 h ahead of UTC", "CRON_TZ=Etc/GMT-14"),
        ("UTC+23", "23 h behind UTC", None),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "1 h ahead of UTC and with more rules", None),
        ("IST-5:30", "with more rules", None),
        ("/etc/localtime", "a file, which cronie reads", None),
    ],
)
def test_what_cronie_makes_of_a_zone_that_has_no_such_name(zone: str, says: str, example: str | None) -> None:
    reason = the_line(f"CRON_TZ = {zone}", "cronie").reason

    assert reason is not None
    assert says in reason.problem
    assert ("for UTC" in reason.problem) == ("for UTC" in says)
    assert (reason.example, reason.where) == (example, "tab:1:11")


def test_a_colon_before_a_zone_says_that_it_is_a_name() -> None:
    _, line = read(b"CRON_TZ=:Europe/Rome\n0 5 * * * x\n", "tab", form="user", cron="cronie").lines
    assert (line.kind, line.timezone) == ("entry", "Europe/Rome")


@pytest.mark.parametrize("source", ["CRON_TZ='", "CRON_TZ='UTC' x", "CRON_TZ='Mars"])
def test_no_example_for_a_zone_is_made_up(source: str) -> None:
    reason = the_line(source, "cronie").reason

    assert reason is not None
    assert reason.example is None


def test_a_template_that_cron_takes_for_a_variable() -> None:
    line = the_line("<%= @minute %> 5 * * * x")

    assert line.kind == "refused"
    assert "a template that has not been filled in" in str(line.reason)
