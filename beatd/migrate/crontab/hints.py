"""What a line probably is that the cron refuses, and what a person could write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from beatd.errors import FieldError
from beatd.migrate.crontab import words
from beatd.migrate.crontab.assignments import read_assignment
from beatd.migrate.crontab.crons import CALLED, NICKNAMES, Cron, Form
from beatd.migrate.crontab.fields import KINDS, Field, RefusedByCronError, take_fields
from beatd.migrate.crontab.forms import looks_like_user_column
from beatd.migrate.crontab.meaning import NeverFiresError, NotCarriedError, carry
from beatd.schedules.cron_fields import parse_fields

EXAMPLE = "30 6 * * 1-5 /usr/local/bin/backup"
_LONGEST_COMMAND = 60
_LONGEST_EXAMPLE = 150

_UNIX = "save the file with Unix line ends"
_LOOKS = (
    (
        r"\ufeff",
        "the file begins with a byte order mark (BOM), which cron takes for part of it: save it without",
    ),
    (r"[ \t]*\r$", f"cron takes the carriage return in this empty line for an entry; {_UNIX}"),
    (
        r"<%|\{%|\{\{|@[A-Z][A-Z0-9_]*@|\$\{|\$[A-Za-z_]|%[A-Z_]+%|<[A-Za-z_]+>",
        "a template that has not been filled in: give the file that it makes",
    ),
    (
        r"/\*|\*/$|\*[ \t]+[A-Za-z]+[ \t]+[a-z]|//|--|;|\"\"\"|<!--|rem ",
        "looks like a comment of another language; cron's comments begin with #",
    ),
    (
        r"export[ \t]+\w+=|set(env)?[ \t]+\w+[ \t=]|declare[ \t]",
        "an assignment is NAME=value, without a command of the shell before it",
    ),
    (
        r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)?\S*[ \t]*\*-\S*[ \t]+[0-9*:/.,]+|OnCalendar=",
        "looks like systemd's OnCalendar; `beatd systemd import` reads timers",
    ),
    (r"every[ \t]+\S", "looks like words (App Engine's cron.yaml has such); cron has five fields of signs"),
    (r"[<>=]{7}([ \t]|$)", "a merge conflict is not settled here"),
    (r"(crontab|MAILTO|SHELL|PATH)[ \t]*:", "an assignment is NAME=value"),
)
#: cronie takes no other value for this one.
_A_ZONE = "CRON_TZ=Europe/Berlin"
_ASSIGNMENTS = (
    (r"\w+[ \t]*=\s*$", "to Debian's cron, a variable without a value is no assignment", '{name}=""'),
    (r"\w+[ \t]*=[ \t]*([\"']).*\1.*\S", "nothing may stand behind the quoted value", '{name}="one value"'),
    (r"\w+[ \t]*=[ \t]*[\"']", "a quote is not closed", '{name}="value"'),
)


@dataclass(frozen=True, slots=True)
class Hint:
    problem: str
    example: str = EXAMPLE


def working(examples: Iterable[str], cron: Cron, form: Form) -> str:
    """The first of the lines that the cron takes, and one that it surely takes if there is none."""
    for example in examples:
        if example in (EXAMPLE, "") or len(example) > _LONGEST_EXAMPLE:
            continue
        if example.startswith(("#", "@")) or read_assignment(example, cron):
            return example
        try:
            fields, position = take_fields(example, 0, cron)
            carry(fields, cron)
        except (RefusedByCronError, NeverFiresError, NotCarriedError):
            continue
        is_plain = not any(field.ignored or field.empty for field in fields)
        if is_plain and _is_command(example[position:], form):
            return example
    return EXAMPLE.replace(" /", " root /") if form == "system" else EXAMPLE


def _is_command(text: str, form: Form) -> bool:
    """Whether nothing in it would be taken for something else."""
    if not text or text.startswith(("-", "*", "%")) or words.is_surely_a_field(words.split(text)[0]):
        return False
    return form == "system" or not looks_like_user_column(text)


def of_line(text: str) -> Hint | None:
    """For a line as a whole, where it is none of cron's by its look."""
    for pattern, problem in _LOOKS:
        if re.match(pattern, text):
            example = {"#": "# what is below does …", "NAME": "PATH=/usr/local/bin:/usr/bin:/bin"}
            shown = next((line for sign, line in example.items() if sign in problem), EXAMPLE)
            return Hint(problem, shown)
    for pattern, problem, shown in _ASSIGNMENTS:
        if re.match(pattern, text):
            name = re.split(r"[ \t=]", text, maxsplit=1)[0]
            return Hint(problem, _A_ZONE if name == "CRON_TZ" else shown.format(name=name))
    blank = re.search(r"[\xa0\u2000-\u200b\u202f\u3000]", text)
    if blank and words.leading_fields(words.split(text.replace(blank[0], " "))) >= len(KINDS):
        return Hint(
            f"{blank[0]!r} is no blank to cron: write plain blanks", text.replace(blank[0], " ")[:200]
        )
    return None


def of_template(text: str) -> Hint | None:
    """For what cron takes for an assignment: `<%= @minute %> 5 * * *`."""
    return of_line(text) if re.match(r"<%|\{%|\{\{", text) else None


