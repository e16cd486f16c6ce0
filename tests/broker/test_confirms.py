"""Confirms against a model: whatever order a broker answers in, each message gets its own answer, once."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from beatd.broker.confirms import Confirms


class AnyOrder(RuleBasedStateMachine):
    """The model is a list of messages, each with the tag that it was written under and its fate."""

    def __init__(self) -> None:
        super().__init__()
        self.confirms = Confirms[str]()
        self.tags: dict[int, str] = {}
        self.open: dict[int, str] = {}
        self.returned: set[str] = set()
        self.answers: list[tuple[str, bool, bool]] = []
        self.unwritten = 0
        self.count = 0

    @rule()
    def append(self) -> None:
        item = f"run-{self.count}"
        self.count += 1
        tag = self.confirms.add(item, item, size=10)
        assert tag == max(self.tags, default=0) + 1, "tags count without a gap"
        self.tags[tag] = self.open[tag] = item
        self.unwritten += 1

    @rule()
    def write(self) -> None:
        self.unwritten = 0

    @precondition(lambda self: self.unwritten)
    @rule()
    def withdraw(self) -> None:
        last = sorted(self.tags)[-self.unwritten :]
        assert self.confirms.withdraw(self.unwritten) == [self.tags[tag] for tag in last]
        for tag in last:
            del self.tags[tag], self.open[tag]
        self.unwritten = 0

    @property
    def written(self) -> list[int]:
        """Tags that the broker knows of."""
        return sorted(self.tags)[: len(self.tags) - self.unwritten]

    @rule(choice=st.integers(0, 30), multiple=st.booleans(), confirmed=st.booleans())
    def answer(self, choice: int, multiple: bool, confirmed: bool) -> None:
        """One, or all up to one; also one that was answered already, or one of an earlier batch."""
        if not self.written:
            return
        tag = self.written[choice % len(self.written)]
        self.confirms.answer(tag, multiple=multiple, confirmed=confirmed)
        for settled in sorted(self.open):
            if settled == tag or (multiple and settled < tag):
                item = self.open.pop(settled)
                self.answers.append((item, confirmed, item in self.returned))

    @precondition(lambda self: not self.unwritten)
    @rule(confirmed=st.booleans())
    def answer_all(self, confirmed: bool) -> None:
        self.confirms.answer(0, multiple=True, confirmed=confirmed)
        for settled in sorted(self.open):
            item = self.open.pop(settled)
            self.answers.append((item, confirmed, item in self.returned))

    @rule(choice=st.integers(0, 30))
    def give_back(self, choice: int) -> None:
        """A return, of whatever the broker knows; it only counts before the answer."""
        if self.written:
            tag = self.written[choice % len(self.written)]
            self.confirms.returned(self.tags[tag])
            if tag in self.open:
                self.returned.add(self.tags[tag])

    @rule()
    def of_a_stranger(self) -> None:
        self.confirms.returned(None)
        self.confirms.returned("no run of ours")
        self.confirms.answer(self.count + 1_000, multiple=False, confirmed=True)

    @rule()
    def take(self) -> None:
        taken = [(sent.item, bool(sent.confirmed), sent.returned) for sent in self.confirms.take()]
        assert taken == self.answers
        self.answers = []

    @rule()
    def forget(self) -> None:
        """What is written stays answered by the broker, and means nothing; tags count on."""
        if self.unwritten:
            self.withdraw()
        self.confirms.forget()
        self.open, self.answers = {}, []

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        unsettled = [item for item, _, _ in self.answers] + [self.open[tag] for tag in sorted(self.open)]
        assert list(self.confirms.unsettled()) == unsettled
        assert len(self.confirms) == len(self.open)
        assert self.confirms.in_flight == len(unsettled)
        assert self.confirms.answered == bool(self.answers)
        assert self.confirms.size == 10 * len(self.open)


TestAnyOrder = AnyOrder.TestCase
