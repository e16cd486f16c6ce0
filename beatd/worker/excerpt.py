"""The part of a long text that is kept: its beginning and its end, and how much was cut between."""

from __future__ import annotations


class Excerpt:
    """Takes bytes as they come, and keeps at most `limit` of them: the first half and the last."""

    def __init__(self, limit: int) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._head_limit = (limit + 1) // 2
        self._tail_limit = limit - self._head_limit
        self._total = 0

    def add(self, chunk: bytes) -> None:
        self._total += len(chunk)
        room = self._head_limit - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * self._tail_limit + 65_536:  # cut now and then, not at every chunk
            self._cut_tail()

    def text(self) -> str:
        """What was kept, as a database and a terminal can take it: what is no UTF-8 and NUL is replaced."""
        self._cut_tail()
        cut = self._total - len(self._head) - len(self._tail)
        if not cut:
            return _readable(self._head + self._tail)
        return f"{_readable(self._head)}\n[... {cut} bytes cut ...]\n{_readable(self._tail)}"

    def _cut_tail(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._tail_limit)]


def cut(text: str, limit: int) -> str:
    """The text's beginning and end, about `limit` bytes together."""
    excerpt = Excerpt(limit)
    excerpt.add(text.encode("utf-8", "replace"))
    return excerpt.text()


def _readable(part: bytearray) -> str:
    return part.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
