"""The CronJobs of YAML files, wherever in a document they are: lists, templates of OpenShift and the like
hold them too. Only plain values are made of YAML, never objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from beatd.errors import FieldError

if TYPE_CHECKING:
    from yaml import MappingNode, Node

#: What Helm, Ansible and others are still to fill in.
PLACEHOLDER = re.compile(
    r"\{\{.*?(?:\}\}|$)|\{%.*?(?:%\}|$)|<%.*?(?:%>|$)|\$\{[^}]*\}|\$\([A-Z_]+\)", re.MULTILINE
)

_SAYS_NOTHING = re.compile(r"^(\s*(#.*)?|---.*|\.\.\.\s*)$")
_DEEPEST = 30


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its place, `file:line:column`."""

    value: Any
    where: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One CronJob. `where` is its place, `text` how its document has it."""

    where: str
    node: MappingNode
    path: str
    line: int

    def get(self, *keys: str) -> Value | None:
        """What stands under these keys; None where nothing does, and for null."""
        node: Node | None = self.node
        for key in keys:
            node = _child(node, key)
        if node is None:
            return None
        value = _plain(node)
        return None if value is None else Value(value, _place(self.path, self.line, node))


def cron_jobs(text: str, path: str) -> Iterator[Manifest | FieldError]:
    """The CronJobs in their order, and what cannot be read: what is in that nobody knows.

    Raises FieldError where the library for YAML is not there.
    """
    if find_spec("yaml") is None:
        problem = "to read YAML PyYAML is needed: pip install 'beatd[kubernetes]'"
        raise FieldError("FILE", path, problem)
    for line, document in _documents(text):
        yield from _in_document(document, path, line)


def is_empty(text: str) -> bool:
    """Whether there is no document in it, or none that says anything."""
    return all(_SAYS_NOTHING.match(line) for line in text.removeprefix("\ufeff").splitlines())


def _documents(text: str) -> Iterator[tuple[int, str]]:
    """Each with the number of lines before it: what is wrong with one is no harm to the others."""
    lines: list[str] = []
    began = 0
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(keepends=True)):
        if re.match(r"---(\s|$)", line):
            yield began, "".join(lines)
            lines, began = [], number
        lines.append(line)
    yield began, "".join(lines)


def _in_document(text: str, path: str, line: int) -> Iterator[Manifest | FieldError]:
    import yaml

    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        yield _unreadable(text, path, line, error)
        return
    except RecursionError:
        yield FieldError("YAML", text[:40], "is nested too deeply", where=f"{path}:{line + 1}")
        return
    for node in nodes:
        yield from _within(node, path, line, 0)


def _within(node: Node | None, path: str, line: int, depth: int) -> Iterator[Manifest]:
    import yaml

    if depth > _DEEPEST or not isinstance(node, yaml.CollectionNode):
        return
    if isinstance(node, yaml.MappingNode):
        kind, version = (_plain(_child(node, key)) for key in ("kind", "apiVersion"))
        if kind == "CronJob" and _is_batch(version, whole=not depth):
            yield Manifest(_place(path, line, node), node, path, line)
            return
        children = [value for _, value in node.value]
    else:
        children = node.value
    for child in children:
        yield from _within(child, path, line, depth + 1)


def _is_batch(version: Any, *, whole: bool) -> bool:
    """Whose version it is; a whole document may lack it, as in an excerpt."""
    return whole if version is None else str(version).startswith(("batch/", "{{"))


def _unreadable(text: str, path: str, line: int, error: Any) -> FieldError:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{line + mark.line + 1}:{mark.column + 1}" if mark else f"{path}:{line + 1}"
    shown = text.splitlines()[mark.line].strip() if mark and mark.line < len(text.splitlines()) else ""
    if found := PLACEHOLDER.search(text):
        return template_refused("YAML", found[0], where)
    if re.match(r"schedule\s*:\s*[*@?]", shown):
        problem = "is not YAML: a value that begins with * or @ stands in quotes"
        return FieldError("YAML", shown, problem, example='schedule: "*/5 * * * *"', where=where)
    return FieldError("YAML", shown, f"is not YAML: {getattr(error, 'problem', None) or error}", where=where)


def template_refused(field: str, value: Any, where: str) -> FieldError:
    problem = (
        "is a template, to be filled in first: helm template CHART | beatd kubernetes check -, or "
        "kubectl get cronjobs -A -o yaml | beatd kubernetes check -"
    )
    return FieldError(field, value, problem, where=where)


def _child(node: Node | None, key: str) -> Node | None:
    """The last of that name, as YAML readers take it."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return None
    found = [value for name, value in node.value if isinstance(name, yaml.ScalarNode) and name.value == key]
    return found[-1] if found else None


def _plain(node: Node | None) -> Any:
    """A scalar's value; of anything else what shows that it is none. `{{ x }}` is a mapping to YAML."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        filled_in = node.value and isinstance(node.value[0][0], yaml.MappingNode)
        return "{{ … }}" if filled_in else {"…": "…"}
    if not isinstance(node, yaml.ScalarNode):
        return None if node is None else ["…"]
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError):
        return node.value
    finally:
        loader.dispose()


def _place(path: str, line: int, node: Node) -> str:
    return f"{path}:{line + node.start_mark.line + 1}:{node.start_mark.column + 1}"
