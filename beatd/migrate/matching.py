"""Which of the entries that were imported earlier is which of the things that a source has now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from beatd.migrate.found import Found
from beatd.migrate.names import candidates, names_of, unnumbered, what_it_runs
from beatd.store.origins import Kept, Origin


def match(
    found: Sequence[Found], known: Mapping[int, Kept], prefix: str = ""
) -> list[tuple[str, int | None]]:
    """For each its name, and the id of its entry if it was imported earlier.

    What stands there now as it did then is the same; else what runs the same under the same name, and then
    what has the same name. `known` are the origins of the same sources by the entries' ids. What is the same
    keeps its name as long as that may be its name.
    """
    choices = [candidates(one, prefix) for one in found]
    matched = _same(found, choices, known)
    kept = {
        number: _name(known[id_]) for number, id_ in matched.items() if _fits(choices[number], known[id_])
    }
    names = names_of(choices, kept)
    # also under another name than it has now: when it was alone, or when there was another like it
    _pair(
        matched,
        [
            [(*_source(one.origin), name) for name in (own, *choice)]
            for one, own, choice in zip(found, names, choices, strict=True)
        ],
        {id_: [(*_source(one.origin), _name(one))] for id_, one in known.items()},
    )
    return [(name, matched.get(number)) for number, name in enumerate(names)]


def _same(
    found: Sequence[Found], choices: Sequence[tuple[str, ...]], known: Mapping[int, Kept]
) -> dict[int, int]:
    """Several may have one text, as the scripts of a folder: their names tell them apart, and what they run.
    Of those that nothing tells apart the place does.
    """
    matched: dict[int, int] = {}
    looks = [
        (one.origin, what_it_runs(one.options), names) for one, names in zip(found, choices, strict=True)
    ]
    looked = {
        id_: (kept.origin, what_it_runs(kept.options), (_name(kept), unnumbered(_name(kept))))
        for id_, kept in known.items()
    }
    for key in (_place_and_name, _text_and_name, _text_and_runs, _place, _runs_and_name):
        _pair(matched, [key(*look) for look in looks], {id_: key(*look) for id_, look in looked.items()})
    return matched


def _place_and_name(origin: Origin, _: str, names: Sequence[str]) -> list[Hashable]:
    return [(origin, name) for name in names]


def _text_and_name(origin: Origin, _: str, names: Sequence[str]) -> list[Hashable]:
    return [(*_source(origin), origin.text, name) for name in names]


def _text_and_runs(origin: Origin, runs: str, _: Sequence[str]) -> list[Hashable]:
    return [(*_source(origin), origin.text, runs)]


def _place(origin: Origin, _: str, __: Sequence[str]) -> list[Hashable]:
    return [origin]


def _runs_and_name(origin: Origin, runs: str, names: Sequence[str]) -> list[Hashable]:
    return [(*_source(origin), runs, name) for name in names]


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


def _fits(choices: tuple[str, ...], kept: Kept) -> bool:
    name = _name(kept)
    return name in choices or unnumbered(name) in choices


def _name(kept: Kept) -> str:
    return str(kept.options.get("name"))


def _source(origin: Origin) -> tuple[str, str]:
    return origin.kind, origin.source
