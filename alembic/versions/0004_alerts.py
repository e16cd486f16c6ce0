"""Where an entry's successes are told, and its troubles."""

import sqlalchemy as sa

from alembic import op
from beatd.store import triggers
from beatd.store.types import LongText

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

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
    "ping_url",
    "alert_url",
    "paused_until",
    "pause_note",
    "calendar_changes",
    "created_at",
)

ADDED = ("ping_url", "alert_url")


def statements(dialect: str) -> list[str]:
    """The triggers and views of this revision."""
    return triggers.create_statements(dialect, DEFINITION_COLUMNS)


def upgrade() -> None:
    """MariaDB commits each statement: what a broken-off upgrade has made already is passed over."""
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("entries")}
    for name in ADDED:
        if name not in there:
            op.add_column("entries", sa.Column(name, LongText, nullable=True))
    dialect = op.get_bind().dialect.name
    triggers.replace(op.get_bind(), _earlier(dialect), statements(dialect))


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    triggers.replace(op.get_bind(), statements(dialect), _earlier(dialect))
    for name in ADDED:
        op.drop_column("entries", name)


def _earlier(dialect: str) -> list[str]:
    """The triggers and views of the revision before."""
    before = op.get_context().script.get_revision(down_revision)
    return before.module.statements(dialect)
