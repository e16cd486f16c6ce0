"""What concerns a crontab as a whole: the form of its lines, and whether its cron takes the file at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from beatd.migrate.crontab import dialects
from beatd.migrate.crontab.assignments import read_assignment
from beatd.migrate.crontab.crons import CALLED, LIMITS, NICKNAMES, Cron, Form
from beatd.migrate.crontab.fields import RefusedByCronError, after_blanks, take_fields, word_end
from beatd.migrate.crontab.model import Line

_MOST_GARBAGE = 32_768
_MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ignored` is why the cron takes nothing of the file."""

    ignored: str | None = None
    notes: tuple[str, ...] = ()


def commands(sources: Sequence[str], cron: Cron, dialect: str | None) -> Iterator[str]:
    """What stands behind the time fields, in the lines that have any."""
    for source in sources:
        start = after_blanks(source, 0)
        text = source[start:].lstrip("-")
        if not text or text.startswith("#") or read_assignment(text, cron):
            continue
        if dialect is not None:
            try:
                yield text[dialects.take(text, dialect).end :].strip()
            except dialects.NotTakenError:
                continue
        elif text.startswith("@") and text[1 : word_end(text, 0)] in NICKNAMES:
            yield text[word_end(text, 0) :].strip()
        else:
            try:
                yield text[take_fields(text, 0, cron)[1] :].strip()
            except RefusedByCronError:
                continue


def judge(
    lines: Sequence[Line], cron: Cron, form: Form, complete: bool, refused_by_cron: Mapping[int, str]
) -> Verdict:
    """Debian's cron ignores a file for one bad line; cronie leaves that line out."""
    called = CALLED[cron]
    if cron == "cronie":
        return _cronie(lines, form, complete)
    reasons = []
    if refused_by_cron:
        first = list(refused_by_cron.items())[:_MOST_SHOWN]
        shown = ", ".join(f"line {number} ({says})" for number, says in first)
        more = f" and {len(refused_by_cron) - _MOST_SHOWN} more" if len(refused_by_cron) > _MOST_SHOWN else ""
        reasons.append(f"for it refuses {shown}{more}")
    if not complete and lines and lines[-1].kind not in ("comment", "blank"):
        reasons.append("for its last line has no newline at the end")
    last_line = LIMITS[cron].last_line
    if last_line and any(line.number > last_line and line.kind not in ("comment", "blank") for line in lines):
        reasons.append("for it has more than 10000 lines")
    if not reasons:
        return Verdict()
    ignored = f"{called} ignores the whole file, {' and '.join(reasons)}"
    return Verdict(ignored, (f"{ignored}: nothing in it has run",))


def _cronie(lines: Sequence[Line], form: Form, complete: bool) -> Verdict:
    if form == "user":
        garbage = 0
        for line in lines:
            garbage = garbage + len(line.source) + 1 if line.kind in ("comment", "blank") else 0
            if garbage > _MOST_GARBAGE:
                reason = f"for it has more than {_MOST_GARBAGE} bytes of comments on end"
                ignored = f"cronie ignores the whole file, {reason}"
                return Verdict(ignored, (f"{ignored}: nothing in it has run",))
    if not complete and lines and lines[-1].kind not in ("comment", "blank"):
        return Verdict(None, ("the last line has no newline at its end: cronie leaves it out",))
    return Verdict()


def notes(lines: Sequence[Line], cron: Cron) -> list[str]:
    """What is odd about the file's bytes."""
    found = []
    if lines and lines[0].source.startswith("\ufeff"):
        found.append("the file begins with a byte order mark (BOM): cron takes it for part of the first line")
    returns = sum(line.source.endswith("\r") for line in lines)
    if returns:
        found.append(
            f"{returns} line{'s end' if returns > 1 else ' ends'} with a carriage return, as files from "
            "Windows do: the shell gets it with the command; save the file with Unix line ends"
        )
    zones = [line for line in lines if line.assignment and line.assignment[0] == "CRON_TZ"]
    if zones and cron == "debian":
        found.append("CRON_TZ is cronie's; Debian's cron keeps to the machine's zone")
    return found
