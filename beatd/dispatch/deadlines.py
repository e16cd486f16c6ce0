"""The deadline sweep: closes runs that no report will close, starts again what is to start again, and brings
back what a broker forgot.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta

from beatd.dispatch import events
from beatd.dispatch.events import Tell
from beatd.faultpoints import reach
from beatd.logs import get_logger
from beatd.store import deadlines, ends, hooks
from beatd.store.engine import Database

log = get_logger()

#: Runs that one statement of the sweep closes; the next pass goes on.
_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class SweepPass:
    expired: int = 0
    lost: int = 0
    started_again: int = 0
    published_again: int = 0

    @property
    def anything(self) -> bool:
        return any(asdict(self).values())


def sweep(
    database: Database, *, reports: bool, publish_again_after: timedelta | None, tell: Tell = events.nobody
) -> SweepPass:
    """One pass. Raises DatabaseUnavailable. `tell` is told of what it closed, after the commit.

    `reports`: whether workers tell what becomes of runs; where they do not, a run ends at `published`.
    `publish_again_after`: for brokers that forget the message of a worker that was killed, how long a
    run-once run may stay unclaimed; None for brokers that deliver again by themselves.
    """
    dialect = database.dialect
    expired = again = 0
    with database.write() as connection:
        now = database.now(connection)
        lost, restarted = deadlines.close_lapsed_claims(connection, dialect, now, _LIMIT)
        restarted += deadlines.start_unheard_again(connection, dialect, now, _LIMIT)
        lost += deadlines.close_unheard(connection, dialect, now, _LIMIT)
        expired += deadlines.close_unpublished(connection, dialect, now, _LIMIT)
        if reports:
            expired += deadlines.close_unstarted(connection, dialect, now, _LIMIT)
            expired += deadlines.close_held(connection, dialect, now, _LIMIT)
            lost += deadlines.close_untold(connection, dialect, now, _LIMIT)
        if publish_again_after is not None:
            again = deadlines.publish_again(connection, dialect, now, publish_again_after, _LIMIT)
        closed = hooks.closed_at(connection, now, _LIMIT) if expired or lost else []
        reach("before-sweep")
    reach("after-sweep")
    done = SweepPass(expired, lost, restarted, again)
    tell(events.of_closed(closed))
    if done.anything:
        log.info("sweep.pass", **asdict(done))
    return done


def find_forgotten(database: Database) -> int:
    """Lets the dispatcher look at entries that wait for an end of which nobody told it; returns how many.

    Raises DatabaseUnavailable.
    """
    with database.write() as connection:
        found = ends.nudge_forgotten(connection, database.now(connection), _LIMIT)
    if found:
        log.warning("ends.forgotten", entries=found)
    return found
