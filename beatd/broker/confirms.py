"""The bookkeeping of publisher confirms on one channel: what was sent under which tag, and what came of it.

Pure. A broker answers in any order, one tag or all up to one (`multiple`); a return comes before the answer
to the same message, and names the message, not the tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Sent(Generic[T]):
    """A message under way: the caller's `item`, its id, its size in bytes, and what the broker said of it.

    `confirmed`: None until it is answered, then whether the broker took it. `returned`: no queue did.
    """

    item: T
    key: str
    size: int
    confirmed: bool | None = None
    returned: bool = False


class Confirms(Generic[T]):
    """Tags count from 1, one for each message, in the order in which they are written to the channel."""

    def __init__(self) -> None:
        self._next_tag = 1
        self._unconfirmed: dict[int, Sent[T]] = {}
        self._by_key: dict[str, Sent[T]] = {}
        self._answered: list[Sent[T]] = []
        #: bytes that are sent and not answered
        self.size = 0

    def __len__(self) -> int:
        """Sent and not answered."""
        return len(self._unconfirmed)

    @property
    def in_flight(self) -> int:
        """Not answered, or answered and not taken yet."""
        return len(self._unconfirmed) + len(self._answered)

    @property
    def answered(self) -> bool:
        """Whether there is something to take."""
        return bool(self._answered)

    def add(self, item: T, key: str, size: int) -> int:
        """The next message to be written to the channel; returns its tag."""
        tag = self._next_tag
        self._next_tag += 1
        self._unconfirmed[tag] = self._by_key[key] = Sent(item, key, size)
        self.size += size
        return tag

    def withdraw(self, count: int) -> list[T]:
        """The last `count` that were added have not been written, and will not be; their tags are free."""
        withdrawn = []
        for _ in range(count):
            self._next_tag -= 1
            sent = self._unconfirmed.get(self._next_tag)
            if sent is not None:
                self._remove(self._next_tag, sent)
                withdrawn.append(sent.item)
        return withdrawn[::-1]

    def answer(self, tag: int, *, multiple: bool, confirmed: bool) -> None:
        """An acknowledgement, or a refusal. One for what is not under way any more means nothing."""
        for settled in self._tags(tag, multiple):
            sent = self._unconfirmed.get(settled)
            if sent is not None:
                sent.confirmed = confirmed
                self._remove(settled, sent)
                self._answered.append(sent)

    def returned(self, key: str | None) -> None:
        """No queue takes the message of this id; its answer is still to come."""
        sent = self._by_key.get(key) if key is not None else None
        if sent is not None:
            sent.returned = True

    def take(self) -> list[Sent[T]]:
        """What has been answered since the last call, in the order of the answers."""
        taken, self._answered = self._answered, []
        return taken

    def unsettled(self) -> Iterator[T]:
        """Whatever has not been taken: what is to be thought of when the channel is lost."""
        yield from (sent.item for sent in self._answered)
        yield from (sent.item for sent in self._unconfirmed.values())

    def forget(self) -> None:
        """Late answers to what was sent so far mean nothing; the tags count on."""
        self._unconfirmed, self._by_key, self._answered, self.size = {}, {}, [], 0

    def _tags(self, tag: int, multiple: bool) -> list[int]:
        if not multiple:
            return [tag]
        if tag == 0:  # the protocol's word for all
            return list(self._unconfirmed)
        return list(takewhile(lambda known: known <= tag, self._unconfirmed))

    def _remove(self, tag: int, sent: Sent[T]) -> None:
        del self._unconfirmed[tag]
        if self._by_key.get(sent.key) is sent:
            del self._by_key[sent.key]
        self.size -= sent.size
