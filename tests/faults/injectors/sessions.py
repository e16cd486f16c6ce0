"""What other people do in the database: they lock rows, cross each other's locks, take all connections, kill
sessions."""

from __future__ import annotations

import contextlib
import threading
from random import Random
from typing import Any

import psycopg
import pymysql

from tests.faults.injectors.injector import Injector
from tests.faults.injectors.world import World

TABLES = ("timers", "runs", "entries")
#: What a server says to a session that was ended, chosen as a deadlock's victim, or waited too long.
ERRORS = (psycopg.Error, pymysql.err.MySQLError)


class _Session(Injector):
    """A fault by SQL, on PostgreSQL and MariaDB."""

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.touches = frozenset({"database"})

    @classmethod
    def applies(cls, world: World) -> bool:
        return world.database is not None

    @property
    def is_postgres(self) -> bool:
        return self.world.database.name != "MariaDB"

    def connect(self) -> Any:
        """A superuser's connection into beatd's database, in autocommit mode."""
        database = self.world.database
        if self.is_postgres:
            where = f"host=127.0.0.1 port={database.port} user=postgres dbname={self.world.database_name}"
            return psycopg.connect(where, autocommit=True, connect_timeout=5)
        connection = database.admin()
        connection.select_db(self.world.database_name)
        return connection

    def execute(self, connection: Any, *statements: str) -> list[Any]:
        """The rows of the last one."""
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def once(self, *statements: str) -> list[Any]:
        connection = self.connect()
        try:
            return self.execute(connection, *statements)
        finally:
            connection.close()


class Blocker(_Session):
    """One session locks rows of all tables and does nothing more: as if someone went to lunch."""

    name = "long blocker"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.tables = random.sample(TABLES, random.randint(1, len(TABLES)))
        self.rows = random.choice([1, 10, 200])
        self.lasts = self.seconds(1, 3 * world.lease)
        self._connection: Any = None

    def inject(self) -> str:
        self._connection = self.connect()
        counts = []
        for statement in ("BEGIN", *map(self._lock, self.tables)):
            counts.append(len(self.execute(self._connection, statement)))
        locked = ", ".join(f"{n} of {table}" for table, n in zip(self.tables, counts[1:], strict=True))
        return f"rows locked for {self.lasts} s: {locked}"

    def heal(self) -> str:
        if self._connection is not None:
            with contextlib.suppress(*ERRORS):
                self.execute(self._connection, "ROLLBACK")
            with contextlib.suppress(*ERRORS):
                self._connection.close()
            self._connection = None
        return "the locks are released"

    def _lock(self, table: str) -> str:
        # those that the dispatcher will want next; it is skipped what others hold, or it would wait here
        order = {"timers": "next_due_at", "runs": "id DESC", "entries": "id"}[table]
        key = "entry_id" if table == "timers" else "id"
        return f"SELECT {key} FROM {table} ORDER BY {order} LIMIT {self.rows} FOR UPDATE SKIP LOCKED"


class Deadlocks(_Session):
    """Sessions that update rows in an order of their own, against everybody's, again and again."""

    name = "deadlocks"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.lasts = self.seconds(2, 8)
        self.seed = random.randrange(2**32)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._counts = {"transactions": 0, "refused": 0}

    def inject(self) -> str:
        self._threads = [
            threading.Thread(target=self._cross, args=[Random(self.seed + number)]) for number in range(2)
        ]
        for thread in self._threads:
            thread.start()
        return f"two sessions lock timers, runs and entries crosswise for {self.lasts} s"

    def heal(self) -> str:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        done, refused = self._counts["transactions"], self._counts["refused"]
        return f"{done} transactions, {refused} of them ended by deadlock or time"

    def _cross(self, random: Random) -> None:
        connection: Any = None
        while not self._stop.wait(0.05):
            try:
                connection = connection or self.connect()
                self._counts["transactions"] += 1
                self._transaction(connection, random)
            except ERRORS:
                self._counts["refused"] += 1
                with contextlib.suppress(*ERRORS):
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _transaction(self, connection: Any, random: Random) -> None:
        patience = "SET LOCAL lock_timeout = '3s'" if self.is_postgres else "SET innodb_lock_wait_timeout = 3"
        self.execute(connection, "BEGIN", patience)
        for table in random.sample(TABLES, len(TABLES)):
            key = "entry_id" if table == "timers" else "id"
            way = random.choice(["ASC", "DESC"])
            self.execute(connection, f"SELECT {key} FROM {table} ORDER BY {key} {way} LIMIT 5 FOR UPDATE")
            self._stop.wait(random.uniform(0, 0.1))  # the others shall come in between
        self.execute(connection, "ROLLBACK")


