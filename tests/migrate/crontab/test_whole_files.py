"""Crontabs as a whole: one bad line, a last line without a newline, the bytes of other systems."""

from __future__ import annotations

import pytest

from beatd.migrate.crontab.lines import Cron, read

PATHS = ["/etc/cron.d/x", "tab"]


def source_of(path: str, *commands: str) -> bytes:
    user = "root " if path.startswith("/etc") else ""
    return b"".join(f"0 5 * * * {user}{command}\n".encode() for command in commands)


@pytest.mark.parametrize("path", PATHS)
def test_debians_cron_ignores_a_file_for_one_bad_line(path: str) -> None:
    crontab = read(source_of(path, "a") + b"60 * * * * root /bin/b\n" + source_of(path, "c"), path)

    a, b, c = crontab.lines
    assert (a.kind, b.kind, c.kind) == ("entry", "refused", "entry")
    for line in (a, c):
        assert line.never_ran is not None
        assert "ignores the whole file, for it refuses line 2 (bad minute)" in line.never_ran
    assert any("ignores the whole file" in note for note in crontab.notes)


def test_cronie_leaves_the_bad_line_out() -> None:
    a, b, c = read(source_of("", "a") + b"60 * * * * b\n" + source_of("", "c"), "tab", cron="cronie").lines

    assert (a.never_ran, c.never_ran) == (None, None)
    assert b.kind == "refused"


def test_a_line_that_only_beatd_refuses_does_not_stop_the_others() -> None:
    a, b = read(source_of("", "a") + b"0 0 31 2 * b\n", "tab").lines
    assert (a.kind, a.never_ran, b.kind) == ("entry", None, "refused")


@pytest.mark.parametrize("path", PATHS)
def test_to_debians_cron_a_missing_newline_spoils_the_file(path: str) -> None:
    crontab = read(source_of(path, "a", "b").removesuffix(b"\n"), path)

    a, b = crontab.lines
    assert (a.kind, b.kind) == ("entry", "refused")
    assert a.never_ran is not None
    assert "its last line has no newline at the end" in a.never_ran
    assert b.never_ran is not None
    assert "it would run 'b', at 05:00 every day" in b.never_ran
    assert "add one" in str(b.reason)
    assert b.reason is not None
    assert b.reason.where == f"{path}:2:{len(b.source) + 1}"


def test_to_cronie_a_line_without_newline_is_none() -> None:
    crontab = read(source_of("", "a", "b").removesuffix(b"\n"), "tab", cron="cronie")

    a, b = crontab.lines
    assert (a.kind, a.never_ran, b.kind) == ("entry", None, "refused")
    assert "the last line has no newline at its end: cronie leaves it out" in crontab.notes


@pytest.mark.parametrize("last", [b"# end", b"  ", b"\t#"])
@pytest.mark.parametrize("cron", ["debian", "cronie"])
def test_a_comment_or_blanks_need_no_newline(last: bytes, cron: Cron) -> None:
    crontab = read(source_of("", "a") + last, "tab", cron=cron)

    assert crontab.lines[0].never_ran is None
    assert crontab.notes == ()


def test_a_last_assignment_without_newline() -> None:
    (line,) = read(b"A=b", "tab").lines
    assert (line.kind, line.assignment) == ("refused", ("A", "b"))


def test_files_from_windows() -> None:
    crontab = read(b"# poll\r\nA=b\r\n\r\n0 5 * * * /opt/poll\r\n", "tab")

    comment, assignment, empty, entry = crontab.lines
    assert (comment.kind, assignment.kind, empty.kind, entry.kind) == (
        "comment",
        "environment",
        "refused",
        "entry",
    )
    assert assignment.assignment == ("A", "b")
    assert entry.command == "/opt/poll\r"
    assert entry.never_ran is not None
    assert "refuses line 3 (bad minute)" in entry.never_ran
    assert any("4 lines end with a carriage return" in note for note in crontab.notes)


def test_a_byte_order_mark() -> None:
    crontab = read("\ufeffA=b\n0 5 * * * x\n".encode(), "tab")

    assignment, entry = crontab.lines
    assert assignment.assignment == ("\ufeffA", "b")
    assert (entry.kind, dict(entry.environment)) == ("entry", {"\ufeffA": "b"})
    assert any("byte order mark" in note for note in crontab.notes)


def test_one_line_for_each_physical_line() -> None:
    assert read(b"", "tab").lines == ()
    assert [line.kind for line in read(b"\n\n# a\n", "tab").lines] == ["blank", "blank", "comment"]
    assert [line.source for line in read(b"a\x0cb\x0b\x1c\n\xc2\x85\xe2\x80\xa8\n", "tab").lines] == [
        "a\x0cb\x0b\x1c",
        "\x85\u2028",
    ]


def test_debians_cron_ignores_a_file_of_more_than_ten_thousand_lines() -> None:
    line = read(b"\n" * 10_003 + b"* * * * * x\n", "tab").lines[-1]
    assert line.never_ran is not None
    assert "more than 10000 lines" in line.never_ran
    assert read(b"\n" * 10_002 + b"* * * * * x\n", "tab").lines[-1].never_ran is None


def test_cronie_ignores_a_users_file_with_much_comment() -> None:
    (*_, entry) = read(b"# much\n" * 5_000 + b"* * * * * x\n", "tab", cron="cronie").lines
    assert entry.never_ran is not None
    assert "bytes of comments" in entry.never_ran


def test_a_line_that_is_not_carried_over_is_ignored_with_its_file() -> None:
    """Debian's cron would start it, but for the bad one."""
    lines = read(b"0 5 * * * \n60 * * * * b\n", "tab").lines
    assert [line.kind for line in lines] == ["refused", "refused"]
    assert lines[0].never_ran is not None
    assert "ignores the whole file" in lines[0].never_ran


@pytest.mark.parametrize(
    ("data", "debian", "cronie"),
    [
        (b"0 1 * * * /bin/a\0b\n", "bad minute", None),
        (b"0 1 * * * a\0 1 2 * * * b\n", None, None),
        (b"0 1 * * * a\0\n", None, None),
        (b"0 1 * * * a\0# b\n", None, None),
        (b"0\0 1 * * * a\n", None, "bad minute"),
        (b"A=b\0 C=d\n", None, None),
        (b"\0\n", "bad minute", "bad minute"),
        (b"0 1 * * *\0a\n", None, "bad day-of-week"),
        (b"@daily a\0b\n", "bad minute", None),
        (b"@daily\0a\n", "bad minute", None),
    ],
)
def test_a_byte_0_begins_another_line(data: bytes, debian: str | None, cronie: str | None) -> None:
    """Which may be a bad one, and is in most files."""
    for cron, says in (("debian", debian), ("cronie", cronie)):
        crontab = read(data + b"0 5 * * * c\n", "tab", form="user", cron=cron)  # type: ignore[arg-type]
        zero, good = crontab.lines
        assert zero.kind == "refused"
        assert (zero.never_ran is None) == (says is None), zero.never_ran
        assert says is None or says in (zero.never_ran or "")
        assert (good.never_ran is None) == (says is None or cron == "cronie"), good.never_ran


def test_what_is_set_in_such_a_line_is_set() -> None:
    _, line = read(b"A=b\0 C=d\n0 5 * * * c\n", "tab", form="user").lines
    assert dict(line.environment) == {"A": "b", "C": "d"}


def test_a_byte_0_in_a_comment_is_nothing() -> None:
    comment, entry = read(b"# a\0b\n0 5 * * * c\n", "tab").lines
    assert (comment.kind, entry.kind, entry.never_ran) == ("comment", "entry", None)
