"""Why a run ended that no worker told the end of, as the history says it."""

from __future__ import annotations

CANCELLED = "cancelled for a newer run"
SUPERSEDED = "superseded by a newer run"

UNPUBLISHED = "expired before it could be published"
UNSTARTED = "no worker started it before its expiry"
HELD_TOO_LONG = "expired before the earlier run ended"

VANISHED = "its worker vanished"
UNHEARD = "nothing was heard of it within lost_after"
NEVER_STARTED = "no worker started it within lost_after"
RESTORED = "the database was restored from a backup: what became of it since is not known"
UNTOLD = "it has ended, but its worker could not report how"
