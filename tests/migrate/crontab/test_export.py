"""Entries as a crontab: what cron can say comes back as it was; all else is a comment with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.migrate import importing
from beatd.migrate.crontab.crons import Cron, Form
from beatd.migrate.crontab.entries import Taking
from beatd.migrate.crontab.exporter import Exported, export
from beatd.migrate.crontab.sayable import Target
from beatd.migrate.crontab.tabs import Rules, read_tab
from beatd.migrate.found import Found
from beatd.operations import entries
from beatd.operations.context import Context
from beatd.operations.views import Entry

CREATED = datetime(2026, 1, 5, 10, 2, 17, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def entry(name: str = "job", *, id: int = 1, state: str = "active", **options: Any) -> Entry:
    """Does what cron does, but for what is given; an option that is None is left out."""
    given = {"cron": "0 3 * * *", "misfire": "skip", "shell": "x", "environment": "cron", **options}
    given = {key: value for key, value in given.items() if value is not None}
    return Entry(
        id=id,
        name=name,
        state=state,
        error=None,
        schedule=str(given.get("cron")),
        what="x",
        timezone="Europe/Berlin",
        next_fire_time=None,
        last_fire_time=None,
        paused_until=None,
        pause_note=None,
        version=1,
        created_at=CREATED,
        updated_at=CREATED,
        options=given,
    )


def exported(*found: Entry, cron: Cron = "debian", form: Form = "user") -> Exported:
    return export(found, Target(cron, form, "Europe/Berlin", "Europe/Berlin", NOW))


def lines_of(*found: Entry, **how: Any) -> list[str]:
    """Without the heading and its blank line."""
    text = exported(*found, **how).text
    return text.splitlines()[2:]


# options -> the line; of another cron than Debian's where one is named
LINES: list[tuple[dict[str, Any], str, Cron]] = [
    ({}, "0 3 * * * x", "debian"),
    ({"cron": "@daily"}, "@daily x", "debian"),
    ({"cron": "@reboot", "misfire": None}, "@reboot x", "debian"),
    ({"cron": "0 0 3 * * *"}, "0 3 * * * x", "debian"),
    ({"cron": "5/20 3 * * mon-fri"}, "5,25,45 3 * * mon-fri x", "debian"),
    ({"cron": "*/5 * * * *", "timezone": "Europe/Berlin"}, "*/5 * * * * x", "debian"),
    ({"shell": "date +%F"}, r"0 3 * * * date +\%F", "debian"),
    ({"shell": "echo 'a b' \\ c"}, "0 3 * * * echo 'a b' \\ c", "debian"),
    ({"shell": "printf '\\\\n'"}, "0 3 * * * printf '\\\\\\\\n'", "debian"),
    ({"shell": "printf '\\\\n'"}, "0 3 * * * printf '\\\\n'", "cronie"),
    ({"stdin": "Dear Bob,\n50% off\n"}, r"0 3 * * * x%Dear Bob,%50\% off", "debian"),
    ({"stdin": "\n"}, "0 3 * * * x%%", "debian"),
    ({"stdin": ""}, "0 3 * * * x%", "debian"),
    ({"cwd": "/srv/a b"}, "0 3 * * * cd '/srv/a b' || exit; x", "debian"),
    ({"overlap": "allow"}, "0 3 * * * x", "debian"),
    ({"cron": "30~45 3 * * *"}, "30~45 3 * * * x", "cronie"),
]


@pytest.mark.parametrize(("options", "line", "cron"), LINES)
def test_what_cron_can_say(options: dict[str, Any], line: str, cron: Cron) -> None:
    assert lines_of(entry(**options), cron=cron) == [line]


def test_what_is_chosen_by_the_name_is_what_was_chosen() -> None:
    [line] = lines_of(entry(cron="H H(2-4) * * *"))
    minute, hour, *rest = line.split()
    assert (minute.isdigit(), hour in "234", rest) == (True, True, ["*", "*", "*", "x"])
    [ranged] = lines_of(entry(cron="30~45 3 * * *"))
    assert 30 <= int(ranged.split()[0]) <= 45


INTERVALS = [
    ("5m", "2-57 of an hour", "2,7,12,17,22,27,32,37,42,47,52,57 * * * *"),
    ("1m", "", "* * * * *"),
    ("2m", "", "*/2 * * * *"),
    ("1h", "", "2 * * * *"),
    ("6h", "from 11 in Berlin", "2 5,11,17,23 * * *"),
    ("1d", "", "2 11 * * *"),
]


@pytest.mark.parametrize(("every", "why", "schedule"), INTERVALS)
def test_intervals_that_divide_an_hour_or_a_day(every: str, why: str, schedule: str) -> None:
    remark, blank, line = lines_of(entry(cron=None, every=every))
    assert line == f"{schedule} x"
    assert (remark, blank) == (f"# job: every {every} by the clock, not from 2026-01-05 10:02:17 UTC", "")


# options -> why not
UNSAYABLE: list[tuple[dict[str, Any], str, Cron]] = [
    ({"cron": "*/10 * * * * *"}, "cron knows no seconds", "debian"),
    ({"cron": "0 0 L * *"}, "cron knows nothing like 'L'", "debian"),
    ({"cron": "0 0 * * 5#2"}, "cron knows nothing like '5#2'", "debian"),
    ({"cron": None, "every": "7m"}, "7m divide neither an hour nor a day into equal parts", "debian"),
    ({"cron": None, "every": "5h"}, "5h divide neither an hour nor a day into equal parts", "debian"),
    ({"cron": None, "every": "2d"}, "2d divide neither an hour nor a day into equal parts", "debian"),
    ({"cron": None, "every": "90s"}, "90s divide neither an hour nor a day into equal parts", "debian"),
    ({"cron": None, "every": "5m", "start_at": "2027-01-01"}, "cron knows nothing like start_at", "debian"),
    ({"cron": None, "calendar_every": "3mo"}, "cron knows nothing like calendar_every = '3mo'", "debian"),
    ({"cron": None, "at": "2027-01-01"}, "cron knows nothing like at", "debian"),
    ({"calendar": "holidays"}, "cron knows nothing like calendar = 'holidays'", "debian"),
    ({"overlap": "skip"}, "cron knows nothing like overlap = 'skip'", "debian"),
    ({"timeout": "5m"}, "cron knows nothing like timeout = '5m'", "debian"),
    ({"on_failure": "pause"}, "cron knows nothing like on_failure = 'pause'", "debian"),
    ({"max_runs": 3}, "cron knows nothing like max_runs = 3", "debian"),
    ({"jitter": "5m"}, "cron knows nothing like jitter = '5m'", "debian"),
    ({"jitter": "90s"}, "cron knows nothing like jitter = '90s'", "cronie"),
    ({"dst_gap": "skip"}, "cron knows nothing like dst_gap = 'skip'", "debian"),
    ({"timezone": "Asia/Tokyo"}, "Debian's cron has the machine's zone alone", "debian"),
    ({"shell": None, "http": "https://a.example"}, "a request of https://a.example", "debian"),
    ({"shell": None, "task": "shop.mail"}, "it is the Celery task shop.mail", "debian"),
    ({"shell": "a\nb"}, "its command has several lines", "debian"),
    # what no text of a line gives
    ({"shell": " x"}, "no line is read by cron as what it does", "debian"),
    ({"shell": "a\\%b"}, "no line is read by cron as what it does", "cronie"),
    ({"stdin": "no newline"}, "no line is read by cron as what it does", "debian"),
    ({"env": {"A": " x "}}, "no line is read by cron as what it does", "debian"),
    ({"env": {"LOGNAME": "root"}}, "no line is read by cron as what it does", "debian"),
    ({"shell": "x" * 1000}, "takes at most 998", "debian"),
]


@pytest.mark.parametrize(("options", "reason", "cron"), UNSAYABLE)
def test_what_cron_cannot_say_is_a_comment_with_the_reason(
    options: dict[str, Any], reason: str, cron: Cron
) -> None:
    done = exported(entry(**options), cron=cron)
    assert (done.said, list(done.unsaid)) == (0, ["job"])
    assert reason in done.unsaid["job"]
    [comment] = done.text.splitlines()[3:]
    assert comment == f"# job is not in here: {done.unsaid['job']}"


REMARKS: list[tuple[dict[str, Any], str]] = [
    ({"misfire": None}, "cron makes up nothing that it missed"),
    ({"environment": None}, "runs in cron's environment, not in the worker's"),
    ({"expires": "3h"}, "cron knows nothing like expires = '3h'"),
    ({"priority": 3, "on_lost": "rerun"}, "without on_lost, priority"),
    ({"cron": "@reboot", "host": "db1"}, "it is for the machine db1"),
]


@pytest.mark.parametrize(("options", "remark"), REMARKS)
def test_what_is_a_little_different_is_told_above(options: dict[str, Any], remark: str) -> None:
    told, blank, line = lines_of(entry(description="Mine", **options))[0:2] + lines_of(entry(**options))[2:3]
    assert (told, blank) == (f"# job: {remark}", "")
    assert line.endswith(" x")


def test_a_paused_one_is_commented_out() -> None:
    done = exported(entry(state="paused", enabled=False, env={"A": "1"}))
    assert done.text.splitlines()[2:] == ["# job is paused", "#0 3 * * * x", ""]


UNSET = "is set for lines above, and cron cannot unset it; export this one by its name"


def test_assignments_stand_only_where_they_change() -> None:
    found = [
        entry("d", id=1, env={"A": "2", "B": ""}, description="The last"),
        entry("a", id=2),
        entry("b", id=3, env={"A": "1"}),
        entry("c", id=4, env={"A": "1"}, mailto="a@b.example"),
        entry("e", id=5, env={"C": "1"}),
    ]
    done = exported(*found)
    assert done.text.splitlines()[2:] == [
        "0 3 * * * x",
        "A=1",
        "0 3 * * * x",
        "MAILTO=a@b.example",
        "0 3 * * * x",
        "",
        f"# e is not in here: A {UNSET}",
        f"# d is not in here: MAILTO {UNSET}",
    ]
    assert exported(found[0]).text.splitlines()[2:] == ["A=2", 'B=""', "# The last", "0 3 * * * x"]


def test_what_cronie_sets_for_itself() -> None:
    # Tokyo's clock never changes
    found = [
        entry("a", timezone="Asia/Tokyo"),
        entry("b", jitter="45m"),
        entry("c"),
        entry("d", timezone="Asia/Tokyo", jitter="5m"),
        entry("e", timezone="Asia/Tokyo", env={"A": "1"}),
    ]
    assert lines_of(*found, cron="cronie") == [
        "0 3 * * * x",
        "RANDOM_DELAY=45",
        "0 3 * * * x",
        "CRON_TZ=Asia/Tokyo",
        "RANDOM_DELAY=0",
        "0 3 * * * x",
        "RANDOM_DELAY=5",
        "0 3 * * * x",
        "A=1",
        "RANDOM_DELAY=0",
        "0 3 * * * x",
    ]


def test_what_cronie_does_when_the_clock_of_another_zone_changes() -> None:
    as_cronie = entry(timezone="America/New_York", dst_gap="skip", dst_fold="both")
    assert lines_of(as_cronie, cron="cronie") == ["CRON_TZ=America/New_York", "0 3 * * * x"]
    _, remark, _, line = lines_of(entry(timezone="America/New_York"), cron="cronie")
    assert "cronie skips or repeats it" in remark
    assert line == "0 3 * * * x"


def test_a_system_crontab_names_the_users() -> None:
    found = [entry("a", queue="user.www-data"), entry("b", queue="user.root"), entry("c", queue="mail")]
    done = exported(*found, form="system")
    assert done.text.splitlines()[2:4] == ["0 3 * * * www-data x", "0 3 * * * root x"]
    assert done.unsaid == {"c": "a system crontab names a user, and its queue is no user's"}


def test_a_users_crontab_is_of_one() -> None:
    found = [entry("a", queue="user.alice"), entry("b", id=2)]
    with pytest.raises(FieldError, match=r"the default queue and user\.alice"):
        exported(*found)
    assert exported(found[0]).text.startswith("# the entries of beatd as a alice crontab")


@pytest.mark.parametrize("description", ["0 4 * * * was", "A=1", "----", "x\ny", " a  b "])
def test_a_description_that_no_comment_says_stands_apart(description: str) -> None:
    comment, blank, line = lines_of(entry(description=description))
    assert comment.startswith("# ")
    assert (blank, line) == ("", "0 3 * * * x")


# There and back


def taken(context: Context, text: str, form: Form, cron: Cron, path: str = "tab") -> dict[str, Any]:
    """Imports a crontab, what is refused left out; the options of all entries by their names."""
    read = read_tab(text.encode("utf-8", "surrogateescape"), path, Rules(cron, form), Taking("Europe/Berlin"))
    importing.compare(context, read.reading, sources=[], partial=True).execute(context)
    return {found.name: dict(found.options) for found in entries.find(context)}


def there_and_back(found: Sequence[Found], form: Form, cron: Cron) -> None:
    """Pure: the options of what was found, exported, are found again."""
    first = [entry(f"e{number}", id=number, **one.options) for number, one in enumerate(found)]
    for one, view in zip(found, first, strict=True):
        assert {key: view.options[key] for key in one.options} == one.options
    done = exported(*first, form=form, cron=cron)
    assert not done.unsaid, done
    data = done.text.encode("utf-8", "surrogateescape")
    again = read_tab(data, "tab", Rules(cron, form), Taking("Europe/Berlin")).reading
    assert again.refused == (), done.text

    def options(several: Sequence[Found]) -> list[str]:
        return sorted(repr(sorted(one.options.items(), key=repr)) for one in several)

    assert options(again.found) == options(found), done.text


TAB = """\
PATH=/usr/bin
# Nightly dump
0  3 * * *\tpg_dump app > /b/$(date +\\%F).sql
MAILTO=""
*/5 * * * * root-like cd /srv && ./x \\\\ y
*/5 * * * * root-like cd /srv && ./x \\\\ y
@reboot   /srv/app/start

