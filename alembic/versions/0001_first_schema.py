"""The first schema: entries and their versions, timers, runs, and what belongs to them."""

import uuid

import sqlalchemy as sa

from alembic import op
from beatd import clock
from beatd.store import triggers
from beatd.store.types import Instant, LongText, Name, RunId, Word

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MARIADB = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}

#: What an entry's definition consisted of at this revision.
DEFINITION_COLUMNS = (
    "name",
    "description",
    "enabled",
    "cron",
    "every",
    "at",
    "timezone",
    "start_at",
    "end_at",
    "dst_gap",
    "dst_fold",
    "task",
    "args",
    "kwargs",
    "queue",
    "exchange",
    "exchange_type",
    "routing_key",
    "priority",
    "headers",
    "serializer",
    "compression",
    "time_limit",
    "soft_time_limit",
    "ignore_result",
    "link",
    "link_error",
    "expires",
    "misfire",
    "misfire_grace",
    "misfire_limit",
    "overlap",
    "lost_after",
    "created_at",
)

TABLES = (
    "audit",
    "calendars",
    "claims",
    "entries",
    "entry_changes",
    "entry_versions",
    "installation",
    "nodes",
    "nudges",
    "runs",
    "suppressions",
    "timers",
)


def statements(dialect: str) -> list[str]:
    """The triggers and views of this revision."""
    seconds = {
        "sqlite": "ROUND((julianday(r.finished_at) - julianday(r.started_at)) * 86400, 3)",
        "postgresql": "EXTRACT(EPOCH FROM r.finished_at - r.started_at)",
    }.get(dialect, "TIMESTAMPDIFF(MICROSECOND, r.started_at, r.finished_at) / 1000000")
    at, create = '"at"', "CREATE VIEW"
    if dialect in ("mariadb", "mysql"):
        at, create = "`at`", "CREATE OR REPLACE VIEW"
    return [
        *triggers.on_entries(dialect, DEFINITION_COLUMNS),
        f"""
{create} upcoming AS
SELECT t.next_fire_at, t.next_due_at, e.name, COALESCE(e.cron, e.every, e.{at}) AS schedule, e.timezone,
       e.task, e.enabled, t.state, t.last_fire_at, t.error, e.id AS entry_id
FROM entries e LEFT JOIN timers t ON t.entry_id = e.id""",
        f"""
{create} recent_runs AS
SELECT r.fire_time, v.name, r.state, r.started_at, r.finished_at, {seconds} AS seconds, r.worker, r.result,
       r.error, r.reason, r.origin, r.published_at, r.expires_at, r.id AS run_id, r.entry_id, r.version
FROM runs r LEFT JOIN entry_versions v ON v.entry_id = r.entry_id AND v.version = r.version""",
    ]


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("who", LongText, nullable=False),
        sa.Column("door", Word, nullable=False),
        sa.Column("action", Word, nullable=False),
        sa.Column("entry_id", Id, nullable=True),
        sa.Column("entry_name", Name, nullable=True),
        sa.Column("detail", LongText, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        **MARIADB,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entry_id", "audit", ["entry_id"], unique=False)
    op.create_table(
        "calendars",
        sa.Column("name", Name, nullable=False),
        sa.Column("description", LongText, nullable=True),
        sa.Column("dates", LongText, nullable=True),
        sa.Column("country", LongText, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_calendars")),
        **MARIADB,
    )
    op.create_table(
        "claims",
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("worker", LongText, nullable=False),
        sa.Column("retries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("claimed_at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_claims")),
        **MARIADB,
    )
    op.create_index("ix_claims_lease_until", "claims", ["ended_at", "lease_until"], unique=False)
    op.create_table(
        "entries",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("description", LongText, nullable=True),
        sa.Column(
            "enabled",
            sa.Boolean(create_constraint=True, name=op.f("ck_entries_enabled")),
            server_default=sa.true(),
            nullable=False,
        ),
        sa.Column("cron", LongText, nullable=True),
        sa.Column("every", LongText, nullable=True),
        sa.Column("at", LongText, nullable=True),
        sa.Column("timezone", LongText, nullable=True),
        sa.Column("start_at", LongText, nullable=True),
        sa.Column("end_at", LongText, nullable=True),
        sa.Column("dst_gap", LongText, nullable=True),
        sa.Column("dst_fold", LongText, nullable=True),
        sa.Column("task", LongText, nullable=False),
        sa.Column("args", LongText, nullable=True),
        sa.Column("kwargs", LongText, nullable=True),
        sa.Column("queue", LongText, nullable=True),
        sa.Column("exchange", LongText, nullable=True),
        sa.Column("exchange_type", LongText, nullable=True),
        sa.Column("routing_key", LongText, nullable=True),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("headers", LongText, nullable=True),
        sa.Column("serializer", LongText, nullable=True),
        sa.Column("compression", LongText, nullable=True),
        sa.Column("time_limit", LongText, nullable=True),
        sa.Column("soft_time_limit", LongText, nullable=True),
        sa.Column(
            "ignore_result",
            sa.Boolean(create_constraint=True, name=op.f("ck_entries_ignore_result")),
            nullable=True,
        ),
        sa.Column("link", LongText, nullable=True),
        sa.Column("link_error", LongText, nullable=True),
        sa.Column("expires", LongText, nullable=True),
        sa.Column("misfire", LongText, nullable=True),
        sa.Column("misfire_grace", LongText, nullable=True),
        sa.Column("misfire_limit", sa.Integer(), nullable=True),
        sa.Column("overlap", LongText, nullable=True),
        sa.Column("lost_after", LongText, nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", Instant(), nullable=True),
        sa.Column("updated_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        sa.UniqueConstraint("name", name=op.f("uq_entries_name")),
        **MARIADB,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "entry_changes",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("entry_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entry_changes")),
        **MARIADB,
    )
    op.create_table(
        "entry_versions",
        sa.Column("entry_id", Id, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("operation", Word, nullable=False),
        sa.Column("definition", LongText, nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("changed_by", LongText, nullable=True),
        sa.Column("door", Word, nullable=True),
        sa.CheckConstraint(
            "operation IN ('insert', 'update', 'delete')", name=op.f("ck_entry_versions_operation")
        ),
        sa.PrimaryKeyConstraint("entry_id", "version", name=op.f("pk_entry_versions")),
        **MARIADB,
    )
    op.create_table(
        "installation",
        sa.Column("id", RunId, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        **MARIADB,
    )
    op.create_table(
        "nodes",
        sa.Column("id", RunId, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("host", Name, nullable=False),
        sa.Column("boot_id", Word, nullable=True),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started", sa.BigInteger(), nullable=False),
        sa.Column("beatd_version", Word, nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("heartbeat_at", Instant(), nullable=False),
        sa.Column("status", LongText, nullable=False),
        sa.Column("statistics", LongText, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        **MARIADB,
    )
    op.create_table(
        "nudges",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("kind", Word, nullable=False),
        sa.Column("entry_id", Id, nullable=True),
        sa.Column("run_id", RunId, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nudges")),
        **MARIADB,
    )
    op.create_table(
        "runs",
        sa.Column("id", RunId, nullable=False),
        sa.Column("entry_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("origin", Word, nullable=False),
        sa.Column("fire_time", Instant(), nullable=False),
        sa.Column("due_time", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("state", Word, nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("owner", RunId, nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("run_once", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("published_at", Instant(), nullable=True),
        sa.Column("retries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("report_rank", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker", LongText, nullable=True),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("lost_after", sa.Integer(), nullable=False),
        sa.Column("lost_at", Instant(), nullable=True),
        sa.Column("result", LongText, nullable=True),
        sa.Column("error", LongText, nullable=True),
        sa.Column("reason", LongText, nullable=True),
        sa.CheckConstraint(
            "state IN ('held', 'pending', 'published', 'started', 'retrying', "
            "'succeeded', 'failed', 'revoked', 'expired', 'lost')",
            name=op.f("ck_runs_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        **MARIADB,
    )
    op.create_index("ix_runs_finished_at", "runs", ["finished_at"], unique=False)
    op.create_index("ix_runs_fire_time", "runs", ["fire_time"], unique=False)
    op.create_index(
        "ix_runs_open",
        "runs",
        ["entry_id", "state"],
        unique=False,
        postgresql_where=sa.text("state IN ('held', 'pending', 'published', 'started', 'retrying')"),
        sqlite_where=sa.text("state IN ('held', 'pending', 'published', 'started', 'retrying')"),
    )
    op.create_index(
        "ix_runs_outbox",
        "runs",
        ["state", "lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_runs_running",
        "runs",
        ["state", "lost_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('started', 'retrying')"),
        sqlite_where=sa.text("state IN ('started', 'retrying')"),
    )
    op.create_index(
        "ix_runs_unstarted",
        "runs",
        ["state", "expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'published'"),
        sqlite_where=sa.text("state = 'published'"),
    )
    op.create_index(
        "uq_runs_entry_id_fire_time_origin", "runs", ["entry_id", "fire_time", "origin"], unique=True
    )
    op.create_table(
        "suppressions",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("entry_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", Word, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("exact", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("first_fire_at", Instant(), nullable=False),
        sa.Column("last_fire_at", Instant(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        **MARIADB,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_suppressions_recorded_at", "suppressions", ["recorded_at"], unique=False)
    op.create_index(
        "ix_suppressions_entry_id_last_fire_at", "suppressions", ["entry_id", "last_fire_at"], unique=False
    )
    op.create_table(
        "timers",
        sa.Column("entry_id", Id, autoincrement=False, nullable=False),
        sa.Column("next_due_at", Instant(), nullable=True),
        sa.Column("next_fire_at", Instant(), nullable=True),
        sa.Column("last_fire_at", Instant(), nullable=True),
        sa.Column("planned_from", Instant(), nullable=False),
        sa.Column("planned_version", sa.Integer(), nullable=False),
        sa.Column("planner", sa.SmallInteger(), nullable=False),
        sa.Column("zone_data", Word, nullable=True),
        sa.Column("state", Word, nullable=False),
        sa.Column("error", LongText, nullable=True),
        sa.CheckConstraint(
            "state IN ('active', 'paused', 'completed', 'broken')", name=op.f("ck_timers_state")
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_timers")),
        **MARIADB,
    )
    op.create_index("ix_timers_next_due_at", "timers", ["next_due_at"], unique=False)
    installation = sa.table("installation", sa.column("id", RunId), sa.column("created_at", Instant()))
    op.execute(installation.insert().values(id=str(uuid.uuid4()), created_at=clock.wall()))
    triggers.replace(op.get_bind(), [], statements(op.get_bind().dialect.name))


def downgrade() -> None:
    triggers.replace(op.get_bind(), statements(op.get_bind().dialect.name), [])
    for table in TABLES:
        op.drop_table(table)
