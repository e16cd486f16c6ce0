"""A value of each column that works: what refusals show where nothing fits what was given better."""

from __future__ import annotations

EXAMPLES = {
    "name": "nightly-backup",
    "cron": "30 6 * * 1-5",
    "every": "10m",
    "at": "2026-03-29T09:30:00Z",
    "calendar_every": "1mo",
    "solar": "sunrise",
    "custom": "office_hours",
    "timezone": "Europe/Berlin",
    "dst_gap": "run_after",
    "dst_fold": "first",
    "fixed_delay": "true",
    "time": "09:00",
    "day": "last",
    "latitude": "52.52",
    "longitude": "13.405",
    "custom_args": '{"hour": "9-17"}',
    "host": "db1",
    "start_at": "2026-03-29T09:30:00Z",
    "end_at": "2099-12-31T00:00:00Z",
    "max_runs": "10",
    "calendar": "holidays",
    "calendar_action": "drop",
    "jitter": "5m",
    "task": "proj.tasks.cleanup",
    "args": "[1, 2]",
    "kwargs": '{"key": "value"}',
    "queue": "slow",
    "exchange": "jobs",
    "exchange_type": "topic",
    "routing_key": "jobs.slow",
    "priority": "5",
    "headers": '{"team": "data"}',
    "serializer": "json",
    "compression": "zlib",
    "time_limit": "1h",
    "soft_time_limit": "50m",
    "link": "proj.tasks.notify",
    "link_error": "proj.tasks.notify",
    "expires": "10m",
    "misfire": "latest",
    "misfire_grace": "1h",
    "misfire_limit": "100",
    "overlap": "allow",
    "on_failure": "pause",
    "failure_limit": "3",
    "on_lost": "continue",
    "lost_after": "24h",
    "paused_until": "2099-12-31T00:00:00Z",
    "mailto": "ops@example.org",
    "ping_url": "https://hc-ping.com/2f7b0c1e-nightly",
    "alert_url": "https://ops.example.org/beatd",
}


def given(column: str) -> str:
    """How an entries file gives the example of a column: of one that is to be given besides, or instead."""
    value = EXAMPLES[column]
    return f"{column} = {value}" if column == "fixed_delay" else f"{column} = {value!r}"
