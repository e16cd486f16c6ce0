"""The Celery app and the connections that the configuration asks for."""

from __future__ import annotations

from datetime import timedelta

from celery import Celery

from beatd.broker import embedded
from beatd.broker.amqp import AmqpPublisher
from beatd.broker.app import driver_type, embedded_broker, load_app, use_broker
from beatd.broker.generic import GenericPublisher
from beatd.broker.publisher import Publisher
from beatd.broker.reports import ReportsConsumer
from beatd.config import BrokerSettings, Settings
from beatd.redaction import redact

#: How long a run-once run may stay unclaimed on a broker that forgets the message of a killed worker.
_PUBLISH_AGAIN_AFTER = timedelta(seconds=30)

#: Where an app publishes that names no broker.
_CELERYS_OWN = "amqp://localhost//"


def configured_app(settings: Settings) -> Celery:
    """The operator's app, or beatd's own, on the configured broker or the embedded one.

    Raises InvalidInput.
    """
    url, options = settings.broker.url or None, dict(settings.broker.transport_options)
    if url is None and not settings.celery.app:
        url, its_options = embedded_broker(settings.state_dir)
        options = {**its_options, **options}
    return load_app(
        settings.celery.app or None,
        url,
        transport_options=options,
        default_queue=settings.celery.default_queue,
        timezone=settings.timezone,
    )


def use_configured_broker(app: Celery, settings: Settings) -> None:
    """For an app that is there already: its own broker, unless the configuration names one.

    Raises InvalidInput.
    """
    use_broker(app, settings.broker.url or None, settings.broker.transport_options)


def configured_publisher(app: Celery, settings: Settings, installation: str) -> Publisher:
    """Raises BrokerUnavailable, InvalidInput."""
    reports_queue = reports_queue_name(installation) if settings.celery.reports else None
    return open_publisher(app, settings.broker, reports_queue=reports_queue)


def open_publisher(app: Celery, settings: BrokerSettings, *, reports_queue: str | None) -> Publisher:
    """Connects. `reports_queue`: where workers are told to report to.

    Raises BrokerUnavailable, and InvalidInput for a broker URL that kombu cannot use.
    """
    match driver_type(app):
        case "amqp":
            return AmqpPublisher(app, settings, reports_queue=reports_queue)
        case "redis":
            from beatd.broker.redis import RedisPublisher  # its library is an extra

            return RedisPublisher(app, settings, reports_queue=reports_queue)
    return GenericPublisher(app, settings, reports_queue=reports_queue)


def configured_consumer(app: Celery, settings: Settings, installation: str) -> ReportsConsumer:
    """Raises BrokerUnavailable."""
    return ReportsConsumer(app, reports_queue_name(installation), settings.broker)


def reports_queue_name(installation: str) -> str:
    return f"beatd.reports.{installation}"


def publish_again_after(app: Celery) -> timedelta | None:
    """None for a broker that at once delivers again what a killed worker had taken."""
    url = str(app.conf.broker_write_url or app.conf.broker_url or "")
    if driver_type(app) == "amqp" or url.startswith(f"{embedded.SCHEME}://"):
        return None
    return _PUBLISH_AGAIN_AFTER


def broker_address(app: Celery) -> str:
    """Where the app publishes, without a password. Does not connect."""
    return redact(str(app.conf.broker_write_url or app.conf.broker_url or _CELERYS_OWN))
