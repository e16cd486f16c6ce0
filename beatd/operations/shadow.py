"""Shadow mode, as far as people meet it: what they ask for would only be recorded, so it is refused."""

from __future__ import annotations

from datetime import datetime

from beatd.errors import Conflict
from beatd.operations.context import Context
from beatd.store import nodes
from beatd.store.entries import Transaction


def require_publishing(context: Context, transaction: Transaction, now: datetime) -> None:
    """Raises Conflict where schedulers are in shadow mode, or are to be: nobody would publish the run."""
    peers = nodes.peers(transaction, now - context.node_timeout)
    if peer := next((peer for peer in peers if peer.shadow), None):
        who = f"the scheduler {peer.name} (pid {peer.pid} on {peer.host}) is in shadow mode"
    elif context.shadow:
        who = "the configuration says shadow mode (scheduler.shadow)"
    else:
        return
    raise Conflict(f"{who}: nothing is published, and a run that is asked for would wait until it expires")
