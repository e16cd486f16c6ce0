"""The deadline sweep: closes runs that no report will close, and brings back those a broker forgot."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta

from beatd.logs import get_logger
from beatd.store import runs
from beatd.store.engine import Database

log = get_logger()

#: Runs that one statement of the sweep closes; the next pass goes on.
_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class SweepPass:
    expired: int = 0
    lost: int = 0
    published_again: int = 0


def sweep(database: Database, *, reports: bool, publish_again_after: timedelta | None) -> SweepPass:
    """One pass. Raises DatabaseUnavailable.

    `reports`: whether workers tell what becomes of runs; where they do not, a run ends at `published`.
    `publish_again_after`: for brokers that forget the message of a worker that was killed, how long a
    run-once run may stay unclaimed; None for brokers that deliver again by themselves.
    """
    dialect = database.dialect
    expired = lost = again = 0
    with database.write() as connection:
        now = database.now(connection)
        lost += runs.close_lapsed_claims(connection, dialect, now, _LIMIT)
        lost += runs.close_unheard(connection, dialect, now, _LIMIT)
        expired += runs.close_unpublished(connection, dialect, now, _LIMIT)
        if reports:
            expired += runs.close_unstarted(connection, dialect, now, _LIMIT)
            lost += runs.close_untold(connection, dialect, now, _LIMIT)
        if publish_again_after is not None:
            again = runs.publish_again(connection, dialect, now, publish_again_after, _LIMIT)
    done = SweepPass(expired, lost, again)
    if any(asdict(done).values()):
        log.info("sweep.pass", **asdict(done))
    return done
