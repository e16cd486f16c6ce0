"""Where an app is: the module that makes it, and its name there."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

#: They hold every app that is made.
_NOT_OF_THE_PROJECT = ("celery", "beatd", "__main__")


def module_path(app: Any) -> str | None:
    """`proj.celery:app`. Of the modules that have the app, that one counts which assigns it rather than
    imports it: so it stays the same, whatever else is imported. None for one that no module has.
    """
    places = sorted((not _assigns(*place), place[0].__name__, place[1]) for place in _places(app))
    return f"{places[0][1]}:{places[0][2]}" if places else None


def _places(app: Any) -> Iterator[tuple[ModuleType, str]]:
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType) or module.__name__.partition(".")[0] in _NOT_OF_THE_PROJECT:
            continue
        # of several names the first
        names = [name for name, value in list(vars(module).items()) if value is app]
        if names:
            yield module, names[0]


def _assigns(module: ModuleType, name: str) -> bool:
    try:
        nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
    except (OSError, TypeError, SyntaxError):
        return False
    imported = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return name in assigned - imported
