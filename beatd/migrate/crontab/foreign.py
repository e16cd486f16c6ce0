"""Lines of other schedulers in a crontab: what they look like, and what they would have meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from beatd.migrate.crontab import dialects, words
from beatd.migrate.crontab.fields import KINDS
from beatd.migrate.crontab.hints import EXAMPLE
from beatd.migrate.crontab.meaning import sentence

_COMMAND = "/usr/local/bin/backup"


@dataclass(frozen=True, slots=True)
class Known:
    """A line that looks like another scheduler's; `means` is what it says there."""

    problem: str
    means: str | None = None
    example: str = EXAMPLE


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
    return Known(problem + _taken_by(text, ("kubernetes", "jenkins")))


def of_nickname(text: str) -> Known | None:
    """`@every 5m command`."""
    if not re.match(r"@every[ \t]", text):
        return None
    try:
        taken = dialects.take(text, "supercronic")
    except dialects.NotTakenError:
        return None
    problem = "intervals are supercronic's and Kubernetes's (--dialect supercronic takes it)"
    return Known(problem, means=f"every {taken.schedule.split()[1]}")


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
    second_first = [word.replace("?", "*") for word in line[1 : len(KINDS) + 1]]
    example = " ".join([*second_first, " ".join(line[count:]) or _COMMAND])
    return Known(f"{known.problem}; cron has five", known.means, example=example)


def _known(problem: str, text: str, names: Sequence[str]) -> Known:
    meanings = _meanings(text, names)
    texts = list(dict.fromkeys(meanings.values()))
    means = texts[0] if len(texts) == 1 else "; ".join(f"{name}: {meanings[name]}" for name in meanings)
    return Known(problem + _taken_by(text, names), means or None)


def _taken_by(text: str, names: Sequence[str]) -> str:
    taking = list(_meanings(text, names))
    return f" ({' or '.join(f'--dialect {name}' for name in taking)} takes it)" if taking else ""


def _meanings(text: str, names: Sequence[str]) -> dict[str, str]:
    """What the line says in those of the dialects that have such lines."""
    meanings = {}
    for name in names:
        try:
            schedule = dialects.take(text, name).schedule
        except dialects.NotTakenError:
            continue
        meanings[name] = sentence(schedule) or schedule.removeprefix("@")
    return meanings
