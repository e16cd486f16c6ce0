"""What one worker process has for itself: its settings and its connection to the database."""

from __future__ import annotations

import os
import threading

from beatd import config, faultpoints
from beatd.config import Settings
from beatd.store.engine import Database

_lock = threading.Lock()
_settings: Settings | None = None
_database: Database | None = None
_inherited: list[Database | None] = []


def use(settings: Settings) -> None:
    """These settings instead of those that the configuration files and the environment give."""
    global _settings
    _settings = settings
    _arm(settings)


def settings() -> Settings:
    """Loaded once, at the first call. Raises InvalidInput."""
    global _settings
    with _lock:
        if _settings is None:
            _settings = config.load().settings
            _arm(_settings)
        return _settings


def _arm(settings: Settings) -> None:
    """Raises FieldError."""
    if settings.worker.fault_point:
        faultpoints.arm(settings.worker.fault_point, faultpoints.WORKER)


def database() -> Database:
    """Opened once in each process, at the first call. Raises InvalidInput, FieldError."""
    global _database
    found = settings().database
    with _lock:
        if _database is None:
            # one for claiming, one for renewing: many processes share the server
            _database = Database.configured(found, pool_size=2)
        return _database


def _forget_database() -> None:
    """A forked child opens its own. The parent's is kept unused: to close it would end the parent's
    sessions."""
    global _database, _lock
    _inherited.append(_database)
    _database = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_database)
