"""Where entries were imported from, and whom their output is mailed to; runs and nodes in shadow mode."""

from typing import Any

import sqlalchemy as sa

from alembic import op
from beatd.store import triggers
from beatd.store.types import Instant, LongText, Word

revision = "0003"
down_revision = "0002"
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
    "calendar_every",
    "time",
    "day",
    "solar",
    "latitude",
    "longitude",
    "custom",
    "custom_args",
    "fixed_delay",
    "host",
    "timezone",
    "start_at",
    "end_at",
    "max_runs",
    "calendar",
    "calendar_action",
    "jitter",
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
    "on_failure",
    "failure_limit",
    "on_lost",
    "mailto",
    "paused_until",
    "pause_note",
    "calendar_changes",
    "created_at",
)


def added() -> dict[str, list[sa.Column[Any]]]:
    """By table, in the order in which the dispatcher locks them."""
    return {
        "entries": [sa.Column("mailto", LongText, nullable=True)],
        "nodes": [sa.Column("shadow", sa.Boolean(), server_default=sa.false(), nullable=False)],
    }


#: The states of a run before this revision, and since.
STATES = (
    "'held', 'pending', 'published', 'started', 'retrying', "
    "'succeeded', 'failed', 'revoked', 'expired', 'lost'"
)
MORE_STATES = f"{STATES}, 'shadow'"


def statements(dialect: str) -> list[str]:
    """The triggers and views of this revision."""
    return triggers.create_statements(dialect, DEFINITION_COLUMNS)


def upgrade() -> None:
    """MariaDB commits each statement: what a broken-off upgrade has made already is passed over."""
    _allow_states(STATES, MORE_STATES)
    for table, columns in added().items():
        there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
        for column in columns:
            if column.name not in there:
                op.add_column(table, column)
    op.create_table(
        "origins",
        sa.Column("entry_id", Id, autoincrement=False, nullable=False),
        sa.Column("kind", Word, nullable=False),
        sa.Column("source", LongText, nullable=False),
        sa.Column("place", LongText, nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("options", LongText, nullable=False),
        sa.Column("imported_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_origins")),
        **MARIADB,
        if_not_exists=True,
    )
    dialect = op.get_bind().dialect.name
    triggers.replace(op.get_bind(), _earlier(dialect), statements(dialect))


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    triggers.replace(op.get_bind(), statements(dialect), _earlier(dialect))
    op.drop_table("origins")
    for table, columns in added().items():
        for column in columns:
            op.drop_column(table, column.name)
    op.execute("UPDATE runs SET state = 'revoked', reason = 'shadow: never published' WHERE state = 'shadow'")
    _allow_states(MORE_STATES, STATES)


def _allow_states(old: str, new: str) -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.execute(
            "ALTER TABLE runs DROP CONSTRAINT IF EXISTS ck_runs_state, "
            f"ADD CONSTRAINT ck_runs_state CHECK (state IN ({new}))"
        )
        return
    # SQLite's documented way to change a CHECK (lang_altertable); a new table would copy the history
    changes = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'runs'",
        (f"CHECK (state IN ({old}))", f"CHECK (state IN ({new}))"),
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {changes + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def _earlier(dialect: str) -> list[str]:
    """The triggers and views of the revision before."""
    before = op.get_context().script.get_revision(down_revision)
    return before.module.statements(dialect)
