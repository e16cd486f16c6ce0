"""Fixtures of the store's tests: emptied databases, and an operator at a client of the database's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import psycopg
import pymysql
import pytest
from sqlalchemy import delete
from sqlalchemy.engine import URL

from beatd.store import schema
from beatd.store.engine import Database
from beatd.store.models import entries, metadata
from tests.store.operators import Operator


@pytest.fixture(scope="session")
def kept_databases() -> Iterator[dict[str, Database]]:
    kept: dict[str, Database] = {}
    yield kept
    for database in kept.values():
        database.close()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(
    request: pytest.FixtureRequest,
    kept_databases: dict[str, Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Database:
    """One of each kind for the whole session, with its schema and no rows: migrating costs half a second."""
    kind = request.param
    if kind != "sqlite":
        server = request.getfixturevalue({"postgresql": "postgres"}.get(kind, kind))
        server.start()
    if kind not in kept_databases:
        file = tmp_path_factory.mktemp("store") / "beatd.sqlite"
        url = f"sqlite:///{file}" if kind == "sqlite" else server.url(server.create_database())
        kept_databases[kind] = Database.open(url, pool_size=10)
        schema.upgrade(kept_databases[kind])
    _empty(kept_databases[kind])
    return kept_databases[kind]


def _empty(database: Database) -> None:
    with database.write() as connection:
        connection.execute(delete(entries))  # first, for its triggers write into other tables
        for table in metadata.sorted_tables:
            if table.name != "installation":
                connection.execute(delete(table))


@pytest.fixture
def connect_operator() -> Iterator[Callable[[Database], Operator]]:
    """Opens operators' sessions, which end with the test."""
    opened: list[Operator] = []

    def connect(database: Database) -> Operator:
        opened.append(Operator(_connect(database.engine.url), database.dialect.name))
        return opened[-1]

    yield connect
    for operator in opened:
        operator.close()


@pytest.fixture
def operator(database: Database, connect_operator: Callable[[Database], Operator]) -> Operator:
    return connect_operator(database)


def _connect(url: URL) -> sqlite3.Connection | psycopg.Connection | pymysql.Connection:
    """As a client far away connects: its session has another time zone."""
    if url.get_backend_name() == "sqlite":
        return sqlite3.connect(str(url.database), isolation_level=None, check_same_thread=False)
    if url.get_backend_name() == "postgresql":
        where = f"host={url.host} port={url.port} user={url.username} dbname={url.database}"
        return psycopg.connect(f"{where} options='-c timezone=Asia/Kolkata'", autocommit=True)
    return pymysql.connect(
        host=url.host,
        port=url.port or 0,
        user=url.username,
        database=url.database,
        autocommit=True,
        init_command="SET time_zone = '+05:30'",
    )
