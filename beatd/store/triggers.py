# ruff: noqa: S608, E501 (column names come from the models; DDL keeps its own line breaks)
"""What makes plain SQL edits first-class: triggers on what operators write, and the views that they read.

Those on `entries` keep `version`, `created_at` and `updated_at`, copy every version into
`entry_versions`, and append to `entry_changes`, from which the dispatcher plans. They never touch
`timers`. An update that changes nothing makes no version. A version holds what the entry's calendar held
at that instant; those on `calendars` make a new version of every entry that names one, by raising its
`calendar_changes`. On PostgreSQL whatever the dispatcher must see at once is also notified.

Migrations call these functions with the columns of their own revision (CONTRIBUTING: Migrations).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Connection

#: Columns that triggers set; whatever an edit says of them is ignored.
_NOT_COMPARED = frozenset({"created_at"})

#: What a calendar holds, in the order in which a version tells it.
_CALENDAR = ("dates", "country", "region", "weekdays")

#: Definitions with this column hold their calendar.
_CALENDARED = "calendar_changes"

#: PostgreSQL: whoever edits calendars has it alone, whoever gives an entry a calendar shares it. Neither
#: sees what the other has not committed, and a version would be left with what is no longer true.
_CALENDARS_LOCK = "1650815348, 1"

#: SQLite gives a function at most 100 arguments (127 in newer versions), and each column is two.
_PAIRS_AT_ONCE = 40

_MADE = re.compile(r"CREATE (?:OR REPLACE )?(FUNCTION|TRIGGER|VIEW) (\w+)(?:.*? ON (\w+))?")


def create_statements(dialect: str, columns: Sequence[str]) -> list[str]:
    """All triggers and views of the newest schema; `columns` are those of an entry's definition.

    They are taken away from the last to the first: `entries` before `calendars`, as edits lock them.
    """
    return [
        *on_calendars(dialect),
        *on_entries(dialect, columns),
        *on_origins(dialect),
        *on_pauses(dialect),
        *views(dialect),
    ]


def names(statements: Sequence[str]) -> list[str]:
    """What triggers and views the statements make."""
    return [name for kind, name, _ in _made(statements) if kind != "FUNCTION"]


def replace(connection: Connection, old: Sequence[str], new: Sequence[str]) -> None:
    """Takes away what the statements `old` made and makes what `new` says.

    MariaDB commits each statement: there a trigger gives way to its successor in one, so that no edit
    comes in between and goes unrecorded.
    """
    if connection.dialect.name in ("mariadb", "mysql"):
        _make(connection, new)
        _drop(connection, [made for made in _made(old) if made[1] not in names(new)])
    else:
        _drop(connection, _made(old))
        _make(connection, new)


def _make(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _made(statements: Sequence[str]) -> list[tuple[str, str, str]]:
    """Kind, name and table of each."""
    return [(found[1], found[2], found[3]) for found in map(_MADE.search, statements) if found]


def _drop(connection: Connection, made: Sequence[tuple[str, str, str]]) -> None:
    for kind, name, table in reversed(made):
        where = f" ON {table}" if kind == "TRIGGER" and connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP {kind} IF EXISTS {name}{where}")


def on_entries(dialect: str, columns: Sequence[str]) -> list[str]:
    """Versions and changes of entries whose definition is made up of these columns."""
    return {"sqlite": _sqlite, "postgresql": _postgresql, "mariadb": _mariadb, "mysql": _mariadb}[dialect](
        columns
    )


def _calendar_days(calendar: str, function: str) -> str:
    """What this calendar holds as JSON, null where there is none."""
    pairs = ", ".join(f"'{name}', {name}" for name in _CALENDAR)
    return f"SELECT {function}({pairs}) FROM calendars WHERE name = {calendar}"


def _postgresql(columns: Sequence[str]) -> list[str]:
    definition = "ARRAY['id', 'version', 'updated_at']"
    days = wait = ""
    if _CALENDARED in columns:
        found = _calendar_days("entry.calendar", "jsonb_build_object")
        days = f" || jsonb_build_object('calendar_days', ({found}))"
        wait = f"""
    PERFORM pg_advisory_xact_lock_shared({_CALENDARS_LOCK})
        WHERE NEW.calendar IS NOT NULL AND NEW.calendar IS DISTINCT FROM OLD.calendar;"""
    return [
        f"""
