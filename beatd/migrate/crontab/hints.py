"""What a line probably is that the cron refuses, and what a person could write instead.

An example is a whole line that means what was probably meant. Where that is not plain there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from beatd.errors import FieldError
from beatd.migrate.crontab import words
from beatd.migrate.crontab.crons import CALLED, NICKNAMES, Cron
from beatd.migrate.crontab.fields import KINDS, Field, Kind, RefusedByCronError
from beatd.schedules.cron_fields import parse_fields

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
    (r"\w+[ \t]*=\s*$", "to Debian's cron, a variable without a value is no assignment"),
    (r"\w+[ \t]*=[ \t]*([\"']).*\1.*\S", "nothing may stand behind the quoted value"),
    (r"\w+[ \t]*=[ \t]*[\"']", "a quote is not closed"),
)
#: What some of these lines have to be, where that is plain.
_MEANT = (
    (r"(?:export|set|declare)[ \t]+(\w+=.*)", r"\1"),
    (r"(MAILTO|SHELL|PATH)[ \t]*:[ \t]*(\S.*)", r"\1=\2"),
    (r"(\w+)[ \t]*=\s*", r'\1=""'),
    (r"(\w+[ \t]*=[ \t]*([\"'])[^\"']*\2)[ \t]+#.*", r"\1"),
    (r"(\w+[ \t]*=[ \t]*([\"'])[^\"']*[^\"' \t])", r"\1\2"),
)


@dataclass(frozen=True, slots=True)
class Hint:
    problem: str
    example: str | None = None


def of_line(text: str) -> Hint | None:
    """For a line as a whole, where it is none of cron's by its look."""
    for pattern, problem in _LOOKS:
        if re.match(pattern, text):
            return Hint(problem, f"# {text}" if "comment of" in problem else _meant(text))
    blank = re.search(r"[\xa0\u2000-\u200b\u202f\u3000]", text)
    plain = text.replace(blank[0], " ") if blank else ""
    if blank and words.leading_fields(words.split(plain)) >= len(KINDS):
        return Hint(f"{blank[0]!r} is no blank to cron: write plain blanks", plain)
    return None


def of_template(text: str) -> Hint | None:
    """For what cron takes for an assignment: `<%= @minute %> 5 * * *`."""
    return of_line(text) if re.match(r"<%|\{%|\{\{", text) else None


def of_field(refused: RefusedByCronError, source: str, start: int, cron: Cron) -> Hint:
    """For the one of five fields that the cron refuses, in a line that begins at `start`."""
    position, kind, word = KINDS.index(refused.kind), refused.kind, refused.text
    called = CALLED[cron]
    if position and not words.looks_like_field(word):
        fields = f"{position} time field{'s' if position > 1 else ''}"
        if not word:
            return Hint(f"the line ends after {fields}; five and a command are needed")
        if not re.search(r"[0-9]|^[A-Za-z]{3,9}$", word) or "/" in word[:1]:
            meant = _replaced(source, refused.position, word, f"* {word}") if word[0] in "/~." else None
            return Hint(f"stands after {fields}; five are needed", meant if position == 4 else None)
    if position == 0 and not words.looks_like_field(word):
        return Hint("neither an assignment (NAME=value) nor five time fields (or an @-name) and a command")
    instead = _instead(word, kind, source[start:])
    example = _replaced(source, refused.position, word, instead) if instead else None
    if re.fullmatch(r"[0-9]{1,2}/[0-9]{1,9}", word) and instead:
        return Hint(f"{called} takes a step after * or a range only", example)
    allowed = f"{kind.low}-{kind.high}, *, lists, ranges and steps"
    return Hint(_beatds(word, position) or f"is not what {called} has there: {allowed}", example)


