"""No password survives, wherever in a text it stands, and what is no password is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from beatd.redaction import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amqp://u:p@h:5672//", "amqp://u:***@h:5672//"),
        ("redis://:p@h:6379/0", "redis://:***@h:6379/0"),
        ("sqla+postgresql+psycopg://u:p@h/d", "sqla+postgresql+psycopg://u:***@h/d"),
        ("amqp://u:p@h1//;amqp://v:q@h2//", "amqp://u:***@h1//;amqp://v:***@h2//"),
        ("amqp://u:p;q@h1//", "amqp://u:***@h1//"),
        ("amqp://u:p@ss/w:rd@h//", "amqp://u:***@h//"),
        (
            "postgresql://h/d?user=u&password=p&sslmode=require",
            "postgresql://h/d?user=u&password=***&sslmode=require",
        ),
        ("rediss://h?ssl_keyfile_password=p", "rediss://h?ssl_keyfile_password=***"),
        ("https://h/hook?access_token=p&x=1", "https://h/hook?access_token=***&x=1"),
        ("cannot reach amqp://u:p@h: refused (a@b)", "cannot reach amqp://u:***@h: refused (a@b)"),
        ("{'url': 'redis://:p@h/0'}", "{'url': 'redis://:***@h/0'}"),
        ("host=h password=p dbname=d", "host=h password=*** dbname=d"),
        ("sqlite:////srv/b.db", "sqlite:////srv/b.db"),
        ("amqp://u@h//", "amqp://u@h//"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ('{"a":"http://x/","b":"amqp://u:p@h"}', '{"a":"http://x/","b":"amqp://u:***@h"}'),
        ("amqp://ann@corp:p@h", "amqp://ann@corp:***@h"),
        ("at 12:30 mail a@b", "at 12:30 mail a@b"),
        ("", ""),
    ],
)
def test_redact(text, expected):
    assert redact(text) == expected
    assert redact(expected) == expected


SCHEMES = st.sampled_from(["amqp", "redis", "rediss", "sqla+postgresql+psycopg", "db+mysql", "SQS", "x-1.y"])
SECRETS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@given(SCHEMES, st.text("abc-_.%", max_size=5), SECRETS, st.sampled_from(["h", "h:1//", "[::1]/0?a=b"]))
def test_no_password_survives(scheme, user, secret, rest):
    assume("://" not in secret)
    url = f"{scheme}://{user}:{secret}@{rest}"
    assert redact(url) == f"{scheme}://{user}:***@{rest}"
    assert redact(f"cannot reach {url} now") == f"cannot reach {scheme}://{user}:***@{rest} now"
    assert redact(f"{url};{url}") == ";".join([f"{scheme}://{user}:***@{rest}"] * 2)


@given(SCHEMES, st.sampled_from(["password", "sslpassword", "passwd", "api_key", "Token"]), SECRETS)
def test_no_password_in_a_query_survives(scheme, name, secret):
    assume(not set(secret) & set("&;@"))
    assert redact(f"{scheme}://h/d?a=b&{name}={secret}&c=d") == f"{scheme}://h/d?a=b&{name}=***&c=d"


@pytest.mark.parametrize(
    "unit",
    ["a", "a:", "x=", ";", "a;", "a://", "://", "://:", ";a://", "password", "?password=", "@", "://u:p;a"],
)
def test_the_time_to_redact_grows_with_the_length_only(unit):
    """A squared time would take minutes here, and the test's own limit would end it."""
    text = "://" + unit * (300_000 // len(unit))
    start = time.process_time()
    redact(text + "=")
    redact("@" + text + "@ =")
    assert time.process_time() - start < 5
