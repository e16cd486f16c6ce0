"""What imported entries are called: the same whatever their order, and still the same when others come.

A name is made of the first readable text that gives one. Where several have the same, each gets a short hash
of what it runs behind it; if that is the same, too, of everything that is known of it. Only what cannot be
told apart by that is numbered.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from beatd.migrate.found import Found

_LONGEST = 50
_NOT_A_WORD = re.compile(r"[\W_]+")
_HASH_DIGITS = 6
_NUMBER = re.compile(r"-\d+$")

_RUNS = ("shell", "http", "task", "args", "kwargs")


def names_of(
    choices: Sequence[tuple[str, ...]], kept: Mapping[int, str], others: Collection[str] = ()
) -> tuple[str, ...]:
    """A name for each of whose `candidates` these are, all different, and none that `others` have. `kept` are
    those that some have already, by their places.
    """
    names = dict(kept)
    open_ = [number for number in range(len(choices)) if number not in names]
    for level in range(len(choices[0]) if choices else 0):
        of_name = defaultdict(set)
        for number, choice in enumerate(choices):
            of_name[choice[level]].add(number)
        taken = {*names.values(), *others}
        for number in open_:
            name = choices[number][level]
            if of_name[name] == {number} and name not in taken:
                names[number] = name
        open_ = [number for number in open_ if number not in names]
    _number(names, [(number, choices[number][-1]) for number in open_], others)
    return tuple(names[number] for number in range(len(choices)))


def candidates(found: Found, prefix: str = "") -> tuple[str, ...]:
    """What one may be called, from the plainest name to one that nothing else is called."""
    runs = what_it_runs(found.options)
    text = found.origin.text
    plain = prefix + (_readable(found.names) or f"{found.origin.kind}-{_hash(text)}")
    options = json.dumps(dict(found.options), sort_keys=True, default=str)
    everything = f"{runs} {text} {found.origin.kind} {found.origin.source} {found.names} {options}"
    return (plain, f"{plain}-{_hash(runs)}", f"{plain}-{_hash(everything)}")


def what_it_runs(options: Mapping[str, Any]) -> str:
    """Whenever, wherever and in whatever environment."""
    return json.dumps([options.get(key) for key in _RUNS], sort_keys=True, default=str)


def unnumbered(name: str) -> str:
    """Without the number of one that cannot be told from others."""
    return _NUMBER.sub("", name)


def _readable(texts: Sequence[str]) -> str | None:
    """The first that gives a name and is not too long; else the beginning of the last."""
    slugs = [slug for slug in (_NOT_A_WORD.sub("-", text.lower()).strip("-") for text in texts) if slug]
    for slug in slugs:
        if len(slug) <= _LONGEST:
            return slug
    if not slugs:
        return None
    whole_words = slugs[-1][: _LONGEST + 1].rpartition("-")[0]
    return whole_words or slugs[-1][:_LONGEST]


def _number(names: dict[int, str], same: Sequence[tuple[int, str]], others: Collection[str]) -> None:
    taken = {*names.values(), *others}
    counts: dict[str, int] = defaultdict(int)
    for place, name in same:
        numbered = name
        while numbered in taken or not counts[name]:
            counts[name] += 1
            numbered = name if counts[name] == 1 else f"{name}-{counts[name]}"
        names[place] = numbered
        taken.add(numbered)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
