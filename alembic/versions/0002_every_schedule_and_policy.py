"""Columns of every kind of schedule, of calendars, pauses, boots and the policies that count ends."""

from typing import Any

import sqlalchemy as sa

from alembic import op
from beatd.store import triggers
from beatd.store.types import Instant, LongText, Name, Word

revision = "0002"
down_revision = "0001"
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
    "paused_until",
    "pause_note",
    "calendar_changes",
    "created_at",
)

TEXTS = (
    "calendar_every",
    "time",
    "day",
    "solar",
    "latitude",
    "longitude",
    "custom",
    "custom_args",
    "host",
    "calendar_action",
    "jitter",
    "on_failure",
    "on_lost",
    "paused_until",
    "pause_note",
)

YES_OR_NO = "CONSTRAINT ck_entries_fixed_delay CHECK (fixed_delay IN (0, 1))"


def added() -> dict[str, list[sa.Column[Any]]]:
    """By table, in the order in which the dispatcher locks them; `fixed_delay` has a way of its own."""
    return {
        "timers": [sa.Column("runs_made", sa.Integer(), server_default=sa.text("0"), nullable=False)],
        "runs": [
            sa.Column("awaited", sa.Boolean(), server_default=sa.false(), nullable=False),
            sa.Column("reruns_left", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        ],
        "entries": [
            *(sa.Column(name, LongText, nullable=True) for name in TEXTS),
            sa.Column("calendar", Name, nullable=True),
            sa.Column("max_runs", sa.Integer(), nullable=True),
            sa.Column("failure_limit", sa.Integer(), nullable=True),
            sa.Column("calendar_changes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        ],
        "calendars": [
            sa.Column("region", LongText, nullable=True),
            sa.Column("weekdays", LongText, nullable=True),
        ],
    }


def statements(dialect: str) -> list[str]:
    """The triggers and views of this revision."""
    return [
        *triggers.on_calendars(dialect),
        *triggers.on_entries(dialect, DEFINITION_COLUMNS),
        *triggers.on_pauses(dialect),
        *triggers.views(dialect),
    ]


def upgrade() -> None:
    """MariaDB commits each statement: what a broken-off upgrade has made already is passed over."""
    dialect = op.get_bind().dialect.name
    for table, columns in added().items():
        there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
        for column in columns:
            if column.name not in there:
                op.add_column(table, column)
        if table == "entries" and "fixed_delay" not in there:
            # by hand: Alembic adds a CHECK to a table of SQLite only by making the table anew
            check = {"postgresql": "", "sqlite": f" {YES_OR_NO}"}.get(dialect, f", ADD {YES_OR_NO}")
            op.execute(f"ALTER TABLE entries ADD COLUMN fixed_delay BOOLEAN{check}")
    op.create_index("ix_entries_calendar", "entries", ["calendar"], unique=False, if_not_exists=True)
    op.create_table(
        "pauses",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("note", LongText, nullable=True),
        sa.Column("who", LongText, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
        **MARIADB,
        if_not_exists=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "boots",
        sa.Column("host", Name, nullable=False),
        sa.Column("boot_id", Word, nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("host", "boot_id", name=op.f("pk_boots")),
        **MARIADB,
        if_not_exists=True,
    )
    triggers.replace(op.get_bind(), _earlier(dialect), statements(dialect))


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    triggers.replace(op.get_bind(), statements(dialect), _earlier(dialect))
    op.drop_table("boots")
    op.drop_table("pauses")
    op.drop_index("ix_entries_calendar", table_name="entries")
    if dialect in ("mariadb", "mysql"):
        op.drop_constraint(op.f("ck_entries_fixed_delay"), "entries", type_="check")
    op.drop_column("entries", "fixed_delay")
    for table, columns in added().items():
        for column in columns:
            op.drop_column(table, column.name)


def _earlier(dialect: str) -> list[str]:
    """The triggers and views of the revision before."""
    before = op.get_context().script.get_revision(down_revision)
    return before.module.statements(dialect)
