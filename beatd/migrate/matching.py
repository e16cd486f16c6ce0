"""Which of the entries that were imported earlier is which of the things that a source has now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from beatd.migrate.found import Found
from beatd.migrate.names import candidates, names_of, unnumbered
from beatd.store.origins import Kept, Origin


def match(
    found: Sequence[Found], known: Mapping[int, Kept], prefix: str = ""
) -> list[tuple[str, int | None]]:
    """For each its name, and the id of its entry if it was imported earlier.

    What stands there now as it did then is the same; else what has the same name is. `known` are the
    origins of the same sources by the entries' ids. One that keeps its text keeps its name, too, as long as
    that may be its name.
    """
    choices = [candidates(one, prefix) for one in found]
    matched = _by_text(found, choices, known)
    kept = {
        number: _name(known[id_]) for number, id_ in matched.items() if _fits(choices[number], known[id_])
    }
    names = names_of(choices, kept)
    left = {(*_source(known[id_].origin), _name(known[id_])): id_ for id_ in known.keys() - matched.values()}
    for number, one in enumerate(found):
        if number in matched:
            continue
        # under another name than it has now: when it was alone, or when there was another like it
        for name in (names[number], *choices[number]):
            id_ = left.pop((*_source(one.origin), name), None)
            if id_ is not None:
                matched[number] = id_
                break
    return [(name, matched.get(number)) for number, name in enumerate(names)]


def _by_text(
    found: Sequence[Found], choices: Sequence[tuple[str, ...]], known: Mapping[int, Kept]
) -> dict[int, int]:
    """Several may have one text: then place and name tell them apart, or the name, at last their order."""
    matched: dict[int, int] = {}
    pairs = list(zip(found, choices, strict=True))
    of_known = [(id_, kept.origin, {_name(kept), unnumbered(_name(kept))}) for id_, kept in known.items()]
    _pair(
        matched,
        [[(one.origin, name) for name in names] for one, names in pairs],
        {id_: [(origin, name) for name in names] for id_, origin, names in of_known},
    )
    _pair(
        matched,
        [[(*_source(one.origin), one.origin.text, name) for name in names] for one, names in pairs],
        {id_: [(*_source(origin), origin.text, name) for name in names] for id_, origin, names in of_known},
    )
    _pair(
        matched,
        [[(*_source(one.origin), one.origin.text)] for one in found],
        {id_: [(*_source(origin), origin.text)] for id_, origin, _ in of_known},
    )
    return matched


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
