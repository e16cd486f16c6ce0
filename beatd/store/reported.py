"""What workers tell about runs, written into the history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, update

from beatd.reports import RANKS, Report
from beatd.store import ends
from beatd.store.models import FINAL_STATES, runs
from beatd.store.types import is_run_id


@dataclass(frozen=True, slots=True)
class Told:
    """What was news of a run: the state that it has now, and when it first started if that was not known."""

    id: str
    entry_id: int
    fire_time: datetime
    due_time: datetime
    published_at: datetime | None
    first_start: datetime | None
    state: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Applied:
    """For how many runs reports were news, and how many of these have ended that somebody waits for.
    `told` is the news of each; of two that store the same reports at the same moment both may have it.
    """

    news: int = 0
    awaited_ends: int = 0
    told: tuple[Told, ...] = ()


# spelled out, for lists cannot be in statements that are executed many times
_HAS_ENDED = or_(*(runs.c.state == state for state in FINAL_STATES))
_SAME_START = runs.c.reruns_left == bindparam("b_reruns_left")

_REPORTED = (
    update(runs)
    .where(
        runs.c.id == bindparam("b_id"),
        _SAME_START,
        or_(
            runs.c.retries < bindparam("b_retries"),
            and_(runs.c.retries == bindparam("b_retries"), runs.c.report_rank < bindparam("b_rank")),
            # one delivery of its message was dropped as expired, another had started
            and_(
                runs.c.retries == bindparam("b_retries"),
                runs.c.state == "expired",
                runs.c.report_rank == RANKS["expired"],
                bindparam("b_state") == "started",
            ),
        ),
    )
    # in this order: MariaDB reads the new value of what was set further left
    .ordered_values(
        # an inferred end was wrong, and so was its reason; others go on to be true
        (runs.c.reason, case((_HAS_ENDED, None), else_=runs.c.reason)),
        (runs.c.state, bindparam("b_state")),
        (runs.c.retries, bindparam("b_retries")),
        (runs.c.report_rank, bindparam("b_rank")),
        (runs.c.worker, bindparam("b_worker")),
        (
            runs.c.started_at,
            func.coalesce(bindparam("b_started_at", type_=runs.c.started_at.type), runs.c.started_at),
        ),
        (runs.c.finished_at, bindparam("b_finished_at")),
        (runs.c.lost_at, bindparam("b_lost_at")),
        (runs.c.result, bindparam("b_result")),
        (runs.c.error, bindparam("b_error")),
        (runs.c.owner, None),
        (runs.c.lease_until, None),
    )
)

_STARTED_LATE = (
    update(runs)
    .where(
        runs.c.id == bindparam("b_id"),
        runs.c.retries == bindparam("b_retries"),
        _SAME_START,
        runs.c.report_rank > RANKS["started"],
        or_(runs.c.started_at.is_(None), runs.c.started_at < bindparam("b_started_at")),
        # a plain task that was delivered again starts once more after it has ended: its run does not
        or_(runs.c.finished_at.is_(None), runs.c.finished_at >= bindparam("b_started_at")),
    )
    .values(started_at=bindparam("b_started_at"))
)


def apply_reports(connection: Connection, reports: Iterable[Report], now: datetime) -> Applied:
    """Writes what workers told.

    Reports of one run are ordered by (retries, rank); late and repeated ones change nothing. They are
    accepted from `pending` on, for they may overtake our own bookkeeping, and they overrule what the
    daemon inferred (`expired`, `lost`). Those of a start that was given up, because the run was to start
    again, tell nothing of the run any more.
    """
    by_run: dict[str, list[Report]] = {}
    for report in reports:
        if is_run_id(report.run_id):
            by_run.setdefault(report.run_id, []).append(report)
    if not by_run:
        return Applied()
    query = select(*(runs.c[name] for name in _KNOWN)).where(runs.c.id.in_(list(by_run)))
    known = {row.id: row for row in connection.execute(query)}
    told: dict[str, list[Report]] = {}
    # in the order of ids: two daemons that close the same runs lock them in the same order
    for id_ in sorted(known):
        if current := [report for report in by_run[id_] if _is_of_start(report, known[id_].reruns_left)]:
            told[id_] = current
    rows = [_reported(some, known[id_], now) for id_, some in told.items()]
    if not rows:
        return Applied()
    news = connection.execute(_REPORTED, rows).rowcount
    if news < len(rows):
        starts = [(report, known[id_].reruns_left) for id_, some in told.items() for report in some]
        _complete(connection, starts)
    ended = [row["b_id"] for row in rows if row["b_finished_at"] is not None]
    return Applied(news, ends.nudge(connection, ended), tuple(_news(rows, known)))


#: What is asked of a run that a worker told of.
_KNOWN = (
    *("id", "entry_id", "fire_time", "due_time", "published_at", "started_at"),
    *("lost_after", "reruns_left", "retries", "report_rank"),
)


def _news(rows: Iterable[dict[str, Any]], known: dict[str, Any]) -> Iterator[Told]:
    for row in rows:
        run = known[row["b_id"]]
        if (run.retries, run.report_rank) < (row["b_retries"], row["b_rank"]):
            yield Told(
                *(run.id, run.entry_id, run.fire_time, run.due_time, run.published_at),
                first_start=row["b_started_at"] if run.started_at is None else None,
                state=row["b_state"],
                error=row["b_error"],
            )


def _is_of_start(report: Report, reruns_left: int) -> bool:
    return report.reruns_left is None or report.reruns_left == reruns_left


def _complete(connection: Connection, told: Sequence[tuple[Report, int]]) -> None:
    """Of an attempt that is known to have gone on, a late report still tells when it started."""
    rows = [
        {"b_id": r.run_id, "b_retries": r.retries, "b_started_at": r.at, "b_reruns_left": reruns_left}
        for r, reruns_left in told
        if r.state == "started"
    ]
    if rows:
        connection.execute(_STARTED_LATE, rows)


def _reported(told: list[Report], run: Any, now: datetime) -> dict[str, Any]:
    told.sort(key=lambda report: (report.order, report.state == "started"))
    last = told[-1]
    started = [report.at for report in told if report.state == "started"]
    final = last.state in FINAL_STATES
    if final:  # a plain task that was delivered again may have started once more after that
        started = [at for at in started if at <= last.at] or started[:1]
    return {
        "b_id": last.run_id,
        "b_reruns_left": run.reruns_left,
        "b_state": last.state,
        "b_retries": last.order[0],
        "b_rank": last.order[1],
        "b_worker": _storable(last.worker),
        "b_started_at": started[-1] if started else None,
        "b_finished_at": last.at if final else None,
        "b_lost_at": None if final else now + timedelta(seconds=run.lost_after),
        "b_result": _storable(last.result),
        "b_error": _storable(last.error),
    }


def _storable(told: str | None) -> str | None:
    """What every database takes: PostgreSQL stores no NUL, and none what UTF-8 cannot say."""
    if told is None:
        return None
    return told.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
