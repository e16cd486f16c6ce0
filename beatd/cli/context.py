"""Whom operations are told that they serve, where the command line calls them."""

from __future__ import annotations

from beatd.cli.state import State
from beatd.operations.context import Context


def context_of(state: State) -> Context:
    """Raises InvalidInput, FieldError, DatabaseUnavailable, SchemaMismatch."""
    return Context.of(state.settings, state.database(), state.who, "cli")
