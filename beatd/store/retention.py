"""Cutting the history: what is old, and what is too long."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, false, func, or_, select

from beatd.planning.policies import Policies
from beatd.store.models import FINAL_STATES, claims, entries, runs, suppressions


def cut_history(connection: Connection, before: datetime, limit: int) -> int:
    """Deletes one small batch of what ended before that instant; returns how many runs and records.

    A run that nobody reports on ends at `published`; it is cut by when that was, unless its message may still
    be taken: one that never expires is waited for as long as a started one would be (`lost_after`), and one
    that a worker holds a claim of for as long as it does. Without its run a message starts no run-once task.
    """
    finished = (
        select(runs.c.id)
        .where(runs.c.finished_at < before, runs.c.state.in_(FINAL_STATES), _is_free(connection))
        .order_by(runs.c.finished_at)
        .limit(limit)
    )
    silent = select(runs.c.id).where(
        runs.c.state == "published",
        runs.c.published_at < before,
        or_(runs.c.expires_at < before, _is_given_up(connection, before)),
        ~exists().where(claims.c.run_id == runs.c.id, claims.c.ended_at.is_(None)),
    )
    ids = [*connection.execute(finished).scalars(), *connection.execute(silent.limit(limit)).scalars()]
    return _delete_runs(connection, ids) + _cut_suppressions(connection, before, limit)


def _is_given_up(connection: Connection, before: datetime) -> ColumnElement[bool]:
    """Of runs that never expire: published longer ago than that instant and their `lost_after`."""
    endless = and_(runs.c.state == "published", runs.c.expires_at.is_(None), runs.c.published_at < before)
    patience = connection.execute(select(runs.c.lost_after).where(endless).distinct()).scalars()
    # instants and seconds add up in another way on each database
    overdue = [
        and_(runs.c.lost_after == seconds, runs.c.published_at < before - timedelta(seconds=seconds))
        for seconds in patience
    ]
    return and_(runs.c.expires_at.is_(None), or_(false(), *overdue))


def with_long_histories(connection: Connection, keep: int) -> list[int]:
    """Entries with more than `keep` runs. Reads an index of all runs: to be asked seldom."""
    counted = select(runs.c.entry_id).group_by(runs.c.entry_id).having(func.count() > keep)
    return list(connection.execute(counted).scalars())


def cut_long_history(connection: Connection, entry_id: int, keep: int, limit: int) -> int:
    """Deletes one batch of an entry's finished runs beyond its newest `keep`.

    What was recorded in shadow mode counts by age alone: it is to be compared with what cron did in a week.
    """
    real = select(runs.c.id).where(runs.c.entry_id == entry_id, runs.c.state != "shadow")
    beyond = real.order_by(runs.c.fire_time.desc()).offset(keep).limit(limit).subquery()
    query = select(runs.c.id).join(beyond, beyond.c.id == runs.c.id)
    query = query.where(runs.c.state.in_(FINAL_STATES), _is_free(connection))
    return _delete_runs(connection, list(connection.execute(query).scalars()))


def _is_free(connection: Connection) -> ColumnElement[bool]:
    """Whether nothing that is still to be decided depends on a finished run."""
    pausing = entries.c.on_failure == "pause"
    longest = connection.execute(
        select(func.max(func.coalesce(entries.c.failure_limit, Policies().failure_limit))).where(pausing)
    ).scalar_one()
    free = ~_is_counted_from()
    return free if longest is None else and_(free, ~_is_in_a_row(min(longest, _LONGEST_ROW)))


#: Of longer rows of failures (`failure_limit`) the history's own length decides how much there is to count.
_LONGEST_ROW = 1000


def _is_in_a_row(longest: int) -> ColumnElement[bool]:
    """Whether it may be one of the runs that `on_failure` counts: see `failures.in_a_row`."""
    later = runs.alias("counted")
    oldest_counted = (
        select(later.c.fire_time)
        .where(
            later.c.entry_id == runs.c.entry_id,
            later.c.version == runs.c.version,
            later.c.state.in_(("succeeded", "failed", "lost")),
            later.c.origin.not_like("backfill:%"),
        )
        .order_by(later.c.fire_time.desc())
        .limit(1)
        .offset(longest - 1)
        .correlate(runs)
        .scalar_subquery()
    )
    watched = exists().where(
        entries.c.id == runs.c.entry_id,
        entries.c.version == runs.c.version,
        entries.c.on_failure == "pause",
    )
    counts = runs.c.state.in_(("succeeded", "failed", "lost"))
    recent = or_(oldest_counted.is_(None), runs.c.fire_time >= oldest_counted)
    return and_(counts, runs.c.origin.not_like("backfill:%"), watched, recent)


def _is_counted_from() -> ColumnElement[bool]:
    """Whether it may be the run from whose end the next one of its entry counts (`fixed_delay`)."""
    later = runs.alias("later")
    newest = ~exists().where(
        later.c.entry_id == runs.c.entry_id,
        later.c.fire_time > runs.c.fire_time,
        later.c.origin == runs.c.origin,
    )
    there = exists().where(entries.c.id == runs.c.entry_id)
    return and_(runs.c.awaited, runs.c.origin == "schedule", newest, there)


def _delete_runs(connection: Connection, ids: list[str]) -> int:
    if not ids:
        return 0
    # a late report may have revived one of them since
    still_final = and_(runs.c.id.in_(ids), runs.c.state.in_((*FINAL_STATES, "published")))
    deleted = connection.execute(delete(runs).where(still_final)).rowcount
    gone = ~exists().where(runs.c.id == claims.c.run_id)
    connection.execute(delete(claims).where(claims.c.run_id.in_(ids), gone))
    return deleted


def _cut_suppressions(connection: Connection, before: datetime, limit: int) -> int:
    query = select(suppressions.c.id).where(suppressions.c.recorded_at < before).limit(limit)
    ids = list(connection.execute(query).scalars())
    if not ids:
        return 0
    return connection.execute(delete(suppressions).where(suppressions.c.id.in_(ids))).rowcount
