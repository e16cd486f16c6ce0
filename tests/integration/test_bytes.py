"""A command with bytes that are not UTF-8, from what a person types to what the process gets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from beatd.operations import entries
from beatd.operations.context import Context
from beatd.store.models import FINAL_STATES
from tests.processes import Installation

BYTES = "caf\udce9 \udcff\udc80 ü"
TOLD = b"caf\xe9 \xff\x80 \xc3\xbc"


@pytest.mark.parametrize(
    ("servers", "environment"),
    [
        (("postgres_url", "rabbit_url"), "cron"),
        (("mariadb_url", "redis_url"), None),
        (("sqlite_url",), "cron"),
    ],
)
def test_they_arrive_as_they_were_typed(
    request: pytest.FixtureRequest, servers: tuple[str, ...], environment: str | None
) -> None:
    database, broker = [*map(request.getfixturevalue, servers), ""][:2]
    install: Callable[..., Installation] = request.getfixturevalue("install")
    installation = install(database, broker)
    installation.upgrade()
    folder = installation.folder / "caf\udce9"
    folder.mkdir()
    command = f"printf %s '{BYTES}' > argument; printf %s \"$NAME\" > variable; cat > input; echo '{BYTES}'"
    arguments = {"env": {"NAME": BYTES}, "stdin": BYTES, "cwd": str(folder), "environment": environment}
    context = Context(installation.database, "alice", "cli")
    entries.add(
        context, "nightly", {"every": "1s", "max_runs": 1, "expires": "1h", "shell": command, **arguments}
    )
    installation.scheduler()
    installation.worker()
    installation.await_runs(1)

    ended = next(run for run in installation.runs() if run.state in FINAL_STATES)
    assert ended.state == "succeeded", ended.error
    assert ended.result == "exit status 0\ncaf\ufffd \ufffd\ufffd ü\n"
    assert [(folder / name).read_bytes() for name in ("argument", "variable", "input")] == [TOLD] * 3
