"""What cron's log says that it started, and how that compares with what beatd would have started."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from beatd.clock import wall
from beatd.migrate.crontab import imported
from beatd.migrate.crontab.against_log import Group, LogProof, Recorded, compare_with_log, match
from beatd.migrate.crontab.cron_log import CronLog, printed, read_log
from beatd.migrate.crontab.crons import Form
from beatd.migrate.crontab.entries import Taking
from beatd.migrate.crontab.imported import Entries, Imported
from beatd.migrate.crontab.tabs import Rules, Tabs, read_tab
from beatd.operations.context import Offline

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def read(*lines: str, zone: ZoneInfo = BERLIN, now: datetime = NOW) -> CronLog:
    text = "".join(f"{line}\n" for line in lines)
    return read_log(text.encode("utf-8", "surrogateescape"), zone, now)


def told(log: CronLog) -> list[tuple[str, str, str]]:
    return [
        (f"{one.at.astimezone(BERLIN):%Y-%m-%d %H:%M:%S%z}"[:-2], one.user, one.command)
        for one in log.started
    ]


SAME = ("2026-03-29 03:00:01+02", "root", "/usr/local/bin/backup --all (nightly)")
JOURNAL = {
    "__REALTIME_TIMESTAMP": "1774746001123456",
    "SYSLOG_IDENTIFIER": "CRON",
    "MESSAGE": "(root) CMD (/usr/local/bin/backup --all (nightly))",
}
CMD = "(root) CMD (/usr/local/bin/backup --all (nightly))"


@pytest.mark.parametrize(
    "line",
    [
        f"Mar 29 03:00:01 web1 CRON[4711]: {CMD}",
        f"Mar 29 03:00:01 web1 /USR/SBIN/CRON[4711]: {CMD}",
        f"Mar 29 03:00:01 web1 crond[4711]: {CMD}",
        f"Mar 29 03:00:01 web1 CROND[4711]: {CMD}",
        f"Mar 29 03:00:01.123456 web1 CRON[4711]: {CMD}",
        f"Mar 29 03:00:01 CRON[4711]: {CMD}",
        f"Mar 29 2026 03:00:01 web1 CRON[4711]: {CMD}",
        f"<78>Mar 29 03:00:01 web1 CRON[4711]: {CMD}",
        f"2026-03-29T03:00:01.123456+02:00 web1 CRON[4711]: {CMD}",
        f"2026-03-29T01:00:01Z web1 CRON[4711]: {CMD}",
        f"2026-03-29T03:00:01+0200 web1 CRON[4711]: {CMD}",
        f"<78>1 2026-03-29T01:00:01.123Z web1 CRON 4711 - - {CMD}",
        f"2026-03-29 03:00:01 web1 CRON[4711]: {CMD}",
        f"Sun 2026-03-29 03:00:01 CEST web1 CRON[4711]: {CMD}",
        f"Sun 2026-03-29 01:00:01 UTC web1 CRON[4711]: {CMD}",
        f"1774746001.123456 web1 CRON[4711]: {CMD}",
        "root (03/29-03:00:01-4711) CMD (/usr/local/bin/backup --all (nightly))",
        "Mar 29 03:00:01 web1 CRON[1]: (root) CMD ([4712] /usr/local/bin/backup --all (nightly))",
        json.dumps(JOURNAL),
        json.dumps({**JOURNAL, "MESSAGE": list(str(JOURNAL["MESSAGE"]).encode())}),
    ],
)
def test_forms_of_a_line(line: str) -> None:
    assert told(read(line)) == [SAME]


@pytest.mark.parametrize(
    "line",
    [
        "Mar 29 03:00:01 web1 CRON[4711]: (root) CMDOUT (all is well)",
        "Mar 29 03:00:01 web1 CRON[4711]: (root) CMDEND (/usr/local/bin/backup)",
        "Mar 29 03:00:01 web1 CRON[4711]: (root) END ([4711] /usr/local/bin/backup)",
        "Mar 29 03:00:01 web1 CRON[4711]: pam_unix(cron:session): session opened for user root(uid=0)",
        "Mar 29 03:00:01 web1 cron[88]: (CRON) INFO (pidfile fd = 3)",
        "Mar 29 03:00:01 web1 sudo: root : COMMAND=(root) CMD (x)",
        "Mar 29 03:00:01 web1 logger[4711]: (root) CMD (x)",
        "Foo 29 03:00:01 web1 CRON[4711]: (root) CMD (x)",
        "Mar 35 03:00:01 web1 CRON[4711]: (root) CMD (x)",
        "2026-03-29T29:00:01+02:00 web1 CRON[4711]: (root) CMD (x)",
        "-- Boot 0d6c1a9e --",
        '{"MESSAGE": "(root) CMD (x)"}',
        "{",
        "",
    ],
)
def test_lines_that_start_nothing(line: str) -> None:
    assert read(line).started == ()


def test_a_year_that_is_not_told_follows_from_the_end() -> None:
    log = read(
        "Feb 28 03:00:01 h CRON[1]: (a) CMD (x)",
        "Dec 31 23:59:01 h CRON[1]: (a) CMD (x)",
        "Jan  1 00:00:01 h CRON[1]: (a) CMD (x)",
        "Nov  1 03:00:01 h CRON[1]: (a) CMD (x)",
    )
    assert [at[:10] for at, _, _ in told(log)] == ["2025-02-28", "2025-12-31", "2026-01-01", "2026-11-01"]
    assert told(read("Nov  5 03:00:01 h CRON[1]: (a) CMD (x)"))[0][0].startswith("2025-11-05")
    assert told(read("Feb 29 03:00:01 h CRON[1]: (a) CMD (x)"))[0][0].startswith("2024-02-29")


def test_an_hour_that_comes_twice() -> None:
    """Whose pass a time is of follows from the lines before it, of whomever."""
    log = read(
        "Oct 25 02:30:01 h CRON[1]: (a) CMD (x)",
        "Oct 25 02:59:59 h kernel: something",
        "Oct 25 02:30:01 h CRON[1]: (a) CMD (x)",
        "Oct 25 03:00:01 h CRON[1]: (a) CMD (x)",
    )
    assert [at[-11:] for at, _, _ in told(log)] == ["02:30:01+02", "02:30:01+01", "03:00:01+01"]


def test_how_cron_prints_a_command() -> None:
    assert printed("a\tb \x7f ü") == r"a^Ib ^? \303\274"
    assert printed("\udcff") == r"\377"


ON_TWO = [
    "Mar 10 01:00:01 web1 CRON[1]: (www) CMD (poll)",
    "Mar 10 02:00:01 web2 CRON[1]: (www) CMD (poll)",
    json.dumps({**JOURNAL, "_HOSTNAME": "web2"}),
    "<78>1 2026-03-10T02:00:01Z web3 CRON 4711 - - (www) CMD (poll)",
    "Tue 2026-03-10 04:00:01 CET web1 CRON[1]: (www) CMD (poll)",
    "Mar 10 05:00:00 db1 kernel: end",
    "Mar 10 05:00:01 CRON[1]: (www) CMD (of no host)",
]


def test_hosts_are_told_apart() -> None:
    log = read(*ON_TWO)
    assert (log.host, log.hosts) == (None, {"web1": 2, "web2": 2, "web3": 1})
    text = "".join(f"{line}\n" for line in ON_TWO)
    log = read_log(text.encode(), BERLIN, NOW, "web1")
    assert [at[11:16] for at, _, _ in told(log)] == ["01:00", "04:00", "05:00"], "and what names no host"


def test_of_a_log_in_which_cron_ran_on_one_host_the_others_are_left_out() -> None:
    """They do not make what it covers longer."""
    log = read("Mar 10 01:00:01 web1 CRON[1]: (www) CMD (poll)", "Mar 10 05:00:00 db1 kernel: end")
    assert (log.host, log.since) == ("web1", log.until)


def test_a_log_without_hosts() -> None:
    log = read("Mar 10 01:00:01 CRON[1]: (www) CMD (poll)", "Mar 10 05:00:00 kernel: CPU0: throttled")
    assert (log.host, log.hosts) == (None, {})
    assert log.since != log.until


# Against entries


def tabs(text: str, path: str = "/etc/cron.d/x", form: Form | None = None) -> Tabs:
    data = text.encode("utf-8", "surrogateescape")
    return Tabs((read_tab(data, path, Rules("debian", form), Taking(BERLIN.key)),))


def against(
    text: str, log: Sequence[str], recorded: Recorded | None = None, path: str = "/etc/cron.d/x"
) -> LogProof:
    read_tabs = tabs(text, path)
    entries = imported.would_be(Offline(), read_tabs, wall())
    if recorded is not None:
        entries = _with_ids(read_tabs, entries)
    return compare_with_log(read_tabs, entries, read(*log), BERLIN, recorded)


def _with_ids(read_tabs: Tabs, entries: Entries) -> Entries:
    """As if they were in a database, in the order of their lines."""
    found: dict[str, list[Imported]] = {}
    crontab = read_tabs.tabs[0].crontab
    for id_, line in enumerate((one for one in crontab.lines if one.kind == "entry"), 1):
        (one,) = entries.of_line(crontab, line)
        found[f"{crontab.path}:{line.number}"] = [Imported(one.name, one.schedule, id_)]
    return Entries(found)


def only(proof: LogProof) -> Group:
    (group,) = proof.groups
    return group


def hourly(*hours: int, command: str = "poll", user: str = "www") -> list[str]:
    """A log of a night, from midnight to five."""
    starts = [f"Mar 10 {hour:02}:00:01 h CRON[1]: ({user}) CMD ({command})" for hour in hours]
    return ["Mar 10 00:00:00 h kernel: begin", *starts, "Mar 10 05:30:00 h kernel: end"]


HOURLY = "0 * * * * www poll\n"


def test_everything_matches() -> None:
    proof = against(HOURLY, hourly(0, 1, 2, 3, 4, 5))
    assert proof.holds
    found = only(proof).by_rule
    assert found is not None
    assert (found.matched, found.only_in_log, found.only_in_beatd) == (6, 0, 0)
    assert found.latest == timedelta(seconds=1)


def test_what_only_one_of_the_two_has() -> None:
    proof = against(HOURLY, [*hourly(0, 1, 3, 4), "Mar 10 05:20:01 h CRON[1]: (www) CMD (poll)"])
    assert not proof.holds
    found = only(proof).by_rule
    assert found is not None
    assert (found.matched, found.only_in_log, found.only_in_beatd) == (4, 1, 2)
    assert [f"{at.astimezone(BERLIN):%H:%M}" for at in found.first_in_beatd] == ["02:00", "05:00"]
    assert [f"{at.astimezone(BERLIN):%H:%M}" for at in found.first_in_log] == ["05:20"]


def test_a_start_may_be_late_by_most_of_a_minute() -> None:
    late = [line.replace("02:00:01", "02:00:58") for line in hourly(0, 1, 2, 3, 4, 5)]
    found = only(against(HOURLY, late)).by_rule
    assert found is not None
    assert (found.matched, found.latest.seconds, found.differs) == (6, 58, False)


def test_a_log_that_begins_or_ends_within_a_minute_says_nothing_of_it() -> None:
    """What that minute started may stand in the log before."""
    log = ["Mar 10 01:00:05 h kernel: begin", *hourly(2)[1:2], "Mar 10 03:00:00 h kernel: end"]
    proof = against(HOURLY, log)
    assert proof.holds
    assert only(proof).by_rule is not None


def test_other_users_and_commands_are_none_of_it() -> None:
    log = [*hourly(0, 1, 2, 3, 4, 5), *hourly(3, user="root"), *hourly(3, command="poll --more")]
    proof = against(HOURLY, log)
    assert (proof.holds, proof.strangers) == (True, 2)


def test_a_crontab_of_whom_nobody_knows_is_compared_by_its_commands() -> None:
    proof = against("0 * * * * poll\n", hourly(0, 1, 2, 3, 4, 5, user="anna"), path="crontab")
    assert proof.holds
    assert only(proof).starts == 6


def test_lines_with_one_command_are_compared_together() -> None:
    text = "0 0-2 * * * www poll\n0 3-5 * * * www poll\n0 4 * * * www poll\n"
    proof = against(text, hourly(0, 1, 2, 3, 4, 4, 5))
    group = only(proof)
    assert group.by_rule is not None
    assert (len(group.where), group.by_rule.matched, group.by_rule.merged, proof.holds) == (3, 6, 1, True)


COMMANDS = [
    ("  cd / && run-parts x", "  cd / && run-parts x"),
    ("date +\\%F", "date +%F"),
    ("cat%a%b", "cat"),
    ("echo ü", r"echo \303\274"),
    ("echo ü", "echo ü"),
    ("echo\ta", "echo^Ia"),
    ("echo \udcff", r"echo \377"),
]


@pytest.mark.parametrize(("written", "logged"), COMMANDS)
def test_commands_are_known_again(written: str, logged: str) -> None:
    proof = against(f"0 * * * * www {written}\n", hourly(0, 1, 2, 3, 4, 5, command=logged))
    assert (only(proof).starts, proof.holds) == (6, True)


def test_a_command_that_was_cut_off_is_known_by_its_beginning() -> None:
    long = "x" * 900
    log = [line.removesuffix(f"{'x' * 200})") for line in hourly(0, 1, 2, 3, 4, 5, command=long)]
    assert only(against(f"0 * * * * www {long}\n", log)).starts == 6
    two = f"0 * * * * www {long}\n0 * * * * www {long}y\n"
    assert against(two, log).strangers == 6, "of which of the two it is nobody can tell"


def test_the_night_on_which_the_clock_is_put_forward() -> None:
    log = [
        "Mar 29 00:00:00 h kernel: begin",
        *[f"Mar 29 03:00:{second:02} h CRON[1]: (www) CMD (two)" for second in (1, 11)],
        "Mar 29 12:00:00 h kernel: end",
    ]
    proof = against("0,30 2 * * * www two\n", log)
    found = only(proof).by_rule
    assert found is not None
    assert (found.matched, found.merged, proof.holds) == (1, 1, True)


def test_the_night_on_which_it_is_put_back() -> None:
    begin, end = "Oct 25 00:00:00 h kernel: begin", "Oct 25 12:00:00 h kernel: end"
    once = "Oct 25 02:30:01 h CRON[1]: (www) CMD (fixed)"
    assert against("30 2 * * * www fixed\n", [begin, once, end]).holds
    twice = against("30 2 * * * www fixed\n", [begin, once, "Oct 25 02:59:59 h kernel: x", once, end])
    assert not twice.holds
    wild = once.replace("fixed", "wild")
    both = [begin, wild, "Oct 25 02:59:59 h kernel: x", wild, end]
    assert against("30 */2 * * * www wild\n", both).groups[0].starts == 2


def test_a_time_that_came_twice_is_the_one_that_fits() -> None:
    """A log of the second pass alone, where nothing before it tells."""
    log = read("Oct 25 02:30:01 h CRON[1]: (www) CMD (x)", "Oct 25 12:00:00 h kernel: end")
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    found = match(log.started, [second], {}, second - timedelta(hours=2), second + timedelta(hours=9))
    assert (found.matched, found.differs, found.latest) == (1, False, timedelta(seconds=1))


def test_what_was_recorded_in_shadow_mode_counts_beside_the_rule() -> None:
    fires = [datetime(2026, 3, 10, hour - 1, tzinfo=UTC) for hour in (2, 4)]
    recorded = Recorded({1: fires}, fires[0], fires[-1])
    proof = against(HOURLY, hourly(0, 1, 2, 3, 4, 5), recorded)
    found = only(proof).recorded
    assert found is not None
    assert (found.matched, found.only_in_log, found.only_in_beatd) == (2, 1, 0), "at three nothing was"
    assert not proof.holds
    rule = only(proof).by_rule
    assert rule is not None
    assert not rule.differs


def test_boots_are_not_compared() -> None:
    group = only(against("@reboot www poll\n", hourly(3)))
    assert (group.starts, group.by_rule, group.note) == (1, None, "it runs at boots, at no time of day")


def test_a_log_that_says_nothing_proves_nothing() -> None:
    assert not against(HOURLY, []).holds
    assert not against(HOURLY, ["what is this", "-- No entries --"]).holds
