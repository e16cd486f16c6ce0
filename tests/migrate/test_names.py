"""What imported entries are called: readable, different, whatever their order and whoever came before."""

from __future__ import annotations

import random
import re
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.migrate.found import Found, Origin
from beatd.migrate.matching import match
from beatd.migrate.names import candidates
from tests.migrate.readings import found, reading


def called(*items: Found, prefix: str = "") -> list[str]:
    return [name for name, _ in match(items, {}, prefix)]


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (("Nightly backup",), "nightly-backup"),
        (("Nightly backup", "backup --all"), "nightly-backup"),
        (("  rotate: the *logs*! ",), "rotate-the-logs"),
        (("php -q cron.php",), "php-q-cron-php"),
        (("run_parts",), "run-parts"),
        (("Übersicht für März",), "übersicht-für-märz"),
        (("備份",), "備份"),
        # a text that says nothing gives way to the next, and so does one that is no name any more
        (("=====", "backup"), "backup"),
        (("", "   ", "backup"), "backup"),
        (("a comment that tells the whole story of how this line came to be", "backup"), "backup"),
        (("x" * 50, "backup"), "x" * 50),
        (("x" * 51, "backup"), "backup"),
        # where all are too long, the beginning of the last, to the end of a word
        (
            ("one two three four five six seven eight nine ten eleven",),
            "one-two-three-four-five-six-seven-eight-nine-ten",
        ),
        (("y" * 99,), "y" * 50),
        ((r"caf\xe9 backup",), "caf-xe9-backup"),
    ],
)
def test_of_readable_texts(texts: tuple[str, ...], name: str) -> None:
    assert called(Found(Origin("lines", "/a", "1", "x"), "/a:1", texts, {"shell": "x"})) == [name]


def test_what_nothing_can_be_read_of_is_called_by_its_kind_and_a_hash() -> None:
    (name,) = called(Found(Origin("crontab", "/a", "1", "* * * * * {}"), "/a:1", ("{}",), {"shell": "{}"}))
    assert re.fullmatch(r"crontab-[0-9a-f]{6}", name)


def test_with_a_prefix() -> None:
    assert called(found("0 5 * * * backup"), prefix="web1-") == ["web1-backup"]


def test_of_several_alike_each_gets_a_hash_of_its_own() -> None:
    """None of them is plain: which would be the first?"""
    items = [found(f"0 5 * * * backup {what}", comment="Backup") for what in ("a", "b", "c")]
    names = called(*items)
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"backup-[0-9a-f]{6}", name) for name in names)


def test_a_hash_is_of_what_is_run_alone_where_that_is_enough() -> None:
    """So that the name stays when the schedule is edited."""
    before = called(found("0 5 * * * backup a", comment="x"), found("0 5 * * * backup b", comment="x"))
    after = called(found("9 9 * * * backup a", comment="x"), found("0 5 * * * backup b", comment="x"))
    assert before == after


def test_the_same_at_two_times_is_told_apart_by_its_line() -> None:
    five, six = called(found("0 5 * * * backup"), found("0 6 * * * backup"))
    assert five != six
    assert called(found("0 6 * * * backup"), found("0 5 * * * backup")) == [six, five]


def test_the_same_line_of_two_files_is_told_apart_by_its_file() -> None:
    names = called(found("0 5 * * * backup", source="/a"), found("0 5 * * * backup", source="/b"))
    assert len(set(names)) == 2
    assert not any(re.search(r"-\d$", name) for name in names)


def test_identical_lines_are_numbered() -> None:
    one, two, three = called(*[found("0 5 * * * backup", number=number) for number in (1, 2, 3)])
    assert (two, three) == (f"{one}-2", f"{one}-3")


TABLE = """
    # Backup
    0 5 * * * backup a
    # Backup
    0 5 * * * backup b
    0 6 * * * backup b
    0 5 * * * rotate
    */5 * * * * rotate
    @reboot rotate
    0 5 * * * other
"""


def test_their_order_says_nothing() -> None:
    items = reading(TABLE).found
    names = called(*items)
    assert len(set(names)) == len(items)
    expected = {item.where: name for item, name in zip(items, names, strict=True)}
    for seed in range(20):
        shuffled = random.Random(seed).sample(items, len(items))
        found = {item.where: name for item, name in zip(shuffled, called(*shuffled), strict=True)}
        assert found == expected


def test_a_number_is_not_given_to_what_is_called_so_already() -> None:
    """One line reads as another would be called."""
    line = "0 5 * * * x"
    first = candidates(found(line))[-1]
    items = [found(line), found(line), found("0 5 * * * y", comment=f"{first}-2")]
    for order in permutations(items):
        assert len(set(called(*order))) == 3


LINES = st.builds(
    lambda hour, command, comment: found(f"0 {hour} * * * {command}", comment=comment),
    st.integers(0, 2),
    st.sampled_from(["a", "b", "a b", "-", "é\udcff"]),
    st.sampled_from([None, "a", "A b", "--"]),
)


@given(st.lists(LINES, max_size=8), st.randoms())
def test_all_different_short_and_stable(items: list[Found], shuffler: random.Random) -> None:
    names = called(*items)
    assert len(set(names)) == len(items)
    assert all(0 < len(name) <= 60 and name.isprintable() for name in names)
    pairs = list(zip(items, names, strict=True))
    shuffler.shuffle(pairs)
    again = called(*(item for item, _ in pairs))
    # of identical ones nobody can say which is which
    assert sorted(zip(map(repr, (item for item, _ in pairs)), again, strict=True)) == sorted(
        (repr(item), name) for item, name in pairs
    )


def test_many_identical_lines_are_numbered_at_once() -> None:
    names = called(*[found("* * * * * x")] * 5000)
    assert len(set(names)) == 5000
