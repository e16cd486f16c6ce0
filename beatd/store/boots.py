"""Which boots of which machines were seen: boot entries fire once for each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from beatd.store.dialects import Dialect
from beatd.store.models import boots


def first_start(connection: Connection, dialect: Dialect, host: str, boot_id: str, now: datetime) -> bool:
    """Whether no daemon has started on this host since the kernel booted; from then on one has.

    Of several that start at once one is told so, once its transaction commits.
    """
    # psycopg does not tell how many rows an INSERT made unless it is asked to
    statement = dialect.insert_new(boots).execution_options(preserve_rowcount=True)
    row = {"host": host, "boot_id": boot_id, "seen_at": now}
    return connection.execute(statement, [row]).rowcount == 1
