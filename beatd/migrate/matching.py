"""Which of the entries that were imported earlier is which of the things that a source has now."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beatd.migrate.command_names import program_of
from beatd.migrate.found import Found, Source
from beatd.migrate.names import candidates, names_of, unnumbered, what_it_runs
from beatd.planning.timing import KINDS
from beatd.store.origins import Kept, Origin


def match(
    found: Sequence[Found], known: Mapping[int, Kept], prefix: str = ""
) -> list[tuple[str, int | None]]:
    """For each its name, and the id of its entry if it was imported earlier."""
    matched = pair(found, known, prefix)
    names = named(found, matched, known, prefix)
    return [(name, matched.get(number)) for number, name in enumerate(names)]


def named(
    found: Sequence[Found],
    matched: Mapping[int, int],
    known: Mapping[int, Kept],
    prefix: str = "",
    taken: Collection[str] = (),
) -> tuple[str, ...]:
    """For each its name, `matched` being what `pair` gave; a name that was once given stays. What is new is
    called as nothing that is `taken`.
    """
    kept = {number: _name(known[id_]) for number, id_ in matched.items()}
    return names_of([candidates(one, prefix) for one in found], kept, taken)


def pair(
    found: Sequence[Found], known: Mapping[int, Kept], prefix: str = "", keyed: Collection[Source] = ()
) -> dict[int, int]:
    """By the place in `found`, the id of the entry of those that were imported earlier. `known` are the
    origins of the same sources by the entries' ids.

    Of a source that is `keyed` the place says it all. Of others, what stands there now as it did then is the
    same; else what runs the same under the same name, then what has the same name, and last what an edit of
    its command has left alike: in one queue the same times in the same place, or the same program. That one
    is better taken for another's successor than left to run beside it.

    Several may have one text, as the scripts of a folder: their names tell them apart, and what they run.
    """
    matched: dict[int, int] = {}
    looks = [
        _Look.of(one.origin, one.options, candidates(one, prefix), _source(one.origin) in keyed)
        for one in found
    ]
    looked = {
        id_: _Look.of(
            kept.origin,
            kept.options,
            (_name(kept), unnumbered(_name(kept))),
            _source(kept.origin) in keyed,
        )
        for id_, kept in known.items()
    }
    for step in _STEPS:
        _pair(
            matched,
            [_keys(step, look) for look in looks],
            {id_: _keys(step, look) for id_, look in looked.items()},
        )
    return matched


@dataclass(frozen=True, slots=True)
class _Look:
    """By what one may be recognised."""

    source: Source
    place: str
    text: str
    names: Sequence[str]
    runs: str
    program: str
    times: str
    queue: str
    keyed: bool

    @classmethod
    def of(cls, origin: Origin, options: Mapping[str, Any], names: Sequence[str], keyed: bool) -> _Look:
        times = json.dumps([options.get(kind) for kind in KINDS], default=str)
        queue = str(options.get("queue"))
        return cls(
            source=_source(origin),
            place=origin.place,
            text=origin.text,
            names=names,
            runs=what_it_runs(options),
            program=_program(options),
            times=times,
            queue=queue,
            keyed=keyed,
        )


_Step = Callable[[_Look], Iterator[Hashable]]


def _by_key(look: _Look) -> Iterator[Hashable]:
    if look.keyed:
        yield look.place


def _place_and_name(look: _Look) -> Iterator[Hashable]:
    yield from ((look.place, look.text, name) for name in look.names)


def _text_and_name(look: _Look) -> Iterator[Hashable]:
    yield from ((look.text, name) for name in look.names)


def _text_and_runs(look: _Look) -> Iterator[Hashable]:
    yield look.text, look.runs


def _place(look: _Look) -> Iterator[Hashable]:
    yield look.place, look.text


def _runs_and_name(look: _Look) -> Iterator[Hashable]:
    yield from ((look.runs, name) for name in look.names)


def _names(look: _Look) -> Iterator[Hashable]:
    yield from look.names


def _runs(look: _Look) -> Iterator[Hashable]:
    yield look.runs


def _times_place_and_program(look: _Look) -> Iterator[Hashable]:
    yield look.queue, look.times, look.place, look.program


def _times_and_program(look: _Look) -> Iterator[Hashable]:
    yield look.queue, look.times, look.program


def _times_and_place(look: _Look) -> Iterator[Hashable]:
    yield look.queue, look.times, look.place


def _place_and_program(look: _Look) -> Iterator[Hashable]:
    yield look.queue, look.place, look.program


def _keys(step: _Step, look: _Look) -> list[Hashable]:
    if look.keyed and step is not _by_key:
        return []
    return [(look.source, key) for key in step(look)]


_STEPS = (
    _by_key,
    _place_and_name,
    _text_and_name,
    _text_and_runs,
    _place,
    _runs_and_name,
    _names,
    _runs,
    _times_place_and_program,
    _times_and_program,
    _times_and_place,
    _place_and_program,
)


def _pair(
    matched: dict[int, int], found: Sequence[Sequence[Hashable]], known: Mapping[int, Sequence[Hashable]]
) -> None:
    """Matches what has a key in common, the first with the first."""
    used = set(matched.values())
    with_key: dict[Hashable, list[int]] = defaultdict(list)
    for id_ in sorted(known.keys() - used, reverse=True):
        for key in known[id_]:
            with_key[key].append(id_)
    for number, keys in enumerate(found):
        for key in keys if number not in matched else ():
            there = with_key[key]
            while there and there[-1] in used:
                there.pop()
            if there:
                matched[number] = there.pop()
                used.add(matched[number])
                break


def _program(options: Mapping[str, Any]) -> str:
    command = options.get("shell")
    if isinstance(command, str):
        return program_of(command)
    return f"{options.get('http')} {options.get('task')}"


def _name(kept: Kept) -> str:
    return str(kept.options.get("name"))


def _source(origin: Origin) -> Source:
    return origin.kind, origin.source
