from __future__ import annotations

import pytest

from beatd.worker.excerpt import Excerpt, cut


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("", 10, ""),
        ("short", 5, "short"),
        ("longer", 5, "lon\n[... 1 bytes cut ...]\ner"),
        ("text", 0, "\n[... 4 bytes cut ...]\n"),
        ("üü", 3, "ü\n[... 1 bytes cut ...]\n�"),
        ("a\0b", 10, "a�b"),
        ("\ud800", 10, "?"),
    ],
)
def test_cut(text: str, limit: int, kept: str) -> None:
    assert cut(text, limit) == kept


@pytest.mark.parametrize("size", [1, 7, 65_536, 200_000])
def test_however_it_comes_the_same_is_kept(size: int) -> None:
    whole = bytes(range(32, 127)) * 4000
    excerpt = Excerpt(1000)
    for start in range(0, len(whole), size):
        excerpt.add(whole[start : start + size])
    assert excerpt.text() == cut(whole.decode(), 1000)
    assert excerpt.text().startswith(whole[:500].decode())
    assert excerpt.text().endswith(whole[-500:].decode())
