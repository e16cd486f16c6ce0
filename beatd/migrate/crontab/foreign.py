"""Lines of other schedulers in a crontab: what they look like, and what they would have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from beatd.migrate.crontab import dialects, words
from beatd.migrate.crontab.fields import KINDS
from beatd.migrate.crontab.meaning import sentence


@dataclass(frozen=True, slots=True)
class Known:
    """A line that looks like another scheduler's. If all that may have written it agree, `means` is what it
    says, `example` the line of cron that would say it and `in_beatd` the command that makes such an entry.
    """

    problem: str
    means: str | None = None
    example: str | None = None
    in_beatd: str | None = None


def zone_before_schedule(text: str) -> Known | None:
    """`TZ=Europe/London 0 4 * * * command`, which cron takes for an assignment."""
    prefix = re.match(r"((?:CRON_)?TZ=[^ \t]+)[ \t]+", text)
    if prefix is None:
        return None
    rest = text[prefix.end() :]
    if not rest.startswith("@") and words.leading_fields(words.split(rest)) < len(KINDS):
        return None
    problem = (
        "cron takes all of the line for an assignment: a zone before a schedule is Kubernetes's and "
        "Jenkins's; give it with --timezone, or to cronie as CRON_TZ in a line above"
    )
    return Known(problem + _taken_by(_taken(text, ("kubernetes", "jenkins"))))


def of_nickname(text: str) -> Known | None:
    """`@every 5m command`."""
    if not re.match(r"@every[ \t]", text):
        return None
    known = _known("intervals are supercronic's and Kubernetes's", text, ("supercronic",))
    return known if known.means else None


def more_fields(text: str) -> Known | None:
    """A sixth word that cannot be a command or a user, so that cron reads the line wrongly."""
    line = words.split(text)
    if len(line) <= len(KINDS) or not words.is_surely_a_field(line[len(KINDS)]):
        return None
    return _of_count(text, line, max(words.leading_fields(line), len(KINDS) + 1))


def of_line(text: str) -> Known | None:
    """A line that cron refuses."""
    if re.match(r"(rate|cron|at)\(", text):
        return _known("an expression of AWS", text, ("aws",))
    line = words.split(text)
    count = words.leading_fields(line)
    if count > len(KINDS):
        return _of_count(text, line, count)
    first = line[: len(KINDS)]
    if any(re.match(r"H($|[(/,])", word) for word in first):
        return _known("H is Jenkins's", text, ("jenkins",))
    if count == len(KINDS) and any(re.search(r"[?LW#]|^\d+/", word) for word in first):
        letters = any(re.search(r"[LW#]", word) for word in first)
        if letters:
            return _known("L, W and # are of other schedulers", text, ("supercronic",))
        return _known("? and N/step are of other schedulers", text, ("kubernetes", "supercronic"))
    return None


def as_beatd(text: str) -> str | None:
    """What beatd's own reading of the five fields is."""
    line = words.split(text)[: len(KINDS)]
    return sentence(" ".join(line)) if len(line) == len(KINDS) else None


def _of_count(text: str, line: Sequence[str], count: int) -> Known:
    if count > len(KINDS) + 1:
        problem = "seven time fields: Quartz and supercronic have a second first and a year last"
        known = _known(problem, text, ("quartz", "supercronic"))
    else:
        problem = "six time fields: Quartz and Spring have a second first, supercronic a year last"
        known = _known(problem, text, ("quartz", "spring", "supercronic"))
    return replace(known, problem=f"{known.problem}; cron has five")


def _known(problem: str, text: str, names: Sequence[str]) -> Known:
    taken = _taken(text, names)
    meanings = {name: sentence(one.schedule) or one.schedule.removeprefix("@") for name, one in taken.items()}
    texts = list(dict.fromkeys(meanings.values()))
    means = texts[0] if len(texts) == 1 else "; ".join(f"{name}: {meanings[name]}" for name in meanings)
    problem += _taken_by(taken)
    schedules = {(one.schedule, one.end) for one in taken.values()}
    if len(schedules) != 1:
        return Known(problem, means or None)
    ((schedule, end),) = schedules
    return Known(problem, means, f"{schedule} {text[end:]}", _in_beatd(schedule))


def _in_beatd(schedule: str) -> str:
    every, is_every = schedule.removeprefix("@every "), schedule.startswith("@every ")
    options = f"--every {every}" if is_every else f"--cron '{schedule}'"
    return f"beatd entry add NAME {options} --shell COMMAND"


def _taken(text: str, names: Sequence[str]) -> dict[str, dialects.Taken]:
    """By those of the dialects that have such lines."""
    taken = {}
    for name in names:
        try:
            taken[name] = dialects.take(text, name)
        except dialects.NotTakenError:
            continue
    return taken


def _taken_by(names: Iterable[str]) -> str:
    options = " or ".join(f"--dialect {name}" for name in names)
    return f" ({options} takes it)" if options else ""