def of_nickname(name: str, rest: str, cron: Cron) -> Hint:
    """For an @-name that is none; `rest` is what follows it."""
    if name.lower() in NICKNAMES:
        return Hint("@-names are written in small letters", f"@{name.lower()}{rest}")
    fields = "0 0 1 1,4,7,10 *" if name == "quarterly" else None
    number = re.fullmatch(r"(?:every_?)?(\d*)_?(minute|hour)s?(?:ly)?", name)
    if number:
        n, whole = int(number[1][:3] or 1), 60 if number[2] == "minute" else 24
        step = None if n == 0 or whole % n else "*" if n == 1 else f"*/{n}"
        fields = step and (f"{step} * * * *" if whole == 60 else f"0 {step} * * *")
    known = ", ".join(f"@{one}" for one in NICKNAMES)
    return Hint(f"not one of {CALLED[cron]}'s @-names, which are {known}", fields and f"{fields}{rest}")


def of_range(field: Field, source: str, position: int) -> str | None:
    """The line with what a range that runs backwards probably means."""
    said = _beatds(field.empty[0], KINDS.index(field.kind)) if field.empty else None
    turned = re.search(r"did you mean '([^']*)'", said or "")
    return _replaced(source, position, field.text, turned[1]) if turned and not field.meant else None


def of_user(source: str, position: int, name: str) -> Hint:
    """For what stands where the user should."""
    if not name:
        return Hint("there is no user and no command")
    if words.is_surely_a_field(name):
        return Hint("stands where the user does; cron has five time fields")
    if re.match(r"[^:/]+:[^:/]*$", name):
        problem = "no group or class can be given with the user"
        return Hint(problem, _replaced(source, position, name, name.partition(":")[0]))
    if re.search(r"<%|%>|\{\{|\}\}|\$|@", name):
        problem = "a template that has not been filled in: give the file that it makes"
    else:
        problem = "cannot be a user's name; the lines of a system crontab have a user before the command"
    return Hint(f"{problem} (or is it a user's crontab: --user?)")


def _meant(text: str) -> str | None:
    for pattern, written in _MEANT:
        if found := re.fullmatch(pattern, text):
            return found.expand(written)
    return None


def _beatds(word: str, position: int) -> str | None:
    """What beatd has to say of the word, where it refuses it too."""
    alone = ["*"] * len(KINDS)
    alone[position] = word
    try:
        parse_fields(" ".join(alone), "any")
    except FieldError as error:
        return error.problem.split("': ", 1)[-1]
    return None


def _instead(word: str, kind: Kind, text: str) -> str | None:
    """What a field that is refused plainly means."""
    if word == "*/0":
        return "*"
    high = 6 if kind.high == 7 else kind.high
    if step := re.fullmatch(r"([0-9]{1,2})/([0-9]{1,9})", word):
        return f"{step[1]}-{high}/{step[2]}" if int(step[1]) <= high else None
    if span := re.fullmatch(r"([0-9]{1,3})-([0-9]{1,3})", word):
        return _within(int(span[1]), int(span[2]), kind)
    if (kind.name, word) in (("minute", "60"), ("hour", "24")) and re.match(
        r"\S+\s+\S+\s+\*\s+\*\s+\*\s", text
    ):
        return "0"
    short = re.sub(r"[A-Za-z]{4,}", lambda name: name[0][:3], re.sub(r"[\u2010-\u2015\u2212]", "-", word))
    short = short.strip("\"'\u201c\u201d\u2018\u2019")
    return short if short != word and not _beatds(short, KINDS.index(kind)) else None


def _within(first: int, last: int, kind: Kind) -> str | None:
    """A range without what is outside. One that ends where the field begins anew may have meant that."""
    if kind.high == 7 or first > kind.high or last <= first:
        return None
    if last == kind.high + 1 and first > kind.low:
        return None
    return f"{max(first, kind.low)}-{min(last, kind.high)}"


def _replaced(source: str, position: int, word: str, instead: str) -> str:
    return f"{source[:position]}{instead}{source[position + len(word) :]}".strip(" \t")