CREATE FUNCTION beatd_entries_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.version := 1;
        NEW.created_at := clock_timestamp();
        NEW.updated_at := NEW.created_at;
        RETURN NEW;
    END IF;
    NEW.id := OLD.id;
    NEW.created_at := OLD.created_at;
    NEW.version := OLD.version;
    NEW.updated_at := OLD.updated_at;
    IF to_jsonb(NEW) - {definition} IS DISTINCT FROM to_jsonb(OLD) - {definition} THEN
        NEW.version := OLD.version + 1;
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$""",
        f"""
CREATE FUNCTION beatd_entries_record() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    entry entries := COALESCE(NEW, OLD);
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.version = OLD.version THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        entry.version := OLD.version + 1;
        entry.updated_at := clock_timestamp();
    END IF;{wait}
    INSERT INTO entry_versions (entry_id, version, name, operation, definition, changed_at, changed_by)
    VALUES (entry.id, entry.version, entry.name, lower(TG_OP), (to_jsonb(entry) - {definition}{days})::text,
            entry.updated_at, session_user);
    INSERT INTO entry_changes (entry_id) VALUES (entry.id);
    RETURN NULL;
END $$""",
        """
CREATE FUNCTION beatd_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('beatd', '');
    RETURN NULL;
END $$""",
        "CREATE TRIGGER beatd_entries_keep BEFORE INSERT OR UPDATE ON entries "
        "FOR EACH ROW EXECUTE FUNCTION beatd_entries_keep()",
        "CREATE TRIGGER beatd_entries_record AFTER INSERT OR UPDATE OR DELETE ON entries "
        "FOR EACH ROW EXECUTE FUNCTION beatd_entries_record()",
        "CREATE TRIGGER beatd_entries_notify AFTER INSERT OR UPDATE OR DELETE ON entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION beatd_notify()",
        "CREATE TRIGGER beatd_nudges_notify AFTER INSERT ON nudges "
        "FOR EACH STATEMENT EXECUTE FUNCTION beatd_notify()",
    ]


def _sqlite(columns: Sequence[str]) -> list[str]:
    now = "strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'"
    compared = [name for name in columns if name not in _NOT_COMPARED]
    changed = " OR ".join(f'NEW."{name}" IS NOT OLD."{name}"' for name in compared)

    def record(row: str, id_: str, version: str, operation: str, created_at: str) -> str:
        pairs = [f"'{name}', {row}.\"{name}\"" for name in compared]
        if _CALENDARED in columns:
            pairs.append(f"'calendar_days', json(({_calendar_days(f'{row}.calendar', 'json_object')}))")
        definition = f"json_object({', '.join(pairs[:_PAIRS_AT_ONCE])}, 'created_at', {created_at})"
        for start in range(_PAIRS_AT_ONCE, len(pairs), _PAIRS_AT_ONCE):
            more = ", ".join(f"'$.{pair[1:]}" for pair in pairs[start : start + _PAIRS_AT_ONCE])
            definition = f"json_insert({definition}, {more})"
        return f"""
    INSERT INTO entry_versions (entry_id, version, name, operation, definition, changed_at)
    VALUES ({id_}, {version}, {row}.name, '{operation}', {definition}, {now});
    INSERT INTO entry_changes (entry_id) VALUES ({id_});"""

    # A trigger here cannot alter the row before it is written, so what an edit said of the kept columns
    # is put right afterwards, from what is recorded. 'now' is the same throughout a statement.
    as_recorded = """NEW.version IS (SELECT max(version) FROM entry_versions WHERE entry_id = NEW.id)
    AND NEW.updated_at IS (SELECT changed_at FROM entry_versions WHERE entry_id = NEW.id AND version = NEW.version)
    AND NEW.created_at IS (SELECT changed_at FROM entry_versions WHERE entry_id = NEW.id AND version = 1)"""
    return [
        f"""
