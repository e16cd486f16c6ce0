# ruff: noqa: S608, E501 (column names come from the models; DDL keeps its own line breaks)
"""What makes plain SQL edits first-class: triggers on `entries`, and the views that people read.

The triggers keep `version`, `created_at` and `updated_at`, copy every version into `entry_versions`,
and append to `entry_changes`, from which the dispatcher plans. They never touch `timers`. An update
that changes nothing makes no version.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Columns that triggers set; whatever an edit says of them is ignored.
_NOT_COMPARED = frozenset({"created_at"})


def create_statements(dialect: str, columns: Sequence[str]) -> list[str]:
    """The DDL for `dialect`; `columns` are those that make up an entry's definition."""
    return {"sqlite": _sqlite, "postgresql": _postgresql, "mariadb": _mariadb, "mysql": _mariadb}[dialect](
        columns
    ) + _views(dialect)


def drop_statements(dialect: str) -> list[str]:
    views = ["DROP VIEW IF EXISTS upcoming", "DROP VIEW IF EXISTS recent_runs"]
    if dialect == "postgresql":
        return [
            *views,
            "DROP TRIGGER IF EXISTS beatd_entries_keep ON entries",
            "DROP TRIGGER IF EXISTS beatd_entries_record ON entries",
            "DROP TRIGGER IF EXISTS beatd_entries_notify ON entries",
            "DROP TRIGGER IF EXISTS beatd_nudges_notify ON nudges",
            "DROP FUNCTION IF EXISTS beatd_entries_keep()",
            "DROP FUNCTION IF EXISTS beatd_entries_record()",
            "DROP FUNCTION IF EXISTS beatd_notify()",
        ]
    names = ["insert", "update", "delete"]
    names += ["keep"] if dialect == "sqlite" else ["before_insert", "before_update"]
    return views + [f"DROP TRIGGER IF EXISTS beatd_entries_{name}" for name in names]


def _postgresql(columns: Sequence[str]) -> list[str]:
    definition = "ARRAY['id', 'version', 'updated_at']"
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
    END IF;
    INSERT INTO entry_versions (entry_id, version, name, operation, definition, changed_at, changed_by)
    VALUES (entry.id, entry.version, entry.name, lower(TG_OP), (to_jsonb(entry) - {definition})::text,
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
        pairs = ", ".join(f"'{name}', {row}.\"{name}\"" for name in compared)
        return f"""
    INSERT INTO entry_versions (entry_id, version, name, operation, definition, changed_at)
    VALUES ({id_}, {version}, {row}.name, '{operation}', json_object({pairs}, 'created_at', {created_at}), {now});
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
        return f"""
    INSERT INTO entry_versions (entry_id, version, name, operation, definition, changed_at, changed_by)
    VALUES ({row}.id, {version}, {row}.name, '{operation}', JSON_OBJECT({pairs}), {changed_at}, SESSION_USER());
    INSERT INTO entry_changes (entry_id) VALUES ({row}.id);"""

    return [
        """
CREATE TRIGGER beatd_entries_before_insert BEFORE INSERT ON entries FOR EACH ROW BEGIN
    SET NEW.version = 1;
    SET NEW.created_at = UTC_TIMESTAMP(6);
    SET NEW.updated_at = NEW.created_at;
END""",
        f"""
CREATE TRIGGER beatd_entries_before_update BEFORE UPDATE ON entries FOR EACH ROW BEGIN
    SET NEW.id = OLD.id;
    SET NEW.created_at = OLD.created_at;
    SET NEW.version = OLD.version;
    SET NEW.updated_at = OLD.updated_at;
    IF NOT ({same}) THEN
        SET NEW.version = OLD.version + 1;
        SET NEW.updated_at = UTC_TIMESTAMP(6);
    END IF;
END""",
        f"""
CREATE TRIGGER beatd_entries_insert AFTER INSERT ON entries FOR EACH ROW BEGIN{record("NEW", "1", "insert", "NEW.updated_at")}
END""",
        f"""
CREATE TRIGGER beatd_entries_update AFTER UPDATE ON entries FOR EACH ROW BEGIN
IF NEW.version <> OLD.version THEN{record("NEW", "NEW.version", "update", "NEW.updated_at")}
END IF;
END""",
        f"""
CREATE TRIGGER beatd_entries_delete AFTER DELETE ON entries FOR EACH ROW BEGIN{record("OLD", "OLD.version + 1", "delete", "UTC_TIMESTAMP(6)")}
END""",
    ]


def _views(dialect: str) -> list[str]:
    seconds = {
        "sqlite": "ROUND((julianday(r.finished_at) - julianday(r.started_at)) * 86400, 3)",
        "postgresql": "EXTRACT(EPOCH FROM r.finished_at - r.started_at)",
    }.get(dialect, "TIMESTAMPDIFF(MICROSECOND, r.started_at, r.finished_at) / 1000000")
    at = "`at`" if dialect in ("mariadb", "mysql") else '"at"'
    return [
        f"""
CREATE VIEW upcoming AS
SELECT t.next_fire_at, t.next_due_at, e.name, COALESCE(e.cron, e.every, e.{at}) AS schedule, e.timezone, e.task,
       e.enabled, t.state, t.last_fire_at, t.error, e.id AS entry_id
FROM entries e LEFT JOIN timers t ON t.entry_id = e.id""",
        f"""
CREATE VIEW recent_runs AS
SELECT r.fire_time, v.name, r.state, r.started_at, r.finished_at, {seconds} AS seconds, r.worker, r.result,
       r.error, r.reason, r.origin, r.published_at, r.expires_at, r.id AS run_id, r.entry_id, r.version
FROM runs r LEFT JOIN entry_versions v ON v.entry_id = r.entry_id AND v.version = r.version""",
    ]