PATH=/opt
@daily mail bob%Dear Bob,%%bye%
"""


@pytest.mark.parametrize("cron", ["debian", "cronie"])
def test_import_export_import(context: Context, cron: Cron) -> None:
    first = taken(context, TAB, "user", cron)
    assert len(first) == 5
    found = entries.find(context)
    done = exported(*found, cron=cron)
    # lines are as they were: they say what they said
    assert "0  3 * * *\tpg_dump" in done.text
    for one in found:
        entries.remove(context, one.name)
    assert taken(context, done.text, "user", cron) == first


def test_a_line_that_says_something_else_by_now_is_written_anew(context: Context) -> None:
    taken(context, "0  3 * * *\tx\n", "user", "debian")
    entries.change(context, "x", {"cron": "0 4 * * *"})
    found = entries.find(context)
    assert exported(*found).text.splitlines()[2:] == ["0 4 * * * x"]


FIELDS = (
    st.sampled_from(["*", "0", "*/5", "7,9", "10-20/3", "59"]),
    st.sampled_from(["*", "0", "*/6", "1-5", "22,23"]),
    st.sampled_from(["*", "1", "1,15", "*/2"]),
    st.sampled_from(["*", "1-6", "jan", "*/3"]),
    st.sampled_from(["*", "1-5", "sun", "7", "mon,fri"]),
)
SCHEDULES = st.one_of(
    st.tuples(*FIELDS).map(" ".join), st.sampled_from(["@daily", "@hourly", "@reboot", "@midnight"])
)
#: What is special somewhere, and a byte that is not UTF-8.
TEXTS = st.text(st.sampled_from("ab \\%'\"#=$;\t\udcff-*"), max_size=12)
COMMANDS = TEXTS.map(lambda text: f"x{text}")
ASSIGNMENTS = st.tuples(
    st.sampled_from(["A", "PATH", "MAILTO", "SHELL", '"B C"']), TEXTS.map(lambda text: f"v{text}")
)
TAB_LINES = st.one_of(
    st.tuples(SCHEDULES, COMMANDS).map(" ".join),
    ASSIGNMENTS.map("=".join),
    TEXTS.map(lambda text: f"# about {text}"),
    st.just(""),
)


@given(text=st.lists(TAB_LINES, min_size=1, max_size=8), cron=st.sampled_from(["debian", "cronie"]))
def test_whatever_is_imported_is_exported_as_it_was(text: list[str], cron: Cron) -> None:
    data = "\n".join([*text, ""]).encode("utf-8", "surrogateescape")
    read = read_tab(data, "tab", Rules(cron, "user"), Taking("Europe/Berlin")).reading
    if not any("here it will run" in warning for found in read.found for warning in found.warnings):
        there_and_back(read.found, "user", cron)
