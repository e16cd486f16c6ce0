"""Whatever stands in a file, each of its lines is something, nothing is lost and nothing raised.

BEATD_THOROUGH multiplies the examples: with 50 (and --timeout 0) it is ten minutes of fuzzing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from hypothesis import given
from hypothesis import strategies as st

from beatd.migrate.crontab.dialects import DIALECTS
from beatd.migrate.crontab.lines import Cron, Crontab, Form, Line, read
from beatd.schedules import parse_cron, parse_duration
from tests.schedules.model import examples

FIELDS = st.one_of(
    st.sampled_from(
        ["*", "*/5", "0", "5", "1-5", "1,15", "mon", "JAN", "sat-sun", "H", "L", "?", "5#2", "~", "0~9"]
    ),
    st.text("0123456789*/-,~#?LWHmonjasu", min_size=1, max_size=6),
)
BLANKS = st.sampled_from([" ", "\t", "  "])
COMMANDS = st.one_of(
    st.sampled_from(
        ["", "x", "root x", "www-data /bin/x", "a%b", "a\\%b\\\\", "-n x", "* x", "? x", "2030 x"]
    ),
    st.text(max_size=12),
)
SCHEDULES = st.one_of(
    st.lists(FIELDS, min_size=4, max_size=7).flatmap(
        lambda fields: BLANKS.map(lambda blank: blank.join(fields) + blank)
    ),
    st.sampled_from(
        ["@daily ", "@reboot ", "@every 5m ", "@Daily ", "@", "rate(5 minutes) ", "TZ=UTC 0 5 * * * "]
    ),
)
ASSIGNMENTS = st.tuples(
    st.sampled_from(["A", "'A B'", '"A', "CRON_TZ", "RANDOM_DELAY", "MAILTO", "TZ", ""]),
    st.sampled_from(["=", " = ", "==", " "]),
    st.one_of(
        st.sampled_from(["Asia/Tokyo", "Mars/Olympus", "30", "'b' c", '"', "b ", "..", "\0"]),
        st.text(max_size=8),
    ),
).map("".join)
LINES = st.one_of(
    st.tuples(st.sampled_from(["", " ", "-", "\t", "#"]), SCHEDULES, COMMANDS).map("".join),
    ASSIGNMENTS,
    st.text(),
)
FILES = st.one_of(
    st.binary(max_size=200),
    st.lists(LINES, max_size=6).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")),
)
PATHS = st.sampled_from(
    ["tab", "/etc/crontab", "/etc/cron.d/x", "/var/spool/cron/crontabs/anna", "/var/spool/cron/root"]
)


@examples(300)
@given(
    FILES,
    PATHS,
    st.sampled_from([None, "user", "system"]),
    st.sampled_from(["debian", "cronie"]),
    st.sampled_from([None, *DIALECTS]),
)
def test_every_line_is_something_and_nothing_is_lost(
    data: bytes, path: str, form: Form | None, cron: Cron, dialect: str | None
) -> None:
    crontab = read(data, path, form=form, cron=cron, dialect=dialect)

    lossless(data, crontab)
    for line in crontab.lines:
        complete(line, crontab)


def lossless(data: bytes, crontab: Crontab) -> None:
    assert [line.number for line in crontab.lines] == list(range(1, len(crontab.lines) + 1))
    sources = [line.source.encode("utf-8", "surrogateescape") for line in crontab.lines]
    assert b"\n".join(sources) == data.removesuffix(b"\n") or data == b"\n"


def complete(line: Line, crontab: Crontab) -> None:
    """Each kind has what belongs to it."""
    if line.kind == "entry":
        assert line.schedule is not None
        assert line.command
        assert "\0" not in line.command
        assert (line.user is None) == (crontab.form == "user")
        understood(line.schedule)
    elif line.kind == "refused":
        reason = line.reason
        assert reason is not None
        path, number, column = (reason.where or "").rsplit(":", 2)
        assert (path, number) == (crontab.path, str(line.number))
        assert 1 <= int(column) <= len(line.source) + 1
        assert "\n" not in str(reason)
    elif line.kind == "environment":
        assert line.assignment is not None
    else:
        assert line.source.lstrip(" \t")[:1] in ("", "#")


def understood(schedule: str) -> None:
    if schedule.startswith("@every "):
        parse_duration(schedule.removeprefix("@every "), "every")
    elif schedule != "@reboot":
        parse_cron(schedule, ZoneInfo("UTC"), name="an entry")


@examples(200)
@given(
    st.lists(FIELDS, min_size=5, max_size=5), st.sampled_from(["debian", "cronie"]), st.integers(0, 2**31 - 1)
)
def test_accepted_schedules_fire_as_cronsim_says(fields: list[str], cron: Cron, start: int) -> None:
    """cronsim is another reading of Debian's cron. What cron ignores or cronsim cannot know is left aside."""
    (line,) = read((" ".join(fields) + " x\n").encode(), "tab", form="user", cron=cron).lines
    if line.kind != "entry" or line.schedule is None or "~" in line.schedule:
        return
    after = datetime.fromtimestamp(start, UTC)
    try:
        expected = CronSim(line.schedule, after)
    except CronSimError as error:
        raise AssertionError(f"cronsim refuses {line.schedule}: {error}") from error
    schedule = parse_cron(line.schedule, ZoneInfo("UTC"))
    fire_time = schedule.next_fire_time(after)
    for _ in range(3):
        assert fire_time is not None
        assert fire_time == next(expected)
        fire_time = schedule.next_fire_time(fire_time)


@examples(100)
@given(LINES, st.sampled_from(["debian", "cronie"]))
def test_the_example_of_a_refusal_is_a_line_that_the_cron_takes(source: str, cron: Cron) -> None:
    for line in read((source + "\n").encode("utf-8", "surrogatepass"), "tab", form="user", cron=cron).lines:
        if line.reason and line.reason.example and not line.reason.example.startswith("beatd "):
            example_source = line.reason.example.encode("utf-8", "surrogateescape") + b"\n"
            (example,) = read(example_source, "tab", form="user", cron=cron).lines
            assert example.kind != "refused", (line.source, line.reason.example, str(example.reason))