CREATE TRIGGER beatd_entries_insert AFTER INSERT ON entries BEGIN
    UPDATE entries SET version = 1, created_at = {now}, updated_at = {now} WHERE id = NEW.id;{record("NEW", "NEW.id", "1", "insert", now)}
END""",
        f"""
CREATE TRIGGER beatd_entries_update AFTER UPDATE ON entries WHEN {changed} BEGIN{record("NEW", "OLD.id", "OLD.version + 1", "update", "OLD.created_at")}
    UPDATE entries SET id = OLD.id, version = OLD.version + 1, created_at = OLD.created_at, updated_at = {now}
    WHERE id = NEW.id;
END""",
        f"""
CREATE TRIGGER beatd_entries_keep AFTER UPDATE OF id, version, created_at, updated_at ON entries
WHEN NOT ({changed}) AND EXISTS (SELECT 1 FROM entry_versions WHERE entry_id = OLD.id) AND NOT (
    {as_recorded})
BEGIN
    UPDATE entries SET id = OLD.id, version = OLD.version, created_at = OLD.created_at, updated_at = OLD.updated_at
    WHERE id = NEW.id;
END""",
        f"""
CREATE TRIGGER beatd_entries_delete AFTER DELETE ON entries BEGIN{record("OLD", "OLD.id", "OLD.version + 1", "delete", "OLD.created_at")}
END""",
    ]


def _mariadb(columns: Sequence[str]) -> list[str]:
    compared = [name for name in columns if name not in _NOT_COMPARED]
    # BINARY: an edit of letter case or trailing blanks is an edit
    same = " AND ".join(f"BINARY NEW.`{name}` <=> BINARY OLD.`{name}`" for name in compared)

    def record(row: str, version: str, operation: str, changed_at: str) -> str:
        pairs = ", ".join(f"'{name}', {row}.`{name}`" for name in columns)
        definition = f"JSON_OBJECT({pairs})"
        if _CALENDARED in columns:
            definition = f"JSON_INSERT({definition}, '$.calendar_days', JSON_COMPACT(days))"
        return f"""
    INSERT INTO entry_versions (entry_id, version, name, operation, definition, changed_at, changed_by)
    VALUES ({row}.id, {version}, {row}.name, '{operation}', {definition}, {changed_at}, SESSION_USER());
    INSERT INTO entry_changes (entry_id) VALUES ({row}.id);"""

    # Whoever gives an entry a calendar locks it beforehand, and sees no other than the newest. All other
    # edits take over what the version before says: to lock the calendar now, with the entry in hand, would
    # be a deadlock with an edit of it, which goes the other way.
    declared_lock = lock = lock_new = declared = find = take_over = find_new = ""
    if _CALENDARED in columns:
        same_calendar = "BINARY NEW.calendar <=> BINARY OLD.calendar"
        declared_lock = "\n    DECLARE found INT;"
        lock = "\n    SELECT COUNT(*) INTO found FROM calendars WHERE name = NEW.calendar LOCK IN SHARE MODE;"
        lock_new = f"\n    IF NOT ({same_calendar}) THEN{lock}\n    END IF;"
        declared = "\n    DECLARE days LONGTEXT CHARACTER SET utf8mb4;"
        find = f"\n    SET days = ({_calendar_days('NEW.calendar', 'JSON_OBJECT')} LOCK IN SHARE MODE);"
        take_over = """
    SET days = (SELECT JSON_QUERY(definition, '$.calendar_days') FROM entry_versions
                WHERE entry_id = OLD.id AND version = OLD.version LOCK IN SHARE MODE);"""
        find_new = f"""
    IF {same_calendar} AND NEW.{_CALENDARED} = OLD.{_CALENDARED} THEN{take_over}
    ELSE{find}
    END IF;"""

    return [
        f"""
