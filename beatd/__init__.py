"""beatd: a scheduler daemon. Entries in SQL become confirmed messages with expiry for Celery workers."""

__version__ = "0.1.0"
