"""A line that is not carried over."""

from __future__ import annotations


class RefusedError(Exception):
    """What is wrong where, and what the cron says if it refuses the line too.

    `example` is a line that says what was probably meant, as long as the cron takes it; else `in_beatd` is,
    a command that makes the entry. Where neither is sure there is none.
    """

    def __init__(
        self,
        field: str,
        value: object,
        problem: str,
        position: int,
        *,
        example: str | None = None,
        in_beatd: str | None = None,
        never_ran: str | None = None,
        by_cron: str | None = None,
        means: str | None = None,
        assignment: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(problem)
        self.field = field
        self.value = value
        self.problem = problem
        self.position = position
        self.example = example
        self.in_beatd = in_beatd
        self.never_ran = never_ran
        self.by_cron = by_cron
        self.means = means
        self.assignment = assignment
