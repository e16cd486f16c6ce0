"""Every transport that beatd promises, each with a fresh broker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from beatd.broker.app import embedded_broker, load_app
from beatd.broker.configured import open_publisher
from beatd.broker.publisher import Outgoing, Publisher
from beatd.config import BrokerSettings
from beatd.planning.task import TaskSpec

FIRE = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def now() -> datetime:
    return datetime.now(UTC)


def run_of(spec: TaskSpec, expires_at: datetime | None = None) -> Outgoing:
    return Outgoing(str(uuid4()), spec.entry, spec, FIRE, expires_at)


def broker_settings(**given: Any) -> BrokerSettings:
    """Times in seconds."""
    times = ("heartbeat", "confirm_timeout", "connect_timeout")
    return BrokerSettings(
        **{name: timedelta(seconds=value) if name in times else value for name, value in given.items()}
    )


def publisher_of(app: Celery, *, reports_queue: str | None = None, **settings: Any) -> Publisher:
    return open_publisher(app, broker_settings(**settings), reports_queue=reports_queue)


TRANSPORTS = ("rabbitmq", "redis", "embedded", "filesystem", "sqlalchemy")


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(transport: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Celery]:
    """beatd's own app on a broker of its own."""
    url, options = _broker(transport, request, tmp_path)
    app = load_app(None, url, transport_options=options)
    yield app
    app.pool.force_close_all()


def _broker(transport: str, request: pytest.FixtureRequest, folder: Path) -> tuple[str, dict[str, Any]]:
    match transport:
        case "rabbitmq":
            return request.getfixturevalue("rabbit_url"), {}
        case "redis":
            return request.getfixturevalue("redis_url"), {}
        case "embedded":
            return embedded_broker(folder)
        case "sqlalchemy":
            return f"sqla+sqlite:///{folder}/broker.sqlite", {}
    for name in ("messages", "taken", "control"):
        (folder / name).mkdir()
    return "filesystem://", {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "processed_folder": str(folder / "taken"),
        "store_processed": True,
        "polling_interval": 0.05,
    }
