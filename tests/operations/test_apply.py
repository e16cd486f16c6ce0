"""Entries files: where what is wrong stands, what would change, all of it or nothing; and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beatd.config import shipped
from beatd.errors import Conflict, InvalidInput
from beatd.operations import apply, entries
from beatd.operations.apply import Changes, Files, Source
from beatd.operations.context import Context
from beatd.operations.export import toml


def read(*texts: str) -> Files:
    return apply.read([Source(f"{number}.toml", text) for number, text in enumerate(texts, 1)])


def do(context: Context, *texts: str, prune: bool = False) -> Changes:
    comparison = apply.compare(context, read(*texts), prune=prune)
    comparison.execute(context)
    return comparison.changes


def names(context: Context) -> list[str]:
    return [entry.name for entry in entries.find(context)]


FIRST = """
[entry.tick]
every = "5m"
shell = "echo tick"

[entry."with a.dot"]
cron = "0 3 * * *"
timezone = "Europe/Berlin"
task = "proj.t"
args = [1, "two", { three = 3 }]
kwargs = { a = true }
priority = 5
enabled = false
"""


def test_added_changed_removed(context: Context) -> None:
    changes = do(context, FIRST)
    assert [change.name for change in changes.added] == ["tick", "with a.dot"]
    assert changes.added[0].options == {"every": (None, "5m"), "shell": (None, "echo tick")}
    dotted = entries.show(context, "with a.dot")
    assert dotted.state == "paused"
    assert dotted.options["args"] == [1, "two", {"three": 3}]

    again = do(context, FIRST)
    assert (again.nothing, again.unchanged) == (True, 2)

    changes = do(context, '[entry.tick]\nevery = "1m"\nshell = "echo tick"\nqueue = "q"\n')
    [changed] = changes.changed
    assert changed.options == {"every": ("5m", "1m"), "queue": (None, "q")}
    assert (changes.removed, names(context)) == ((), ["tick", "with a.dot"])

    # what is not in the file goes back to its default; with prune, what is in no file goes
    changes = do(context, '[entry.tick]\nevery = "1m"\nshell = "echo tick"\n', prune=True)
    assert changes.changed[0].options == {"queue": ("q", None)}
    assert [change.name for change in changes.removed] == ["with a.dot"]
    assert names(context) == ["tick"]
    assert [(v.changed_by, v.door) for v in entries.versions(context, "with a.dot")] == [("alice", "cli")] * 2


def test_looking_changes_nothing(embedded: Context) -> None:
    apply.compare(embedded, read(FIRST))
    assert names(embedded) == []


def test_an_edit_in_between_is_not_run_over(context: Context) -> None:
    do(context, FIRST)
    new = '[entry.tick]\nevery = "1m"\nshell = "x"\n[entry.other]\nevery = "1m"\nshell = "x"\n'
    for edit in (
        lambda: entries.change(context, "tick", {"queue": "q"}),
        lambda: entries.remove(context, "with a.dot"),
        lambda: entries.add(context, "other", {"every": "9m", "shell": "y"}),
        lambda: (entries.remove(context, "tick"), entries.restore(context, "tick", 1)),
    ):
        comparison = apply.compare(context, read(new), prune=True)
        edit()
        before = entries.find(context)
        with pytest.raises(Conflict, match="changed meanwhile; nothing was done"):
            comparison.execute(context)
        assert entries.find(context) == before


def test_every_finding_of_every_file_has_its_line(embedded: Context) -> None:
    bad = [
        """[entry.a]
cron = "61 * * * *"
shell = "x"
queu = "q"

[entry."b b"]
every = 10
shell = '''
[entry.not]
every = "not this"
'''
priority = 300
[entry."b b".env]
A = 1
""",
        """[entry.c]
every = "5m"
task = "t"
  args   =  { x = 1 }
