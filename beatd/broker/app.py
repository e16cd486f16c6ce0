"""The Celery app that gives messages their form, and what can be asked of its broker."""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import celery
import kombu
from celery import Celery
from celery.app.utils import find_app
from kombu.connection import Connection
from kombu.utils.url import maybe_sanitize_url

import beatd
from beatd import waits
from beatd.broker import embedded
from beatd.errors import BrokerUnavailable, Conflict, FieldError, InvalidInput

#: Folders of what imports an operator's code, and of what it calls.
_LIBRARIES = tuple(
    f"{Path(str(module.__file__)).parent}{os.sep}" for module in (celery, kombu, importlib, beatd)
)

_EXAMPLE_URL = "amqp://user:password@host:5672/vhost"


def load_app(
    path: str | None,
    broker_url: str | None,
    *,
    transport_options: Mapping[str, Any] | None = None,
    default_queue: str = "beatd",
    timezone: str = "UTC",
) -> Celery:
    """The operator's app at `path` (`proj.celery:app`, found as `celery --app` finds it), or beatd's own.

    A `broker_url` replaces the operator's; `default_queue` and `timezone` concern beatd's own app only.
    Raises InvalidInput.
    """
    app = _own_app(default_queue, timezone) if path is None else operators_app(path)
    use_broker(app, broker_url, transport_options or {})
    return app


def use_broker(app: Celery, url: str | None, transport_options: Mapping[str, Any]) -> None:
    """Makes it the app's; its own if None. Raises InvalidInput for one that kombu cannot use."""
    if url is not None:
        _pin_broker(app, url)
    if transport_options:
        app.conf.broker_transport_options = {**app.conf.broker_transport_options, **transport_options}
    driver_type(app)


def _own_app(default_queue: str, timezone: str) -> Celery:
    app = Celery("beatd", set_as_current=False, include=["beatd.worker.tasks"])
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_default_queue=default_queue,
        enable_utc=True,
        timezone=timezone,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # an outage of hours must not end the workers
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
    )
    return app


def _pin_broker(app: Celery, url: str) -> None:
    """In the settings, and where connections are made: there CELERY_BROKER_URL, meant for another
    program perhaps, would win over the settings."""
    app.conf.broker_url = app.conf.broker_read_url = app.conf.broker_write_url = url
    vars(app)["connection_for_read"] = partial(_connection, app.connection_for_read, url)
    vars(app)["connection_for_write"] = partial(_connection, app.connection_for_write, url)


def _connection(make: Any, pinned: str, url: str | None = None, **options: Any) -> Connection:
    return make(url or pinned, **options)  # type: ignore[no-any-return]


def operators_app(path: str, field: str = "celery.app") -> Celery:
    """The app at `proj.celery:app`, found as `celery --app` finds it; `field` is what named it.

    Raises InvalidInput.
    """
    try:
        app = find_app(path)  # puts the working directory on sys.path, as `celery --app` does
    except Exception as error:
        raise InvalidInput([_not_imported(field, path, error)]) from error
    if not isinstance(app, Celery):
        problem = f"is a {type(app).__name__}, not a Celery app"
        raise InvalidInput([FieldError(field, path, problem, example="proj.celery:app")])
    return app


def _not_imported(field: str, path: str, error: Exception) -> FieldError:
    """What the path names may not be there; or it is, and its code fails."""
    problem = f"cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}"
    if place := failed_at(error):
        return FieldError(field, path, f"{problem} ({place})")
    return FieldError(field, path, problem, example="proj.celery:app")


def failed_at(error: Exception) -> str | None:
    """`file:line` of the operator's code that raised it, or that called what did."""
    frames = traceback.extract_tb(error.__traceback__)
    of_operator = [
        frame
        for frame in frames
        if not frame.filename.startswith("<") and not any(part in frame.filename for part in _LIBRARIES)
    ]
    return f"{of_operator[-1].filename}:{of_operator[-1].lineno}" if of_operator else None


def embedded_broker(state_dir: Path) -> tuple[str, dict[str, Any]]:
    """URL and transport options of the broker that needs no server, in a folder below `state_dir`."""
    return f"{embedded.SCHEME}://{quote(str((state_dir / 'broker').absolute()))}", {}


# Connections -------------------------------------------------------------------------------------


def driver_type(app: Celery) -> str:
    """kombu's name for the kind of broker: amqp, redis, sql, filesystem … Does not connect.

    Raises InvalidInput for a URL whose transport is unknown or not installed.
    """
    try:
        return str(app.connection_for_write().transport.driver_type)
    except Exception as error:
        url = maybe_sanitize_url(str(app.conf.broker_write_url or ""))
        problem = f"kombu has no such transport, or its library is missing ({error})"
        raise InvalidInput([FieldError("broker.url", url, problem, example=_EXAMPLE_URL)]) from error


