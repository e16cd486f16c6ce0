"""A server that is stopped while its machine still answers for it: no wait lasts for ever."""

from __future__ import annotations

import os
import signal

import pytest
from sqlalchemy import text

from beatd.errors import DatabaseUnavailable
from beatd.store.engine import Database


def test_a_stopped_server_process_is_not_waited_for_without_an_end(postgres_url: str) -> None:
    database = Database.open(postgres_url, connect_timeout=2, statement_timeout=0.5)

    def ask_the_stopped() -> None:
        with database.write() as connection:
            server = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            os.kill(server, signal.SIGSTOP)
            try:
                connection.execute(text("SELECT 1"))
            finally:
                os.kill(server, signal.SIGCONT)

    with pytest.raises(DatabaseUnavailable, match=r"no answer within 2\.5 s"):
        ask_the_stopped()
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    database.close()
