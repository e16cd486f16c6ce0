from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatd.migrate.systemd_timers.time_spans import SpanError, parse_span
from tests.migrate.systemd_timers import oracle

SPANS = {
    "90": timedelta(seconds=90),
    "5min": timedelta(minutes=5),
    "1h 30min": timedelta(minutes=90),
    "1h30min": timedelta(minutes=90),
    "2 h": timedelta(hours=2),
    "1d": timedelta(days=1),
    "5m 30": timedelta(minutes=5, seconds=30),
    "1.5h": timedelta(minutes=90),
    ".5s": timedelta(milliseconds=500),
    "55s500ms": timedelta(seconds=55.5),
    "300ms20s 5day": timedelta(days=5, seconds=20.3),
    "1w": timedelta(weeks=1),
    "1M": timedelta(seconds=2_629_800),
    "1month": timedelta(seconds=2_629_800),
    "1y": timedelta(days=365.25),
    "1us": timedelta(microseconds=1),
    "0": timedelta(0),
}


@pytest.mark.parametrize("text", SPANS)
def test_spans_are_as_long_as_systemd_says(text: str) -> None:
    parsed = parse_span(text)
    assert parsed == SPANS[text]
    assert oracle.span(text) == parsed // timedelta(microseconds=1)


def test_infinity_never_comes() -> None:
    assert parse_span("infinity") is None


@pytest.mark.parametrize("text", ["", "x", "5 parsecs", "-5s", "3 m s", "1,5s", "1..5", "5."])
def test_no_spans(text: str) -> None:
    with pytest.raises(SpanError):
        parse_span(text)
    assert oracle.span(text) is None


@given(st.text("0123456789. smhdwMy", min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_as_systemd_reads_it(text: str) -> None:
    expected = oracle.span(text)
    try:
        parsed = parse_span(text)
    except SpanError:
        assert expected is None
    else:
        assert parsed is not None
        assert expected == parsed // timedelta(microseconds=1)
