"""The tables. Each has one writer (DESIGN: Tables); hot tables carry no foreign keys to `entries`.

The columns of `entries` hold plain text with the names of SEMANTICS.md, so that an operator can read
and write them by hand. Everything that a version of an entry consists of is in `DEFINITION_COLUMNS`;
the database's triggers copy those, and only those, into `entry_versions`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    false,
    text,
    true,
)

from beatd.store.types import AnyText, Instant, Json, LongText, Name, RunId, Word

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite gives out ids of deleted rows again unless told otherwise, and only INTEGER is a row id there.
_Id = BigInteger().with_variant(Integer, "sqlite")
_MARIADB: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}


def _yes_or_no(column: str) -> Boolean:
    """SQLite would keep `'false'` as text, and any text counts as true: let it be refused when typed."""
    return Boolean(create_constraint=True, name=column)


OPEN_STATES = ("held", "pending", "published", "started", "retrying")
#: `shadow`: recorded as what would have been, never published. Workers tell of the others, or are to.
FINAL_STATES = ("succeeded", "failed", "revoked", "expired", "lost", "shadow")

entries = Table(
    "entries",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", Name, nullable=False, unique=True),
    Column("description", LongText),
    Column("enabled", _yes_or_no("enabled"), nullable=False, server_default=true()),
    # when
    Column("cron", LongText),
    Column("every", LongText),
    Column("at", LongText),
    Column("calendar_every", LongText),
    Column("time", LongText),
    Column("day", LongText),
    Column("solar", LongText),
    Column("latitude", LongText),
    Column("longitude", LongText),
    Column("custom", LongText),
    Column("custom_args", LongText),
    Column("fixed_delay", _yes_or_no("fixed_delay")),
    Column("host", LongText),
    Column("timezone", LongText),
    Column("start_at", LongText),
    Column("end_at", LongText),
    Column("max_runs", Integer),
    Column("calendar", Name),
    Column("calendar_action", LongText),
    Column("jitter", LongText),
    Column("dst_gap", LongText),
    Column("dst_fold", LongText),
    # what
    Column("task", LongText, nullable=False),
    Column("args", LongText),
    Column("kwargs", LongText),
    # where
    Column("queue", LongText),
    Column("exchange", LongText),
    Column("exchange_type", LongText),
    Column("routing_key", LongText),
    Column("priority", Integer),
    Column("headers", LongText),
    Column("serializer", LongText),
    Column("compression", LongText),
    Column("time_limit", LongText),
    Column("soft_time_limit", LongText),
    Column("ignore_result", _yes_or_no("ignore_result")),
    Column("link", LongText),
    Column("link_error", LongText),
    # how
    Column("expires", LongText),
    Column("misfire", LongText),
    Column("misfire_grace", LongText),
    Column("misfire_limit", Integer),
    Column("overlap", LongText),
    Column("lost_after", LongText),
    Column("on_failure", LongText),
    Column("failure_limit", Integer),
    Column("on_lost", LongText),
    # kept for the notifications that are to come
    Column("mailto", LongText),
    # fetched when a run succeeded; told of what is late, missing or failed
    Column("ping_url", LongText),
    Column("alert_url", LongText),
    Column("paused_until", LongText),
    Column("pause_note", LongText),
    # kept by triggers of `calendars`: how often the calendar was edited that the entry named then
    Column("calendar_changes", Integer, nullable=False, server_default=text("0")),
    # kept by triggers; whatever an edit says of these is ignored
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("created_at", Instant),
    Column("updated_at", Instant),
    # or, on MariaDB, an edit of a calendar would lock every entry
    Index("ix_entries_calendar", "calendar"),
    sqlite_autoincrement=True,
    **_MARIADB,
)

_KEPT_BY_TRIGGERS = frozenset({"id", "version", "updated_at"})
DEFINITION_COLUMNS = tuple(c.name for c in entries.columns if c.name not in _KEPT_BY_TRIGGERS)

entry_versions = Table(
    "entry_versions",
    metadata,
    Column("entry_id", _Id, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", Name, nullable=False),
    Column("operation", Word, nullable=False),
    Column("definition", LongText, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("changed_by", LongText),
    Column("door", Word),
    CheckConstraint("operation IN ('insert', 'update', 'delete')", name="operation"),
    **_MARIADB,
)

#: Where an entry was imported from. No part of its definition; it goes with the entry, by a trigger.
origins = Table(
    "origins",
    metadata,
    Column("entry_id", _Id, primary_key=True, autoincrement=False),
    Column("kind", Word, nullable=False),
    Column("source", AnyText, nullable=False),
    Column("place", AnyText, nullable=False),
    Column("text", AnyText, nullable=False),
    # the name and the options that it was imported with
    Column("options", Json, nullable=False),
    Column("imported_at", Instant, nullable=False),
    **_MARIADB,
)

entry_changes = Table(
    "entry_changes",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("entry_id", _Id, nullable=False),
    **_MARIADB,
)

timers = Table(
    "timers",
    metadata,
    Column("entry_id", _Id, primary_key=True, autoincrement=False),
    Column("next_due_at", Instant),
    Column("next_fire_at", Instant),
    Column("last_fire_at", Instant),
    # every fire up to this instant is settled: it has its run or its suppression
    Column("planned_from", Instant, nullable=False),
    Column("planned_version", Integer, nullable=False),
    Column("planner", SmallInteger, nullable=False),
    Column("zone_data", Word),
    Column("state", Word, nullable=False),
    Column("error", LongText),
    # scheduled runs recorded so far, for `max_runs`
    Column("runs_made", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("state IN ('active', 'paused', 'completed', 'broken')", name="state"),
    Index("ix_timers_next_due_at", "next_due_at"),
    **_MARIADB,
)

runs = Table(
    "runs",
    metadata,
    Column("id", RunId, primary_key=True),
    Column("entry_id", _Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("origin", Word, nullable=False),
    Column("fire_time", Instant, nullable=False),
    Column("due_time", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("state", Word, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    # the outbox: who publishes it, and until when nobody else may
    Column("owner", RunId),
    Column("lease_until", Instant),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("run_once", Boolean, nullable=False, server_default=false()),
    Column("published_at", Instant),
    # what workers told
    Column("retries", Integer, nullable=False, server_default=text("0")),
    Column("report_rank", SmallInteger, nullable=False, server_default=text("0")),
    Column("worker", LongText),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    # seconds a started run may go unheard of, and the instant that makes it
    Column("lost_after", Integer, nullable=False),
    Column("lost_at", Instant),
    Column("result", LongText),
    Column("error", LongText),
    Column("reason", LongText),
    # whether its end must nudge the dispatcher
    Column("awaited", Boolean, nullable=False, server_default=false()),
    # how often it may start again after its worker vanished (`on_lost`)
    Column("reruns_left", SmallInteger, nullable=False, server_default=text("0")),
    CheckConstraint(
        "state IN ('held', 'pending', 'published', 'started', 'retrying', "
        "'succeeded', 'failed', 'revoked', 'expired', 'lost', 'shadow')",
        name="state",
    ),
    Index("uq_runs_entry_id_fire_time_origin", "entry_id", "fire_time", "origin", unique=True),
    Index("ix_runs_fire_time", "fire_time"),
    Index("ix_runs_finished_at", "finished_at"),
    # MariaDB has no partial indexes: there the state that comes first does the same
    Index(
        "ix_runs_outbox",
        "state",
        "lease_until",
        postgresql_where=text("state = 'pending'"),
        sqlite_where=text("state = 'pending'"),
    ),
    Index(
        "ix_runs_open",
        "entry_id",
        "state",
        postgresql_where=text("state IN ('held', 'pending', 'published', 'started', 'retrying')"),
        sqlite_where=text("state IN ('held', 'pending', 'published', 'started', 'retrying')"),
    ),
    Index(
        "ix_runs_unstarted",
        "state",
        "expires_at",
        postgresql_where=text("state = 'published'"),
        sqlite_where=text("state = 'published'"),
    ),
    Index(
        "ix_runs_running",
        "state",
        "lost_at",
        postgresql_where=text("state IN ('started', 'retrying')"),
        sqlite_where=text("state IN ('started', 'retrying')"),
    ),
    **_MARIADB,
)

claims = Table(
    "claims",
    metadata,
    Column("run_id", RunId, primary_key=True),
    Column("worker", LongText, nullable=False),
    Column("retries", Integer, nullable=False, server_default=text("0")),
    Column("claimed_at", Instant, nullable=False),
    Column("lease_until", Instant, nullable=False),
    Column("ended_at", Instant),
    Index("ix_claims_lease_until", "ended_at", "lease_until"),
    **_MARIADB,
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("entry_id", _Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", Word, nullable=False),
    Column("count", Integer, nullable=False),
    # counting a very long row stops at a limit; then `count` is a lower bound
    Column("exact", Boolean, nullable=False, server_default=true()),
    Column("first_fire_at", Instant, nullable=False),
    Column("last_fire_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Index("ix_suppressions_recorded_at", "recorded_at"),
    Index("ix_suppressions_entry_id_last_fire_at", "entry_id", "last_fire_at"),
    sqlite_autoincrement=True,
    **_MARIADB,
)

nudges = Table(
    "nudges",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("kind", Word, nullable=False),
    Column("entry_id", _Id),
    Column("run_id", RunId),
    **_MARIADB,
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", RunId, primary_key=True),
    Column("name", Name, nullable=False),
    Column("host", Name, nullable=False),
    Column("boot_id", Word),
    Column("pid", Integer, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
    Column("beatd_version", Word, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("heartbeat_at", Instant, nullable=False),
    Column("status", LongText, nullable=False),
    Column("statistics", LongText),
    # it records without publishing; nodes of both kinds do not share a database
    Column("shadow", Boolean, nullable=False, server_default=false()),
    **_MARIADB,
)

calendars = Table(
    "calendars",
    metadata,
    Column("name", Name, primary_key=True),
    Column("description", LongText),
    # ISO dates between blanks, commas or line ends
    Column("dates", LongText),
    Column("country", LongText),
    Column("region", LongText),
    Column("weekdays", LongText),
    **_MARIADB,
)

#: When everything was paused. Rows stay, for they say why fires of the past made no runs.
pauses = Table(
    "pauses",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("note", LongText),
    Column("who", LongText),
    sqlite_autoincrement=True,
    **_MARIADB,
)

#: Boots of machines that boot entries were fired for.
boots = Table(
    "boots",
    metadata,
    Column("host", Name, primary_key=True),
    Column("boot_id", Word, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    **_MARIADB,
)

audit = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("who", LongText, nullable=False),
    Column("door", Word, nullable=False),
    Column("action", Word, nullable=False),
    Column("entry_id", _Id),
    Column("entry_name", Name),
    Column("detail", LongText),
    Index("ix_audit_entry_id", "entry_id"),
    sqlite_autoincrement=True,
    **_MARIADB,
)

#: One row: which installation this database is; the reports queue carries its id.
installation = Table(
    "installation",
    metadata,
    Column("id", RunId, primary_key=True),
    Column("created_at", Instant, nullable=False),
    **_MARIADB,
)
