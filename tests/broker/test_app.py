"""The app, found or refused; and what can be asked of its broker, of real workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from celery import Celery

from beatd.broker.app import driver_type, embedded_broker, load_app, ping, revoke, workers
from beatd.errors import BrokerUnavailable, Conflict, InvalidInput
from tests.waiting import eventually


def test_our_own_app() -> None:
    app = load_app(None, "memory://", default_queue="work")
    assert app.conf.task_default_queue == "work"
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_backend is None
    assert app.conf.include == ["beatd.worker.tasks"]
    assert str(app.timezone) == "UTC"
    assert driver_type(app) == "memory"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a package of the operator's."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").touch()
    (tmp_path / "shop/celery.py").write_text(
        "from celery import Celery\n"
        "app = Celery('shop', broker='memory://theirs', set_as_current=False)\n"
        "app.conf.broker_transport_options = {'a': 1}\n"
        "text = 'no app'\n"
    )
    (tmp_path / "shop/broken.py").write_text("import nonesuch\n")
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "shop":
            del sys.modules[name]


def test_the_operators_app_is_found_as_celery_finds_it(project: Path) -> None:
    for path in ("shop.celery:app", "shop.celery", "shop"):
        app = load_app(path, None)
        assert app.main == "shop"
        assert app.conf.broker_url == "memory://theirs"


def test_a_configured_broker_replaces_the_operators(project: Path) -> None:
    app = load_app("shop.celery:app", "memory://ours", transport_options={"b": 2})
    assert app.conf.broker_write_url == app.conf.broker_read_url == "memory://ours"
    assert app.conf.broker_transport_options == {"a": 1, "b": 2}


def test_a_broker_meant_for_other_programs_does_not_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://other")
    app = load_app(None, "redis://127.0.0.1:1/3")
    for connection in (app.connection_for_write(heartbeat=3), app.connection_for_read()):
        assert (connection.hostname, connection.port, connection.virtual_host) == ("127.0.0.1", 1, "3")
    assert driver_type(app) == "redis"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nonesuch.celery:app", "No module named 'nonesuch'"),
        ("shop.celery:nonesuch", "nonesuch"),
        ("shop.celery:text", "is a str, not a Celery app"),
    ],
)
def test_an_app_that_is_none(project: Path, path: str, said: str) -> None:
    with pytest.raises(InvalidInput) as found:
        load_app(path, None)
    text = str(found.value)
    assert text.startswith(f"celery.app: {path!r}: ")
    assert said in text
    assert "for example 'proj.celery:app'" in text


def test_an_app_whose_code_fails(project: Path) -> None:
    with pytest.raises(InvalidInput) as found:
        load_app("shop.broken:app", None)
    assert str(found.value).endswith(f"No module named 'nonesuch' ({project}/shop/broken.py:1)")


def test_ping_says_what_is_there(app: Celery, transport: str) -> None:
    said = {
        "rabbitmq": "RabbitMQ 3",
        "redis": "kombu transport redis at redis://",
        "embedded": "at beatd:///",
        "filesystem": "kombu transport filesystem",
        "sqlalchemy": "kombu transport sql at sqla+sqlite:///",
    }
    description = ping(app)
    assert said[transport] in description
    assert "guest:guest" not in description


@pytest.mark.parametrize("url", ["amqp://u:s3cret@127.0.0.1:1//", "redis://:s3cret@127.0.0.1:1/0"])
def test_ping_of_nothing(url: str) -> None:
    with pytest.raises(BrokerUnavailable) as found:
        ping(load_app(None, url), timeout=1)
    assert "s3cret" not in str(found.value)


WORKER = """
import sys, time
from pathlib import Path
import beatd.broker.embedded
from celery import Celery

app = Celery("workers", broker=sys.argv[1])
app.conf.update(task_default_queue="beatd", worker_prefetch_multiplier=1, task_acks_late=True,
                task_reject_on_worker_lost=True, worker_hijack_root_logger=False)

@app.task(name="note")
def note(path, seconds):
    with Path(path).open("a") as file:
        print("started", file=file)
    time.sleep(seconds)
    with Path(path).open("a") as file:
        print("done", file=file)

app.worker_main(["worker", "-c", "1", "--without-gossip", "--without-mingle", "-n", "one@%h"])
"""


@pytest.fixture
def worker(app: Celery, transport: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    worker = start_worker(script, str(app.conf.broker_url))
    yield worker
    # a plain worker's own end may hang, in the locks of the process that was revoked
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(60)


def start_worker(script: Path, url: str) -> subprocess.Popen[bytes]:
    log = script.with_suffix(".log").open("ab")
    return subprocess.Popen(
        [sys.executable, str(script), url], stdout=log, stderr=log, cwd=script.parent, start_new_session=True
    )


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("transport", ["rabbitmq", "redis", "embedded"], indirect=True)
def test_workers_answer_and_a_run_is_revoked(
    app: Celery, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    found = eventually(lambda: workers(app, timeout=1.0))
    [(name, queues)] = found.items()
    assert name.startswith("one@")
    assert queues == [app.conf.task_default_queue]
    out = tmp_path / "out"
    app.send_task("note", args=(str(out), 60), task_id="long")
    eventually(lambda: lines(out) == ["started"])
    app.send_task("note", args=(str(out), 0), task_id="waiting")
    revoke(app, "waiting", terminate=False)
    revoke(app, "long", terminate=True)
    app.send_task("note", args=(str(out), 0), task_id="after")
    eventually(lambda: lines(out)[-1] == "done")
    assert lines(out) == ["started", "started", "done"]  # long, after


@pytest.mark.parametrize("transport", ["sqlalchemy"], indirect=True)
def test_a_transport_that_cannot_broadcast_says_so(app: Celery) -> None:
    with pytest.raises(Conflict, match="the sql transport cannot broadcast"):
        revoke(app, "some", terminate=True)
    with pytest.raises(Conflict, match="the sql transport cannot broadcast"):
        workers(app)


@pytest.mark.parametrize("transport", ["rabbitmq", "embedded"], indirect=True)
def test_a_killed_worker_loses_no_message(
    app: Celery, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    app.send_task("note", args=(str(out), 1.0))
    app.send_task("note", args=(str(out), 0.0))
    eventually(lambda: lines(out) == ["started"])
    worker.kill()
    worker.wait()
    second = start_worker(tmp_path / "worker.py", str(app.conf.broker_url))
    eventually(lambda: lines(out).count("done") >= 2)
    second.terminate()
    second.wait(60)


def test_nobody_answers(tmp_path: Path) -> None:
    url, options = embedded_broker(tmp_path)
    assert workers(load_app(None, url, transport_options=options), timeout=0.2) == {}