CREATE OR REPLACE TRIGGER beatd_entries_before_insert BEFORE INSERT ON entries FOR EACH ROW BEGIN{declared_lock}
    SET NEW.version = 1;
    SET NEW.created_at = UTC_TIMESTAMP(6);
    SET NEW.updated_at = NEW.created_at;{lock}
END""",
        f"""
CREATE OR REPLACE TRIGGER beatd_entries_before_update BEFORE UPDATE ON entries FOR EACH ROW BEGIN{declared_lock}
    SET NEW.id = OLD.id;
    SET NEW.created_at = OLD.created_at;
    SET NEW.version = OLD.version;
    SET NEW.updated_at = OLD.updated_at;
    IF NOT ({same}) THEN
        SET NEW.version = OLD.version + 1;
        SET NEW.updated_at = UTC_TIMESTAMP(6);
    END IF;{lock_new}
END""",
        f"""
CREATE OR REPLACE TRIGGER beatd_entries_insert AFTER INSERT ON entries FOR EACH ROW BEGIN{declared}{find}{record("NEW", "1", "insert", "NEW.updated_at")}
END""",
        f"""
CREATE OR REPLACE TRIGGER beatd_entries_update AFTER UPDATE ON entries FOR EACH ROW BEGIN{declared}
IF NEW.version <> OLD.version THEN{find_new}{record("NEW", "NEW.version", "update", "NEW.updated_at")}
END IF;
END""",
        f"""
CREATE OR REPLACE TRIGGER beatd_entries_delete AFTER DELETE ON entries FOR EACH ROW BEGIN{declared}{take_over}{record("OLD", "OLD.version + 1", "delete", "UTC_TIMESTAMP(6)")}
END""",
    ]


def on_origins(dialect: str) -> list[str]:
    """The origin of an entry goes with it, however that is removed."""
    remove = "DELETE FROM origins WHERE entry_id = OLD.id"
    if dialect == "postgresql":
        return [
            f"""
CREATE FUNCTION beatd_origins_remove() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    {remove};
    RETURN NULL;
END $$""",
            "CREATE TRIGGER beatd_origins_remove AFTER DELETE ON entries "
            "FOR EACH ROW EXECUTE FUNCTION beatd_origins_remove()",
        ]
    if dialect == "sqlite":
        return [f"\nCREATE TRIGGER beatd_origins_remove AFTER DELETE ON entries BEGIN {remove}; END"]
    return [f"\nCREATE OR REPLACE TRIGGER beatd_origins_remove AFTER DELETE ON entries FOR EACH ROW {remove}"]


def on_calendars(dialect: str) -> list[str]:
    """An edit of what a calendar holds is an edit of the entries that name it."""
    raised = f"SET {_CALENDARED} = {_CALENDARED} + 1 WHERE calendar IN"
    holds = ("name", *_CALENDAR)
    if dialect == "postgresql":
        old, new = (f"ROW({', '.join(f'{row}.{name}' for name in holds)})" for row in ("OLD", "NEW"))
        return [
            f"""
CREATE FUNCTION beatd_calendars_edit() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF {old} IS DISTINCT FROM {new} THEN
        PERFORM pg_advisory_xact_lock({_CALENDARS_LOCK});
        PERFORM id FROM entries WHERE calendar IN (OLD.name, NEW.name) ORDER BY id FOR UPDATE;
        UPDATE entries {raised} (OLD.name, NEW.name);
    END IF;
    RETURN NULL;
END $$""",
            "CREATE TRIGGER beatd_calendars_edit AFTER INSERT OR UPDATE OR DELETE ON calendars "
            "FOR EACH ROW EXECUTE FUNCTION beatd_calendars_edit()",
        ]
    rows = {"insert": "NEW.name", "update": "OLD.name, NEW.name", "delete": "OLD.name"}
    if dialect == "sqlite":
        changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in holds)
        when = {"update": f" WHEN {changed}"}
        return [
            f"""
