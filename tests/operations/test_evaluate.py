"""Rules that are asked about without an entry: literal questions, literal answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from beatd.errors import FieldError, InvalidInput
from beatd.operations.evaluate import KEYS, Evaluator, Sources
from beatd.planning.preview import Coming
from beatd.planning.timing import Surroundings
from beatd.schedules import DateSet, parse_date_set

NOW = datetime(2026, 3, 28, 12, 0, 0, 700_000, tzinfo=UTC)
STORED = {"off": parse_date_set("2026-03-29")}


@dataclass
class Asked:
    """What an evaluator had to ask."""

    what: list[str] = field(default_factory=list)

    def sources(self, timezone: str = "UTC") -> Sources:
        def configured() -> Surroundings:
            self.what.append("configuration")
            return Surroundings(timezone)

        def calendars() -> Mapping[str, DateSet]:
            self.what.append("calendars")
            return STORED

        return Sources(lambda: NOW, configured, calendars)


@pytest.fixture
def evaluator() -> Evaluator:
    return Evaluator(Asked().sources())


def answers(evaluator: Evaluator, **question: Any) -> dict[str, Any]:
    return evaluator.answer(json.dumps(question))


# One question, its fires. Where `after` is not given, it is NOW without its fraction.
FIRES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {
            "cron": "*/5 2-4 * * MON",
            "timezone": "Europe/Berlin",
            "after": "2026-03-28T23:00Z",
            "n": 2,
        },
        ["2026-03-30T00:00:00Z", "2026-03-30T00:05:00Z"],
    ),
    ({"cron": "0 3 * * *", "n": 1}, ["2026-03-29T03:00:00Z"]),
    ({"cron": "30 2 * * *", "timezone": "Europe/Berlin", "n": 1}, ["2026-03-29T01:00:00Z"]),
    (
        {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "n": 1, "dst_gap": "skip"},
        ["2026-03-30T00:30:00Z"],
    ),
    # `after` is wall time of the zone without an offset, and strict
    (
        {"cron": "0 3 * * *", "timezone": "Asia/Tokyo", "after": "2026-03-28T03:00", "n": 1},
        ["2026-03-28T18:00:00Z"],
    ),
    ({"cron": "0 3 * * *", "after": "2026-03-28T04:00+01:00", "n": 1}, ["2026-03-29T03:00:00Z"]),
    ({"cron": "0 3 * * *", "after": "2026-03-28T03:59+01:00", "n": 1}, ["2026-03-28T03:00:00Z"]),
    # intervals count from `after`, or from start_at, which is the first
    ({"every": "90s", "n": 2}, ["2026-03-28T12:01:30Z", "2026-03-28T12:03:00Z"]),
    (
        {"every": "1h", "start_at": "2026-03-28T11:59Z", "n": 2},
        ["2026-03-28T12:59:00Z", "2026-03-28T13:59:00Z"],
    ),
    ({"every": "1h", "start_at": "2026-04-01", "n": 1}, ["2026-04-01T00:00:00Z"]),
    ({"every": "5m", "fixed_delay": True, "n": 1}, ["2026-03-28T12:05:00Z"]),
    ({"at": "2026-04-01T09:00", "timezone": "Asia/Tokyo"}, ["2026-04-01T00:00:00Z"]),
    (
        {"calendar_every": "1mo", "day": "last", "time": "09:00", "after": "2026-01-31T09:00Z", "n": 2},
        ["2026-02-28T09:00:00Z", "2026-03-31T09:00:00Z"],
    ),
    # numbers do where an entries file takes them
    ({"calendar_every": "1mo", "day": 15, "n": 1}, ["2026-04-15T00:00:00Z"]),
    ({"solar": "noon", "latitude": 0, "longitude": 0.0, "n": 1}, ["2026-03-28T12:05:02Z"]),
    # fewer than asked for, and none
    ({"at": "2020-01-01"}, []),
    ({"cron": "@reboot"}, []),
    ({"cron": "0 3 * * *", "end_at": "2026-03-30T12:00Z"}, ["2026-03-29T03:00:00Z", "2026-03-30T03:00:00Z"]),
    ({"cron": "0 3 * * *", "end_at": "2026-03-29T02:00Z"}, []),
    ({"cron": "0 3 * * *", "end_at": "2020-01-01"}, []),
    ({"every": "5m", "end_at": "2026-03-28T12:04Z"}, []),
    ({"calendar_every": "1mo", "end_at": "2026-03-01"}, []),
    # max_runs: from start_at on, else from `after` on
    ({"cron": "0 3 * * *", "max_runs": 2}, ["2026-03-29T03:00:00Z", "2026-03-30T03:00:00Z"]),
    ({"cron": "0 3 * * *", "max_runs": 3, "start_at": "2026-03-27"}, ["2026-03-29T03:00:00Z"]),
    ({"solar": "noon", "latitude": 0, "longitude": 0, "start_at": "2020-01-01", "max_runs": 2000}, []),
    # calendars, given or stored
    (
        {
            "cron": "0 0 * * *",
            "after": "2026-12-24T12:00Z",
            "n": 2,
            "calendar": {"country": "DE", "weekdays": ["sat", "sun"], "action": "next"},
        },
        ["2026-12-28T00:00:00Z", "2026-12-29T00:00:00Z"],
    ),
    (
        {"cron": "0 3 * * *", "n": 1, "calendar": {"dates": ["2026-03-29", "2026-03-30"]}},
        ["2026-03-31T03:00:00Z"],
    ),
    (
        {"cron": "0 3 * * *", "n": 1, "calendar": {"dates": "2026-03-29"}, "calendar_action": "previous"},
        ["2026-03-30T03:00:00Z"],
    ),
    ({"cron": "0 3 * * *", "n": 1, "calendar": "off"}, ["2026-03-30T03:00:00Z"]),
    # null is not given
    ({"cron": "0 3 * * *", "every": None, "after": None, "n": 1, "name": None}, ["2026-03-29T03:00:00Z"]),
]


@pytest.mark.parametrize(("question", "fire_times"), FIRES)
def test_the_fires_of_a_question(
    evaluator: Evaluator, question: dict[str, Any], fire_times: list[str]
) -> None:
    assert answers(evaluator, **question) == {"fire_times": fire_times}
    assert answers(evaluator, **question) == {"fire_times": fire_times}  # and of one that is asked again


def test_five_are_told_and_ten_thousand_at_most(evaluator: Evaluator) -> None:
    assert len(answers(evaluator, cron="* * * * *")["fire_times"]) == 5
    assert len(answers(evaluator, cron="* * * * *", n=10_000)["fire_times"]) == 10_000


def test_what_hashes_by_the_name(evaluator: Evaluator) -> None:
    rule = {"cron": "H H * * *", "n": 2, "timezone": "UTC"}
    one, other = answers(evaluator, name="one", **rule), answers(evaluator, name="other", **rule)
    assert one != other
    assert answers(evaluator, name="one", **rule) == one
    assert "H is hashed by the entry's name: give name" in answers(evaluator, **rule)["error"]
    jittered = answers(evaluator, name="one", jitter="1h", **rule)
    assert jittered["fire_times"] == one["fire_times"]  # jitter never moves a fire time
    late = [
        datetime.fromisoformat(due) - datetime.fromisoformat(fire)
        for fire, due in zip(jittered["fire_times"], jittered["due_times"], strict=True)
    ]
    assert all(0 <= span.total_seconds() < 3600 for span in late)
    assert len(set(late)) == 2
    # whose due times nobody knows
    assert answers(evaluator, cron="0 3 * * *", n=1, jitter="1h") == {"fire_times": ["2026-03-29T03:00:00Z"]}


EXAMPLE = """; for example '{"cron": "*/5 * * * *", "timezone": "Europe/Berlin"}'"""

ERRORS: list[tuple[bytes | str, str]] = [
    ("", f"line: '': is blank; a JSON object is wanted{EXAMPLE}"),
    (" \r", f"line: '': is blank; a JSON object is wanted{EXAMPLE}"),
    ("[1]", f"line: [1]: is not a JSON object{EXAMPLE}"),
    ("{", "line: '{': is not JSON: Expecting property name"),
    (b'{"cron": "\xff"}', 'line: \'{"cron": "\ufffd"}\': is not UTF-8: byte 11 is 0xff'),
    ("[" * 100_000, "is not JSON: "),
    ("9" * 10_000, "is not JSON: "),
    ('{"n": NaN, "cron": "@daily"}', "n: nan: a whole number from 1 to 10000; for example '5'"),
    ("{}", "schedule: None: give exactly one of cron, every"),
    ('{"cron": "@daily", "at": "2027-01-01"}', "schedule: 'cron and at': give exactly one"),
    (
        '{"corn": "@daily", "every": "5m"}',
        "corn: '@daily': unknown; did you mean 'cron'?; for example '{\"cron\": \"30 6 * * 1-5\"}'",
    ),
    (
        '{"maxruns": 3, "every": "5m"}',
        """unknown; did you mean 'max_runs'?; for example '{"max_runs": 10}'""",
    ),
    (
        '{"calendar": {"weekday": "sat"}, "every": "5m"}',
        """did you mean 'weekdays'?; for example '{"weekdays": ["sat", "sun"]}'""",
    ),
    ('{"cron": "@daily", "shell": "x"}', "shell: 'x': unknown; known are name, at, calendar"),
    ('{"cron": "61 * * * *"}', "cron: '61 * * * *': minute '61': 61 is not in 0-59"),
    ('{"cron": 5}', "cron: '5': has 1 field"),
    ('{"cron": ["x"]}', "cron: ['x']: text is wanted"),
    ('{"cron": "@daily", "n": 0}', "n: 0: a whole number from 1 to 10000"),
    ('{"cron": "@daily", "n": 2.0}', "n: 2.0: a whole number"),
    ('{"cron": "@daily", "n": true}', "n: True: a whole number"),
    ('{"cron": "@daily", "n": 10001}', "n: 10001: a whole number"),
    ('{"cron": "@daily", "after": 5}', "after: 5: text is wanted"),
    ('{"cron": "@daily", "after": "soon"}', "after: 'soon': is not a date and time in ISO 8601"),
    ('{"cron": "@daily", "timezone": "Europe/Brelin"}', "did you mean 'Europe/Berlin'"),
    ('{"cron": "@daily", "timezone": ["x"]}', "timezone: ['x']: text is wanted"),
    ('{"cron": "@daily", "max_runs": 0}', "max_runs: 0: a whole number from 1"),
    ('{"cron": "@daily", "fixed_delay": true}', "fixed_delay: True: is for every only"),
    ('{"every": "5m", "fixed_delay": "yes"}', "fixed_delay: 'yes': true or false"),
    ('{"every": "5"}', "every: '5': has no unit; did you mean '5s'?"),
    ('{"every": "1h", "start_at": "2026-04-01", "end_at": "2026-03-01"}', "end_at: '2026-03-01': before"),
    (
        '{"cron": "@daily", "calendar": "of"}',
        "calendar: 'of': there is no such calendar; did you mean 'off'?",
    ),
    ('{"cron": "@daily", "calendar": {"land": "DE"}}', "calendar.land: 'DE': unknown; known are dates,"),
    ('{"cron": "@daily", "calendar": {}}', "dates: None: give dates, weekdays or country"),
    ('{"cron": "@daily", "calendar": {"dates": [5]}}', "dates: 5: text is wanted"),
    ('{"cron": "@daily", "name": "\\ud800"}', "name: '\\ud800': is not the name of an entry"),
    ('{"custom": "x"}', "custom: 'x': is not among the configuration's schedules.custom"),
]


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", "\ufeff"])
def test_every_line_may_begin_with_the_mark_of_its_file(evaluator: Evaluator, mark: bytes | str) -> None:
    question = '{"cron": "@daily", "after": "2026-03-28T12:00Z", "n": 1}'
    line = mark + question.encode() if isinstance(mark, bytes) else mark + question
    assert evaluator.answer(line) == evaluator.answer(question)
    assert "fire_times" in evaluator.answer(line)


@pytest.mark.parametrize(("line", "said"), ERRORS)
def test_what_is_wrong_is_the_answer(evaluator: Evaluator, line: bytes | str, said: str) -> None:
    answer = evaluator.answer(line)
    assert list(answer) == ["error"]
    assert said in answer["error"]
    assert "\n" not in answer["error"]
    assert "bug" not in answer["error"]
    json.dumps(answer).encode("ascii")


def test_everything_that_is_wrong_is_said_at_once(evaluator: Evaluator) -> None:
    with pytest.raises(InvalidInput) as caught:
        evaluator.evaluate({"cron": "61 * * * *", "timezone": "Nowhere", "jitter": "2x"}, 5, "soon")
    assert [finding.field for finding in caught.value.findings] == ["timezone", "jitter", "cron", "after"]
    with pytest.raises(FieldError, match="count: 0"):
        evaluator.evaluate({"cron": "@daily"}, 0)


def test_nothing_is_opened_that_is_not_needed() -> None:
    asked = Asked()
    evaluator = Evaluator(asked.sources("Asia/Tokyo"))
    answers(evaluator, cron="@daily", timezone="UTC", calendar={"dates": "2026-01-01"})
    assert asked.what == []
    assert answers(evaluator, cron="@daily", n=1) == {"fire_times": ["2026-03-28T15:00:00Z"]}
    answers(evaluator, cron="@hourly")
    assert asked.what == ["configuration"]
    answers(evaluator, cron="@daily", calendar="off")
    answers(evaluator, cron="@hourly", calendar="off")
    assert asked.what == ["configuration", "calendars"]


def test_an_evaluation_has_the_sentence_and_the_remarks(evaluator: Evaluator) -> None:
    found = evaluator.evaluate({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, 1)
    assert (found.schedule, found.timezone) == ("at 02:30 every day, Europe/Berlin", "Europe/Berlin")
    assert found.after == NOW.replace(microsecond=0)
    [coming] = found.coming
    assert isinstance(coming, Coming)
    assert coming.remarks == ("02:30 is skipped that night: fires at the first instant after the gap",)
    naive = evaluator.evaluate(
        {"cron": "30 2 * * *", "timezone": "Asia/Tokyo"}, 1, datetime(2026, 5, 1, 2, 30)
    )
    assert naive.fire_times == (datetime(2026, 5, 1, 17, 30, tzinfo=UTC),)


NOTES = [
    ({"cron": "@reboot"}, "nobody knows a boot beforehand"),
    ({"every": "5m", "fixed_delay": True}, "as if each run took no time"),
    (
        {"cron": "@daily", "jitter": "5m"},
        "jitter is hashed by the entry's name: with it, due times can be told",
    ),
    ({"cron": "@daily", "jitter": "5m", "name": "x"}, None),
]


@pytest.mark.parametrize(("options", "note"), NOTES)
def test_what_is_taken_for_granted_is_said(
    evaluator: Evaluator, options: dict[str, Any], note: str | None
) -> None:
    assert evaluator.evaluate(options).note == note


def test_the_keys_are_those_that_say_when_an_entry_fires() -> None:
    assert {"cron", "every", "at", "calendar_every", "solar", "custom", "timezone", "after", "n"} < set(KEYS)
    assert "shell" not in KEYS
    assert "enabled" not in KEYS