def of_field(refused: RefusedByCronError, text: str, cron: Cron) -> Hint:
    """For the one of five fields that the cron refuses, in a line of text."""
    position, kind, word = KINDS.index(refused.kind), refused.kind, refused.text
    all_words = words.split(text)
    called = CALLED[cron]
    if position and not words.looks_like_field(word):
        fields = f"{position} time field{'s' if position > 1 else ''}"
        if not word:
            return Hint(f"the line ends after {fields}; five and a command are needed")
        if not re.search(r"[0-9]|^[A-Za-z]{3,9}$", word) or "/" in word[:1]:
            filled = _with(all_words, position, "*", insert=True)
            return Hint(f"stands after {fields}; five are needed", filled)
    if position == 0 and not words.looks_like_field(word):
        return Hint("neither an assignment (NAME=value) nor five time fields (or an @-name) and a command")
    step = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,9})", word)
    if step and int(step[1]) <= kind.high:
        high = 6 if kind.high == 7 else kind.high
        written = f"{step[1]}-{high}/{step[2]}"
        problem = f"{called} takes a step after * or a range only"
        return Hint(problem, _with(all_words, position, written))
    allowed = f"{kind.low}-{kind.high}, *, lists, ranges and steps"
    problem = _beatds(word, position) or f"is not what {called} has there: {allowed}"
    return Hint(problem, _with(all_words, position, _instead(word, position)))


def of_nickname(name: str, cron: Cron) -> Hint:
    """For an @-name that is none."""
    known = ", ".join(f"@{one}" for one in NICKNAMES)
    if name.lower() in NICKNAMES:
        return Hint("@-names are written in small letters", f"@{name.lower()} /usr/local/bin/backup")
    number = re.fullmatch(r"(?:every_?)?(\d*)_?(minute|hour|second)s?(?:ly)?", name)
    if number and number[2] != "second":
        n = int(number[1][:3] or 1)
        step = f"*/{n}" if n > 1 else "*"
        fields = f"{step} * * * *" if number[2] == "minute" else f"0 {step} * * *"
        return Hint(f"not one of {CALLED[cron]}'s @-names", f"{fields} /usr/local/bin/backup")
    if name == "quarterly":
        return Hint(f"not one of {CALLED[cron]}'s @-names", "0 0 1 1,4,7,10 * /usr/local/bin/backup")
    return Hint(f"not one of {CALLED[cron]}'s @-names, which are {known}", "@daily /usr/local/bin/backup")


def of_range(field: Field) -> str:
    """What a range that runs backwards probably means, in a line."""
    said = _beatds(field.empty[0], KINDS.index(field.kind)) if field.empty else None
    turned = re.search(r"did you mean '([^']*)'", said or "")
    texts = ["0", "0", "*", "*", "*"]
    texts[KINDS.index(field.kind)] = turned[1] if turned else "*"
    return " ".join([*texts, "/usr/local/bin/backup"])


def of_user(name: str) -> Hint:
    """For what stands where the user should."""
    if not name:
        return Hint("there is no user and no command", EXAMPLE.replace(" /", " root /"))
    if words.is_surely_a_field(name):
        return Hint(
            "stands where the user does; cron has five time fields", "30 6 * * 1-5 root /usr/local/bin/backup"
        )
    problem = "cannot be a user's name; the lines of a system crontab have a user before the command"
    if re.match(r"[^:]+:[^:/]*$", name):
        problem = "no group or class can be given with the user"
        return Hint(problem, f"30 6 * * 1-5 {name.partition(':')[0]} /usr/local/bin/backup")
    if re.search(r"<%|%>|\{\{|\}\}|\$|@", name):
        problem = "a template that has not been filled in: give the file that it makes"
    return Hint(f"{problem} (or is it a user's crontab: --user?)", "30 6 * * 1-5 root /usr/local/bin/backup")


def _beatds(word: str, position: int) -> str | None:
    """What beatd has to say of the word, where it refuses it too."""
    alone = ["*"] * len(KINDS)
    alone[position] = word
    try:
        parse_fields(" ".join(alone), "any")
    except FieldError as error:
        return error.problem.split("': ", 1)[-1]
    return None


def _instead(word: str, position: int) -> str:
    """A value that is allowed, as near to the word as can be."""
    short = re.sub(r"[A-Za-z]{4,}", lambda name: name[0][:3].upper(), word)
    if short != word and not _beatds(short, position):
        return short
    step = re.fullmatch(r"\*/(\d{1,4}).*", word)
    if step and int(step[1]):
        return f"*/{step[1]}"
    if position < 2:
        return "0"
    return ("1", "1", "0")[position - 2] if re.search(r"[0-9]", word) else "*"


def _with(line: list[str], position: int, word: str, *, insert: bool = False) -> str:
    """The line with another word, or one more, in place."""
    rest = line[position if insert else position + 1 :]
    fields = [*line[:position], word, *rest][: len(KINDS)]
    command = " ".join(rest[len(KINDS) - len(line[:position]) - 1 :])
    if not 0 < len(command) <= _LONGEST_COMMAND:
        command = "/usr/local/bin/backup"
    return " ".join([*fields, command])