CREATE TRIGGER beatd_calendars_{event} AFTER {event.upper()} ON calendars{when.get(event, "")} BEGIN
    UPDATE entries {raised} ({names});
END"""
            for event, names in rows.items()
        ]
    same = " AND ".join(f"BINARY NEW.{name} <=> BINARY OLD.{name}" for name in holds)
    when = {"update": f" AND NOT ({same})"}
    # by the index: a scan of the table passes over a row that is not committed yet
    return [
        f"""
CREATE OR REPLACE TRIGGER beatd_calendars_{event} AFTER {event.upper()} ON calendars FOR EACH ROW
    UPDATE entries FORCE INDEX (ix_entries_calendar) {raised} ({names}){when.get(event, "")}"""
        for event, names in rows.items()
    ]


def on_pauses(dialect: str) -> list[str]:
    """PostgreSQL tells the dispatcher at once; SQLite, which has no type for them, gets instants as we write
    them, and nothing else.
    """
    if dialect == "postgresql":
        return [
            "CREATE TRIGGER beatd_pauses_notify AFTER INSERT OR UPDATE OR DELETE ON pauses "
            "FOR EACH STATEMENT EXECUTE FUNCTION beatd_notify()"
        ]
    if dialect != "sqlite":
        return []

    def as_written(column: str) -> str:
        seconds = f"strftime('%Y-%m-%dT%H:%M:%S', NEW.{column})"
        return f"NEW.{column} GLOB {seconds} || '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'"

    return [
        f"""
CREATE TRIGGER beatd_pauses_{event} AFTER {event.upper()} ON pauses
WHEN ({as_written("since")} AND (NEW.until IS NULL OR {as_written("until")})) IS NOT TRUE
BEGIN
    SELECT RAISE(ABORT, 'since and until are instants in UTC, such as 2026-03-29T01:00:00Z')
    WHERE julianday(NEW.since) IS NULL OR (NEW.until IS NOT NULL AND julianday(NEW.until) IS NULL);
    UPDATE pauses SET since = strftime('%Y-%m-%dT%H:%M:%f000Z', since),
                      until = strftime('%Y-%m-%dT%H:%M:%f000Z', until)
    WHERE id = NEW.id;
END"""
        for event in ("insert", "update")
    ]


def views(dialect: str) -> list[str]:
    seconds = {
        "sqlite": "ROUND((julianday(r.finished_at) - julianday(r.started_at)) * 86400, 3)",
        "postgresql": "EXTRACT(EPOCH FROM r.finished_at - r.started_at)",
    }.get(dialect, "TIMESTAMPDIFF(MICROSECOND, r.started_at, r.finished_at) / 1000000")
    at = "`at`" if dialect in ("mariadb", "mysql") else '"at"'
    create = "CREATE OR REPLACE VIEW" if dialect in ("mariadb", "mysql") else "CREATE VIEW"
    return [
        f"""
{create} upcoming AS
SELECT t.next_fire_at, t.next_due_at, e.name,
       COALESCE(e.cron, e.every, e.{at}, e.calendar_every, e.solar, e.custom) AS schedule, e.timezone, e.task,
       e.enabled, e.paused_until, t.state, t.last_fire_at, t.error, e.id AS entry_id
FROM entries e LEFT JOIN timers t ON t.entry_id = e.id""",
        f"""
{create} recent_runs AS
SELECT r.fire_time, v.name, r.state, r.started_at, r.finished_at, {seconds} AS seconds, r.worker, r.result,
       r.error, r.reason, r.origin, r.published_at, r.expires_at, r.id AS run_id, r.entry_id, r.version
FROM runs r LEFT JOIN entry_versions v ON v.entry_id = r.entry_id AND v.version = r.version""",
    ]
