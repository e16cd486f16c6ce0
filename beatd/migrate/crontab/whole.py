"""What concerns a crontab as a whole: the form of its lines, and whether its cron takes the file at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from beatd.errors import FieldError
from beatd.migrate.crontab import dialects, meaning
from beatd.migrate.crontab.assignments import read_assignment
from beatd.migrate.crontab.crons import CALLED, LIMITS, NICKNAMES, Cron, Form
from beatd.migrate.crontab.fields import RefusedByCronError, after_blanks, take_fields, word_end
from beatd.migrate.crontab.model import Line
from beatd.migrate.crontab.words import is_surely_a_field

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
        try:
            if dialect is not None:
                command = text[dialects.take(text, dialect).end :]
            elif text.startswith("@") and text[1 : word_end(text, 0)] in NICKNAMES:
                command = text[word_end(text, 0) :]
            else:
                command = text[take_fields(text, 0, cron)[1] :]
        except (dialects.NotTakenError, RefusedByCronError):
            continue
        if (command := command.strip(" \t\r")) and not is_surely_a_field(command[: word_end(command, 0)]):
            yield command


def without_newline(line: Line, path: str, cron: Cron) -> Line:
    """The last line, which is none to cron unless it is a comment."""
    if line.kind in ("comment", "blank"):
        return line
    problem = "the last line has no newline at its end, so cron does not take it: add one"
    meant = f"; it would run {line.command!r}, {_sentence(line)}" if line.kind == "entry" else ""
    where, example = f"{path}:{line.number}:{len(line.source) + 1}", f"{line.source}\n"
    reason = line.reason or FieldError("line", line.source, problem, example=example, where=where)
    never_ran = line.never_ran or f"{CALLED[cron]} takes no line without a newline at its end{meant}"
    return replace(line, kind="refused", reason=reason, never_ran=never_ran)


def _sentence(line: Line) -> str:
    schedule = line.schedule or ""
    return "once after each boot" if schedule == "@reboot" else meaning.sentence(schedule) or schedule


def as_the_file(line: Line, verdict: Verdict) -> Line:
    """A line of a file of which the cron takes nothing."""
    if verdict.ignored is None or line.kind not in ("entry", "refused") or line.never_ran:
        return line
    return replace(line, never_ran=verdict.ignored)


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