[entry.c.kwargs]
when = 2026-01-01
[entry.d]
shell = "x"
[entry.a]
every = "5m"
shell = "x"
""",
        'top = 1\n[entry.x.y]\nevery = "5m"\n[other]\n',
        '[entry.e]\nevery = "5m\n',
        "",
    ]
    with pytest.raises(InvalidInput) as caught:
        apply.compare(embedded, read(*bad))
    found = {(finding.where, finding.field) for finding in caught.value.findings}
    assert found == {
        ("1.toml:2", "cron"),
        ("1.toml:4", "queu"),
        ("1.toml:7", "every"),
        ("1.toml:12", "priority"),
        ("1.toml:13", "env.A"),
        ("2.toml:4", "args"),
        ("2.toml:5", "kwargs"),
        ("2.toml:7", "schedule"),
        ("2.toml:9", "entry"),
        ("3.toml:1", "top"),
        ("3.toml:2", "y"),
        ("3.toml:2", "schedule"),
        ("3.toml:2", "task"),
        ("3.toml:4", "other"),
        ("4.toml:2", "line"),
    }
    places = [str(finding.where) for finding in caught.value.findings]
    assert places == sorted(places, key=lambda where: (where.split(":")[0], int(where.split(":")[1])))
    assert names(embedded) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[entry.x]\nshel = "x"', "did you mean 'shell'?"),
        (
            '[entry.web.backup]\nevery = "5m"',
            "a name with dots must be quoted; for example '[entry.\"web.backup\"]'",
        ),
        ('[job]\nevery = "5m"', "a file holds tables [entry.NAME]"),
        ("entry = 5", "a table for each entry is wanted"),
        ("[entry]\nx = 5", "a table is wanted"),
        ("[[entry]]\nx = 5", "a table for each entry is wanted"),
        ('[entry.x]\nname = "y"\nevery = "5m"\nshell = "x"', "name: 'y': unknown key"),
        ("[entry.x", "1.toml:1: line: '[entry.x': not TOML"),
        ('[entry.x]\na = """\n', "not TOML"),
    ],
)
def test_what_is_no_entries_file(embedded: Context, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        apply.compare(embedded, read(text))
    assert said in str(caught.value)


def test_files_that_cannot_be_read(embedded: Context, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b'[entry."\xe9"]')
    (tmp_path / "good").write_text("\ufeff" + FIRST)
    paths = [tmp_path / name for name in ("none", "latin", "good", "")]
    with pytest.raises(InvalidInput) as caught:
        apply.compare(embedded, apply.load(paths))
    text = str(caught.value)
    assert "No such file" in text
    assert "not UTF-8 text (byte 8)" in text
    assert "Is a directory" in text
    assert [entry.name for entry in apply.load(paths[2:3]).wanted] == ["tick", "with a.dot"]
    assert [entry.name for entry in apply.load([Path("-")], FIRST).wanted] == ["tick", "with a.dot"]


def test_the_sample_entries_can_be_applied(context: Context) -> None:
    comparison = apply.compare(context, apply.load([shipped("config") / "entries.toml"]))
    comparison.execute(context)
    assert "hello" in names(context)
    assert do(context, toml(entries.find(context))).nothing


def test_one_table_is_edited_at_a_time() -> None:
    assert apply.read_one('[entry."a b"]\nevery = "5m"') == {"every": "5m", "name": "a b"}
    for bad in ("", FIRST, "[entry.a]\nx = 1", "["):
        with pytest.raises(InvalidInput):
            apply.read_one(bad)


# What an export holds, applied again, changes nothing: whatever the texts are


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_OPTIONS = st.fixed_dictionaries(
    {"every": st.just("5m")},
    optional={
        "description": _TEXT,
        "queue": _TEXT.filter(bool),
        "priority": st.integers(0, 255),
        "enabled": st.booleans(),
        "ignore_result": st.booleans(),
        "link": st.lists(st.sampled_from(["a.b", "c"]), min_size=1, max_size=3),
        "headers": st.dictionaries(_TEXT, _TEXT, max_size=3),
    },
)
_TASK = st.fixed_dictionaries(
    {"task": st.just("proj.t")},
    optional={"args": st.lists(_JSON, max_size=3), "kwargs": st.dictionaries(_TEXT, _JSON, max_size=3)},
)
_SHELL = st.fixed_dictionaries(
    {"shell": _TEXT.filter(lambda text: bool(text.strip()))},
    optional={
        "stdin": _TEXT,
        "env": st.dictionaries(st.sampled_from(["A", "B"]), _TEXT),
        "timeout": st.just(2.5),
    },
)
_NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=_NAMES, options=_OPTIONS, task=_TASK | _SHELL)
def test_an_export_applied_changes_nothing(
    embedded: Context, name: str, options: dict[str, Any], task: dict[str, Any]
) -> None:
    for entry in entries.find(embedded):
        entries.remove(embedded, entry.name)
    entries.add(embedded, name, {**options, **task})
    text = toml(entries.find(embedded))
    assert do(embedded, text).nothing
    entries.remove(embedded, name)
    do(embedded, text)
    assert toml(entries.find(embedded)) == text