class KillSessions(_Session):
    """Some of beatd's sessions are ended by the database's administrator."""

    name = "killed sessions"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.which = random.choice(["one", "half of all", "all", "all idle"])

    def inject(self) -> str:
        if self.is_postgres:
            query = f"""SELECT pid, state FROM pg_stat_activity
                        WHERE datname = '{self.world.database_name}' AND usename <> 'postgres' ORDER BY pid"""
            kill = "SELECT pg_terminate_backend({})"
        else:
            query = f"""SELECT id, lower(command) FROM information_schema.processlist
                        WHERE db = '{self.world.database_name}' AND user <> 'root' ORDER BY id"""
            kill = "KILL {}"
        connection = self.connect()
        try:
            sessions = self.execute(connection, query)
            chosen = self._chosen(sessions)
            for number in chosen:
                with contextlib.suppress(*ERRORS):  # it has ended by itself
                    self.execute(connection, kill.format(number))
        finally:
            connection.close()
        return f"{self.which} of the {len(sessions)} sessions killed: {len(chosen)}"

    def heal(self) -> str:
        return "they connect again by themselves"

    def _chosen(self, sessions: list[Any]) -> list[int]:
        numbers = [number for number, _ in sessions]
        if self.which == "one":
            return [self.random.choice(numbers)] if numbers else []
        if self.which == "half of all":
            return self.random.sample(numbers, len(numbers) // 2)
        if self.which == "all idle":
            return [number for number, state in sessions if state in ("idle", "sleep")]
        return numbers


class ConnectionLimit(_Session):
    """beatd's user may have no more than a few connections, and those it has are ended."""

    name = "connection limit"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.limit = random.choice([1, 3, 6])
        self.lasts = self.seconds(1, 2 * world.lease)

    def inject(self) -> str:
        self.once(self._limit(self.limit))
        killer = KillSessions(self.world, self.random)
        killer.which = "all"
        return f"{self.limit} connections at the most for {self.lasts} s; {killer.inject()}"

    def heal(self) -> str:
        self.once(self._limit(None))
        return "as many connections as wanted"

    def _limit(self, limit: int | None) -> str:
        if self.is_postgres:
            return f"ALTER ROLE beatd CONNECTION LIMIT {-1 if limit is None else limit}"
        return f"ALTER USER 'beatd'@'127.0.0.1' WITH MAX_USER_CONNECTIONS {limit or 0}"


class StatementTimeout(_Session):
    """A whole table is locked, longer than a statement may take: the server ends each that needs it."""

    name = "locked tables"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.table = random.choice(TABLES)
        self.lasts = self.seconds(1, 2.5 * world.lease)
        self._connection: Any = None

    def inject(self) -> str:
        self._connection = self.connect()
        if self.is_postgres:
            lock = f"LOCK TABLE {self.table} IN ACCESS EXCLUSIVE MODE"
            self.execute(self._connection, "BEGIN", "SET LOCAL lock_timeout = '10s'", lock)
        else:
            self.execute(self._connection, "SET lock_wait_timeout = 10", f"LOCK TABLES {self.table} WRITE")
        return f"table {self.table} locked for {self.lasts} s"

    def heal(self) -> str:
        if self._connection is not None:
            with contextlib.suppress(*ERRORS):
                self._connection.close()  # ends the transaction, and UNLOCKs
            self._connection = None
        return f"table {self.table} is free"


class Refusals(_Session):
    """The server refuses some transactions as not serializable: at a statement, or only at COMMIT.

    A trigger says so, since nobody can bring it about at will; to the client it is the same answer.
    """

    name = "serialization failures"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.table = random.choice(("timers", "runs"))
        self.at_commit = self.is_postgres and random.random() < 0.5
        self.one_in = random.choice([3, 50, 1000])  # rows
        self.lasts = self.seconds(1, 2 * world.lease)

    def inject(self) -> str:
        self._change(*(self._postgres() if self.is_postgres else self._mariadb()))
        when = "COMMIT" if self.at_commit else "the statement"
        return f"one in {self.one_in} changes of {self.table} fails at {when}, for {self.lasts} s"

    def heal(self) -> str:
        on = f" ON {self.table}" if self.is_postgres else ""
        self._change(f"DROP TRIGGER IF EXISTS injected_failure{on}")
        return f"changes of {self.table} succeed"

    def _postgres(self) -> tuple[str, str]:
        how = "AFTER UPDATE ON {} DEFERRABLE INITIALLY DEFERRED" if self.at_commit else "AFTER UPDATE ON {}"
        function = f"""CREATE OR REPLACE FUNCTION injected_failure() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
            IF random() < 1.0 / {self.one_in} THEN
                RAISE EXCEPTION 'could not serialize access (injected)' USING ERRCODE = '40001';
            END IF;
            RETURN NULL; END $$"""
        constraint = "CONSTRAINT " if self.at_commit else ""
        trigger = f"""CREATE {constraint}TRIGGER injected_failure {how.format(self.table)}
            FOR EACH ROW EXECUTE FUNCTION injected_failure()"""
        return function, trigger

    def _mariadb(self) -> tuple[str]:
        return (
            f"""CREATE OR REPLACE TRIGGER injected_failure AFTER UPDATE ON {self.table} FOR EACH ROW BEGIN
            IF rand() < 1.0 / {self.one_in} THEN
                SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found (injected)';
            END IF; END""",
        )

    def _change(self, *statements: str) -> None:
        """Whoever holds the table may do so for half a minute; a longer wait at a time would block all."""
        patience = "SET lock_timeout = '3s'" if self.is_postgres else "SET lock_wait_timeout = 3"
        for last in (*[False] * 9, True):
            try:
                self.once(patience, *statements)
            except (psycopg.errors.LockNotAvailable, pymysql.err.OperationalError):
                if last:
                    raise
            else:
                return


INJECTORS = (Blocker, Deadlocks, KillSessions, ConnectionLimit, StatementTimeout, Refusals)
