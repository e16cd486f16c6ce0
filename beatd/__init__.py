"""beatd: a scheduler daemon. Entries in SQL become confirmed messages with expiry for Celery workers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`beatd.Client`, imported at first use: a worker that imports beatd needs no database library."""
    if name == "Client":
        return import_module("beatd.client").Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
