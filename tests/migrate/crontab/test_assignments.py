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
    "zone", ["Mars/Olympus", "UTC+3", "Europe/Berlinn", ":Europe/Berlin", "/etc/localtime"]
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


@pytest.mark.parametrize("source", ["CRON_TZ='", "CRON_TZ='UTC' x"])
def test_the_example_for_a_zone_is_a_zone(source: str) -> None:
    reason = the_line(source, "cronie").reason

    assert reason is not None
    assert reason.example == "CRON_TZ=Europe/Berlin"


def test_a_template_that_cron_takes_for_a_variable() -> None:
    line = the_line("<%= @minute %> 5 * * * x")

    assert line.kind == "refused"
    assert "a template that has not been filled in" in str(line.reason)