def connect(
    app: Celery,
    *,
    timeout: float,
    call_timeout: float | None = None,
    heartbeat: float = 0,
    options: Mapping[str, Any] | None = None,
) -> Connection:
    """A new connection of the caller's, made; each of the URL's fail-over hosts is tried once.

    No call on it that names no timeout takes longer than `call_timeout` (default: `timeout`) seconds.
    `heartbeat`: of AMQP, in seconds; 0: none. Raises BrokerUnavailable.
    """
    call_timeout = call_timeout or timeout
    limits = waits.transport_options(driver_type(app), connect=timeout, call=call_timeout)
    connection: Connection = app.connection_for_write(
        heartbeat=heartbeat, connect_timeout=timeout, transport_options={**limits, **(options or {})}
    )
    try:
        hosts = len(connection.alt or ()) or 1
        connection.ensure_connection(max_retries=hosts - 1, interval_start=0, interval_step=0)
        waits.limit_calls(connection, call_timeout)
    except Exception as error:
        text = unavailable(connection, error)
        release(connection)
        raise text from error
    return connection


def open_channel(connection: Connection) -> Any:
    """Raises BrokerUnavailable."""
    try:
        channel = connection.channel()
        getattr(channel, "session", None)  # the SQLAlchemy transport connects only now
    except Exception as error:
        problem = unavailable(connection, error)
        release(connection)
        raise problem from error
    return channel


def release(connection: Connection) -> None:
    """Closes it as well as it can be closed."""
    try:
        connection.release()
    except Exception:  # the peer is gone: nothing of it is wanted any more
        connection.collect()


def unavailable(connection: Connection, error: BaseException) -> BrokerUnavailable:
    return BrokerUnavailable(f"broker {address(connection)}: {without_secret(connection, error)}")


def address(connection: Connection) -> str:
    """The broker's URL without its password."""
    return str(connection.as_uri())


def without_secret(connection: Connection | None, error: BaseException) -> str:
    text = str(error).partition("\n")[0] or type(error).__name__
    password = connection.password if connection is not None else None
    return text.replace(password, "**") if isinstance(password, str) and len(password) > 2 else text


# What a person asks of the broker ----------------------------------------------------------------


def ping(app: Celery, timeout: float = 5.0) -> str:
    """Connects and describes the broker (`RabbitMQ 3.10.8 at amqp://…`). Raises BrokerUnavailable."""
    connection = connect(app, timeout=timeout)
    open_channel(connection)
    description = f"{_product(connection)} at {address(connection)}"
    release(connection)
    return description


def _product(connection: Connection) -> str:
    properties = getattr(connection.connection, "server_properties", None)
    if properties:
        return f"{properties.get('product', 'AMQP broker')} {properties.get('version', '')}".strip()
    return f"kombu transport {connection.transport.driver_type}"


def revoke(app: Celery, runs: str | Sequence[str], terminate: bool, timeout: float = 5.0) -> None:
    """Tells all workers not to start these runs, and with `terminate` to end those that have started.

    Raises Conflict on a transport that cannot broadcast, BrokerUnavailable.
    """
    with _broadcasting(app, timeout) as connection:
        try:
            app.control.revoke(
                runs if isinstance(runs, str) else list(runs),
                terminate=terminate,
                signal="SIGTERM",
                connection=connection,
            )
        except Exception as error:
            raise unavailable(connection, error) from error


def send_bare(app: Celery, task: str, *, expires: float, timeout: float = 5.0) -> None:
    """Sends a task without arguments, by the app's routes, that nobody is to start after `expires` seconds.

    Raises BrokerUnavailable.
    """
    connection = connect(app, timeout=timeout)
    try:
        app.send_task(task, expires=expires, ignore_result=True, retry=False, connection=connection)
    except Exception as error:
        raise unavailable(connection, error) from error
    finally:
        release(connection)


def workers(app: Celery, timeout: float = 1.0) -> dict[str, list[str]]:
    """The workers that answer within `timeout` seconds, by name, with the queues that they take.

    Raises Conflict on a transport that cannot broadcast, BrokerUnavailable.
    """
    with _broadcasting(app, 5.0) as connection:
        try:
            found = app.control.inspect(timeout=timeout, connection=connection).active_queues() or {}
        except Exception as error:
            raise unavailable(connection, error) from error
    return {name: [queue["name"] for queue in queues] for name, queues in found.items()}


def _broadcasting(app: Celery, timeout: float) -> Any:
    connection = connect(app, timeout=timeout)
    if not connection.supports_exchange_type("fanout"):
        kind = connection.transport.driver_type
        release(connection)
        raise Conflict(f"the {kind} transport cannot broadcast to workers")
    return connection
