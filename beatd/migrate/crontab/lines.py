"""Reads a crontab as its cron does: what each line is, and why, if it cannot be carried over.

What the crons make of a text is in `assignments`, `fields` and `commands`; what beatd makes of that in
`meaning`; what a person should be told in `hints`, `foreign` and `mistakes`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from beatd.errors import FieldError
from beatd.migrate.crontab import bytes_0, dialects, foreign, forms, hints, meaning, mistakes, whole
from beatd.migrate.crontab.assignments import read_assignment
from beatd.migrate.crontab.commands import split_command
from beatd.migrate.crontab.comments import about_the_next
from beatd.migrate.crontab.crons import CALLED, LIMITS, NICKNAMES, Cron, Form, size
from beatd.migrate.crontab.fields import (
    KINDS,
    RefusedByCronError,
    after_blanks,
    position_of,
    take_fields,
    word_end,
)
from beatd.migrate.crontab.model import Crontab, Kind, Line
from beatd.migrate.crontab.refusals import RefusedError
from beatd.migrate.crontab.settings import Settings

__all__ = ["Cron", "Crontab", "Form", "Kind", "Line", "read"]

_LONGEST_EXAMPLE = 300
_NOT_RUN = "cron takes all of the line for an assignment, and runs nothing for it"
_UNKNOWN_USER = "cronie runs nothing for a user whom the machine does not know"
_SHELLS = re.compile(r"(.*/)?(sh|bash|dash|ash|ksh|mksh|zsh|fish|csh|tcsh|rbash|busybox)")


def read(
    data: bytes, path: str, *, form: Form | None = None, cron: Cron = "debian", dialect: str | None = None
) -> Crontab:
    """What a crontab says, line by line; whatever the bytes are, nothing is raised.

    `path` is how messages call the file, and with the content it tells a user's from a system's, which has a
    user in each line, where `form` does not. `dialect` takes lines that were written for another scheduler,
    one of `dialects.DIALECTS`.
    """
    sources = data.decode("utf-8", "surrogateescape").split("\n")
    complete = sources[-1] == ""
    if complete:
        sources.pop()
    told = forms.Told(form) if form else forms.tell(path, whole.commands(sources, cron, dialect))
    reader = _Reader(path, told, cron, dialect)
    lines = [reader.read(number, source) for number, source in enumerate(sources, 1)]
    verdict = whole.Verdict()
    if dialect is None:
        if not complete:
            lines[-1] = whole.without_newline(lines[-1], path, cron)
        verdict = whole.judge(lines, cron, told.form, complete, reader.refused_by_cron)
        lines = [whole.as_the_file(line, verdict) for line in lines]
    notes = [*filter(None, (told.note, told.doubt)), *verdict.notes, *whole.notes(lines, cron)]
    return Crontab(path, told.form, cron, tuple(lines), tuple(notes))


class _Reader:
    """Goes through the lines in order, for what was set above counts."""

    def __init__(self, path: str, told: forms.Told, cron: Cron, dialect: str | None) -> None:
        self.path = path
        self.form = told.form
        #: Why it is not sure whether that is the form.
        self.doubt = told.doubt
        self.cron = cron
        self.dialect = dialect
        self.settings = Settings("cronie" if dialect else cron)
        self.comment: str | None = None
        #: Whether the line before ends as if it went on.
        self.continued = False
        #: The lines that the cron itself refuses, with what it says.
        self.refused_by_cron: dict[int, str] = {}

    def read(self, number: int, source: str) -> Line:
        start = after_blanks(source, 0)
        text = source[start:]
        if not text or text.startswith("#"):
            self.comment = about_the_next(text) if text else None
            return self._line(number, "comment" if text else "blank", source)
        comment, self.comment = self.comment, None
        continued, self.continued = self.continued, text.rstrip("\r").endswith("\\")
        try:
            return self.taken(number, source, start, comment)
        except RefusedError as refused:
            if self.dialect is None and refused.by_cron:
                self.refused_by_cron[number] = refused.by_cron
                if continued:
                    refused.problem = "cron has no continuation lines: the \\ above joins nothing"
                    refused.example = refused.in_beatd = None
            where = f"{self.path}:{number}:{refused.position + 1}"
            example = refused.example if self._is_taken(refused.example) else refused.in_beatd
            return replace(
                self._line(number, "refused", source),
                reason=FieldError(
                    refused.field, refused.value, refused.problem, example=example, where=where
                ),
                never_ran=self._never_ran(refused),
                assignment=refused.assignment,
                comment=comment,
            )

    def _never_ran(self, refused: RefusedError) -> str | None:
        if self.dialect is not None or refused.by_cron is None:
            return refused.never_ran
        meant = f"; it would have meant: {refused.means}" if refused.means else ""
        return f"{CALLED[self.cron]} refuses the line ({refused.by_cron}), so it never ran{meant}"

    def _is_taken(self, example: str | None) -> bool:
        """Whether the cron takes it as it stands."""
        if example is None or len(example) > _LONGEST_EXAMPLE:
            return False
        if example.startswith("#"):
            return True
        try:
            line = _Reader(self.path, forms.Told(self.form), self.cron, None).taken(1, example, 0, None)
        except RefusedError:
            return False
        schedule = line.schedule or "@"
        return schedule.startswith("@") or schedule.split() == example.lstrip("-").split(None, 5)[:5]

    def _line(self, number: int, kind: Kind, source: str, **more: Any) -> Line:
        settings = self.settings
        return Line(
            number,
            kind,
            source,
            environment=settings.environment,
            timezone=settings.timezone,
            random_delay=settings.random_delay,
            **more,
        )

    def taken(self, number: int, source: str, start: int, comment: str | None) -> Line:
        """An assignment or an entry. Raises RefusedError."""
        text = source[start:]
        if "\0" in text:
            raise self._byte_0(number, source, start)
        if self.dialect is not None:
            return self._foreign(number, source, start, comment, self.dialect)
        assignment = read_assignment(text, self.cron)
        if assignment is not None:
            return self._assignment(number, source, start, assignment)
        return self._entry(number, source, start, comment)

    def _byte_0(self, number: int, source: str, start: int) -> RefusedError:
        problem = "the line has a byte 0, at which cron ends it and begins another: remove it"
        refused = RefusedError("line", source[start:], problem, source.index("\0"))
        if self.dialect is not None:
            return refused
        for count, (part, assignment) in enumerate(bytes_0.parts(source[start:], self.cron)):
            if assignment is not None:
                self.settings.assign(*assignment)
                continue
            try:
                self._entry(number, part, 0, None)
            except RefusedError as error:
                if error.by_cron:
                    refused.problem += f"; it refuses {part!r} ({error.by_cron})"
                    refused.by_cron = error.by_cron if count == 0 or self.cron == "debian" else None
                    break
        return refused

    def _assignment(self, number: int, source: str, start: int, assignment: tuple[str, str]) -> Line:
        warnings = self.settings.assign(*assignment)
        text = source[start:]
        if prefixed := foreign.zone_before_schedule(text):
            raise RefusedError(
                "line", text, prefixed.problem, start, never_ran=_NOT_RUN, assignment=assignment
            )
        if template := hints.of_template(text):
            problem = f"to cron an assignment to {assignment[0]!r}; {template.problem}"
            raise RefusedError("line", text, problem, start, never_ran=_NOT_RUN, assignment=assignment)
        wrong = self.settings.wrong_zone
        if wrong and assignment[0] == "CRON_TZ":
            position = after_blanks(source, source.index("=", start) + 1)
            raise RefusedError(
                wrong.field,
                wrong.value,
                wrong.problem,
                position,
                example=wrong.example,
                assignment=assignment,
            )
        return self._line(number, "environment", source, assignment=assignment, warnings=tuple(warnings))

    # Entries

    def _entry(self, number: int, source: str, start: int, comment: str | None) -> Line:
        quiet = self.cron == "cronie" and source.startswith("-", start)
        warnings: list[str] = []
        if quiet:
            warnings += self._quiet(source, start)
            start += 1
        if source[start : start + 1] == "@":
            schedule, position = self._nickname(source, start)
        else:
            schedule, position, more = self._fields(source, start)
            warnings += more
        behind_fields = position
        user, position = self._user(source, position)
        command, stdin, more = self._command(source, position)
        if self.doubt:
            word = source[behind_fields : word_end(source, behind_fields)]
            raise RefusedError("user", word, self.doubt, behind_fields)
        if user is None and (named := forms.user_column(command)):
            more += [
                f"the command is one called {named!r}; if that is the user it is a system crontab (--system)"
            ]
        if wrong := self.settings.wrong_zone:
            problem = f"{wrong.problem} (set above)"
            raise RefusedError("timezone", wrong.value, problem, start)
        return self._line(
            number,
            "entry",
            source,
            schedule=schedule,
            command=command,
            stdin=stdin,
            user=user,
            quiet=quiet,
            comment=comment,
            warnings=(*warnings, *more, *mistakes.of_command(command, stdin)),
        )

    def _quiet(self, source: str, start: int) -> list[str]:
        """cronie lets only root keep a line out of its log."""
        owner = forms.spool_user(self.path)
        if self.form == "system" or owner == "root":
            return []
        if owner is None:
            return ["a leading - is taken in root's crontab only; in another's, cronie refuses the line"]
        problem = "a leading - keeps the line out of the log, which cronie lets only root do"
        example = source[start + 1 :]
        raise RefusedError("line", source[start:], problem, start, by_cron="bad option", example=example)

    def _nickname(self, source: str, start: int) -> tuple[str, int]:
        end = word_end(source, start)
        name = source[start + 1 : end]
        if name not in NICKNAMES:
            known = foreign.of_nickname(source[start:])
            hint = hints.of_nickname(name, source[end:], self.cron)
            raise RefusedError(
                "schedule",
                source[start:end],
                f"{hint.problem}; {known.problem}" if known else hint.problem,
                start,
                by_cron="bad time specifier",
                example=hint.example,
                in_beatd=known.in_beatd if known else None,
                means=known.means if known else None,
            )
        return source[start:end], after_blanks(source, end)

    def _fields(self, source: str, start: int) -> tuple[str, int, list[str]]:
        try:
            fields, position = take_fields(source, start, self.cron)
        except RefusedByCronError as refused:
            raise self._bad_field(source, start, refused) from None
        if extra := foreign.more_fields(source[start:]):
            raise self._extra_fields(source, position, extra)
        try:
            carried = meaning.carry(fields, self.cron)
        except (meaning.NeverFiresError, meaning.NotCarriedError) as error:
            field, problem, never_ran, example = error.field, error.problem, None, None
            position = position_of(KINDS.index(field.kind), source, start)
            if isinstance(error, meaning.NeverFiresError):
                never_ran = f"{CALLED[self.cron]} takes the line, but it {problem}"
                problem, example = f"{problem}; in cron neither", hints.of_range(field, source, position)
            raise RefusedError(
                field.kind.name, field.text, problem, position, example=example, never_ran=never_ran
            ) from None
        return carried.schedule, position, [*carried.warnings, *mistakes.of_schedule(fields)]

    def _bad_field(self, source: str, start: int, refused: RefusedByCronError) -> RefusedError:
        text = source[start:]
        known = foreign.of_line(text)
        is_step = re.fullmatch(r"[0-9]+/[0-9]+", refused.text)
        hint = hints.of_line(text) or hints.of_field(refused, source, start, self.cron)
        return RefusedError(
            refused.kind.name,
            refused.text,
            known.problem if known else hint.problem,
            refused.position,
            by_cron=str(refused),
            example=known.example if known and not is_step else hint.example,
            in_beatd=known.in_beatd if known else None,
            means=known.means if known else foreign.as_beatd(text),
        )

    def _extra_fields(self, source: str, position: int, extra: foreign.Known) -> RefusedError:
        """Five fields and then a sixth, where the command or the user should be."""
        word = source[position : word_end(source, position)]
        problem, means = extra.problem, extra.means
        meant = f"; it would have meant: {means}" if means else ""
        by_cron: str | None = "bad username" if self.form == "system" else "bad command"
        never_ran = None
        if self.form == "system" and self.cron == "cronie":
            by_cron, never_ran = None, f"{_UNKNOWN_USER}{meant}"
        elif self.form == "user" and not word.startswith("*"):
            by_cron, problem = None, f"{problem}; as it stands cron runs a command {word!r}{meant}"
        return RefusedError(
            "user" if self.form == "system" else "command",
            word,
            problem,
            position,
            never_ran=never_ran,
            by_cron=by_cron,
            example=extra.example,
            in_beatd=extra.in_beatd,
            means=means,
        )

    def _user(self, source: str, position: int) -> tuple[str | None, int]:
        if self.form == "user":
            return None, position
        end = word_end(source, position)
        user = source[position:end]
        if not user or not forms.can_be_user(user):
            hint = hints.of_user(source, position, user)
            means = self._as_users(source, position) if user else None
            refused = RefusedError("user", user, hint.problem, position, example=hint.example, means=means)
            if user and self.cron == "cronie":
                refused.never_ran = f"{_UNKNOWN_USER}; it would have meant: {means}"
            else:
                refused.by_cron = "bad username" if self.cron == "debian" else "bad command"
            raise refused
        if end == len(source) and self.cron == "debian":
            problem = "there is no command, and Debian's cron takes the next line for part of the user's name"
            means = self._as_users(source, position)
            raise RefusedError("command", "", problem, end, by_cron="bad username", means=means)
        return user, end

    def _as_users(self, source: str, position: int) -> str:
        """What a line without a user would have meant."""
        schedule = meaning.sentence(" ".join(source[:position].split())) or source[:position].strip()
        return f"{source[position:]!r}, {schedule}, in a user's crontab"

    def _command(self, source: str, position: int) -> tuple[str, str | None, list[str]]:
        """In the system form Debian's cron leaves the blanks before a command in it, which shells skip."""
        text = source[position:]
        most = LIMITS[self.cron].command
        warnings: list[str] = []
        if self.form == "system":
            text = text[1:] if self.cron == "debian" else text
            if self.cron == "cronie" or _SHELLS.fullmatch(self.settings.environment.get("SHELL", "/bin/sh")):
                text = text[after_blanks(text, 0) :]
        if text.startswith("*") and self.form == "user":
            raise RefusedError("command", text, "no command begins with *", position, by_cron="bad command")
        if self.cron == "cronie" and text.startswith("-"):
            text, warnings = self._options(source, source.rindex(text) if text else position, text)
        if not text.strip(" \t\r"):
            by_cron = "bad command" if not text.strip(" \t") and self.cron == "cronie" else None
            problem = "there is no command" + ("" if by_cron else "; cron starts a shell that does nothing")
            raise RefusedError("command", text, problem, len(source), by_cron=by_cron)
        if size(source[position:]) > most:
            problem = f"has {size(text)} bytes; {CALLED[self.cron]} takes at most {most}: put it in a script"
            raise RefusedError("command", text, problem, position, by_cron="command too long")
        command, stdin = split_command(text, self.cron)
        if not command.strip(" \t"):
            raise RefusedError("command", text, "there is no command before the %", position)
        return command, stdin, warnings

    def _options(self, source: str, position: int, text: str) -> tuple[str, list[str]]:
        option = re.match(r"-n[ \t]+(?=[^ \t])", text)
        if option is None or text[option.end()] == "-":
            problem = "cronie takes a - before a command for an option, and has -n alone"
            raise RefusedError("command", text, problem, position, by_cron="bad option")
        return text[option.end() :], ["-n: cronie mails the output of failures only; here all is kept"]

    # Other dialects

    def _foreign(self, number: int, source: str, start: int, comment: str | None, dialect: str) -> Line:
        assignment = read_assignment(source[start:], "cronie")
        if assignment is not None and not foreign.zone_before_schedule(source[start:]):
            return self._assignment(number, source, start, assignment)
        try:
            taken = dialects.take(source[start:], dialect)
        except dialects.NotTakenError as error:
            raise RefusedError(error.field, error.value, error.problem, start + error.position) from None
        user, position = self._user(source, start + taken.end)
        command, stdin, more = self._command(source, position)
        line = self._line(number, "entry", source, schedule=taken.schedule, user=user, comment=comment)
        line = replace(line, command=command, stdin=stdin, warnings=(*taken.warnings, *more))
        return replace(line, timezone=taken.timezone) if taken.timezone else line
