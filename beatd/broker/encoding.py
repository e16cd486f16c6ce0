"""Whether a message can be written with a serializer and a compression, and read by the app's workers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache

from celery import Celery
from kombu import compression
from kombu.serialization import prepare_accept_content, registry

from beatd.errors import BeatdError, FieldError

_PLAIN = {"serializer": "json", "compression": "gzip"}


def encoding_findings(
    serializer: str | None, compressed: str | None, app: Callable[[], Celery]
) -> list[FieldError]:
    """What is wrong with them; `app` gives the Celery app, and is called only if there is something to ask.

    Where the app cannot be had on this machine, what kombu could write is allowed.
    """
    findings = []
    if serializer is not None:
        writable = _serializers()
        allowed = [name for name in writable if writable[name] in _accepted(app)]
        if serializer not in allowed:
            findings.append(_not_one_of("serializer", serializer, allowed, writable))
    if compressed is not None and compressed not in _compressions():
        findings.append(_not_one_of("compression", compressed, _compressions()))
    return findings


def _not_one_of(field: str, value: str, allowed: list[str], known: Collection[str] = ()) -> FieldError:
    problem = f"one of {', '.join(allowed)}"
    if value in known:
        problem = f"workers do not accept it (accept_content); {problem}"
    return FieldError(field, value, problem, example=_PLAIN[field])


@cache
def _serializers() -> dict[str, str]:
    """The content type of each that works here; those whose library is missing only look as if they did."""
    found = {}
    for name in sorted(registry._encoders):
        try:
            content_type, _, _ = registry.dumps({}, name)
        except Exception:  # noqa: S112 whatever it is, nothing can be written with it
            continue
        found[name] = content_type
    return found


def _accepted(app: Callable[[], Celery]) -> set[str]:
    try:
        return set(prepare_accept_content(app().conf.accept_content))
    except BeatdError:
        return set(_serializers().values())


@cache
def _compressions() -> list[str]:
    return sorted(compression._aliases)
