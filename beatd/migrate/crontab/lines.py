"""Reads a crontab as its cron does: what each line is, and why, if it cannot be carried over.

What the crons make of a text is in `assignments`, `fields` and `commands`; what beatd makes of that in
`meaning`; what a person should be told in `hints`, `foreign` and `mistakes`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from beatd.errors import FieldError
from beatd.migrate.crontab import dialects, foreign, forms, hints, meaning, mistakes, whole
from beatd.migrate.crontab.assignments import read_assignment
from beatd.migrate.crontab.commands import split_command
from beatd.migrate.crontab.comments import about_the_next
from beatd.migrate.crontab.crons import CALLED, LIMITS, NICKNAMES, Cron, Form, size
from beatd.migrate.crontab.fields import RefusedByCronError, after_blanks, take_fields, word_end
from beatd.migrate.crontab.model import Crontab, Kind, Line
from beatd.migrate.crontab.settings import Settings

__all__ = ["Cron", "Crontab", "Form", "Kind", "Line", "read"]

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
    reader = _Reader(path, told.form, cron, dialect)
    lines = [reader.read(number, source) for number, source in enumerate(sources, 1)]
    verdict = whole.Verdict()
    if dialect is None:
        if not complete:
            lines[-1] = _without_newline(lines[-1], path, cron)
        verdict = whole.judge(lines, cron, told.form, complete, reader.refused_by_cron)
        lines = [_as_the_file(line, verdict) for line in lines]
    notes = [*([told.note] if told.note else []), *verdict.notes, *whole.notes(lines, cron)]
    return Crontab(path, told.form, cron, tuple(lines), tuple(notes))


def _without_newline(line: Line, path: str, cron: Cron) -> Line:
    if line.kind in ("comment", "blank"):
        return line
    problem = "the last line has no newline at its end, so cron does not take it: add one"
    meant = f"; it would run {line.command!r}, {_sentence(line)}" if line.kind == "entry" else ""
    where, example = f"{path}:{line.number}:1", f"{line.source}\n"
    reason = line.reason or FieldError("line", line.source, problem, example=example, where=where)
    never_ran = line.never_ran or f"{CALLED[cron]} takes no line without a newline at its end{meant}"
    return replace(line, kind="refused", reason=reason, never_ran=never_ran)


def _sentence(line: Line) -> str:
    schedule = line.schedule or ""
    return "once after each boot" if schedule == "@reboot" else meaning.sentence(schedule) or schedule


def _as_the_file(line: Line, verdict: whole.Verdict) -> Line:
    if verdict.ignored is None or line.kind != "entry" or line.never_ran:
        return line
    return replace(line, never_ran=verdict.ignored)


class _Reader:
    """Goes through the lines in order, for what was set above counts."""

    def __init__(self, path: str, form: Form, cron: Cron, dialect: str | None) -> None:
        self.path = path
        self.form = form
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
            return self._assignment_or_entry(number, source, start, comment)
        except _RefusedError as refused:
            if refused.by_cron:
                self.refused_by_cron[number] = refused.by_cron
                if continued:
                    refused.problem = "cron has no continuation lines: the \\ above joins nothing"
                    refused.example = hints.working([], self.cron, self.form)
            where = f"{self.path}:{number}:{refused.position + 1}"
            reason = FieldError(
                refused.field, refused.value, refused.problem, example=refused.example, where=where
            )
            return replace(
                self._line(number, "refused", source),
                reason=reason,
                never_ran=refused.never_ran,
                assignment=refused.assignment,
                comment=comment,
            )

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

    def _assignment_or_entry(self, number: int, source: str, start: int, comment: str | None) -> Line:
        text = source[start:]
        if "\0" in text:
            problem = "the line has a byte 0, at which cron ends it and begins another: remove it"
            raise _RefusedError("line", text, problem, source.index("\0"))
        if self.dialect is not None:
            return self._foreign(number, source, start, comment, self.dialect)
        assignment = read_assignment(text, self.cron)
        if assignment is not None:
            return self._assignment(number, source, start, assignment)
        return self._entry(number, source, start, comment)

    def _assignment(self, number: int, source: str, start: int, assignment: tuple[str, str]) -> Line:
        warnings = self.settings.assign(*assignment)
        if prefixed := foreign.zone_before_schedule(source[start:]):
            raise _RefusedError(
                "line",
                source[start:],
                prefixed.problem,
                start,
                example=prefixed.example,
                assignment=assignment,
            )
        if template := hints.of_template(source[start:]):
            problem = f"to cron an assignment to {assignment[0]!r}; {template.problem}"
            raise _RefusedError("line", source[start:], problem, start, assignment=assignment)
        wrong = self.settings.wrong_zone
        if wrong and assignment[0] == "CRON_TZ":
            raise _RefusedError(
                wrong.field, wrong.value, wrong.problem, start, example=wrong.example, assignment=assignment
            )
        return self._line(number, "environment", source, assignment=assignment, warnings=tuple(warnings))

    # Entries

    def _entry(self, number: int, source: str, start: int, comment: str | None) -> Line:
        quiet = self.cron == "cronie" and source[start] == "-"
        warnings: list[str] = []
        if quiet:
            warnings += self._quiet(source, start)
            start += 1
        if source[start : start + 1] == "@":
            schedule, position = self._nickname(source, start)
        else:
            schedule, position, more = self._fields(source, start)
            warnings += more
        user, position = self._user(source, position)
        command, stdin, more = self._command(source, position)
        if user is None and forms.looks_like_user_column(command):
            problem = "stands where the command does; is it the user of a system crontab (--system)?"
            example = hints.working(
                [source[start:position] + command.split(None, 1)[1]], self.cron, self.form
            )
            raise _RefusedError("command", command.split()[0], problem, position, example=example)
        if wrong := self.settings.wrong_zone:
            problem = f"{wrong.problem} (set above)"
            raise _RefusedError("timezone", wrong.value, problem, start, example=wrong.example)
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
        raise self._by_cron("line", source[start:], problem, start, "bad option", example=source[start + 1 :])

    def _nickname(self, source: str, start: int) -> tuple[str, int]:
        end = word_end(source, start)
        name = source[start + 1 : end]
        if name not in NICKNAMES:
            known = foreign.of_nickname(source[start:])
            hint = hints.of_nickname(name, self.cron)
            problem = f"{hint.problem}; {known.problem}" if known else hint.problem
            raise self._by_cron(
                "schedule",
                source[start:end],
                problem,
                start,
                "bad time specifier",
                example=hint.example,
                means=known.means if known else None,
            )
        return source[start:end], after_blanks(source, end)

    def _fields(self, source: str, start: int) -> tuple[str, int, list[str]]:
        try:
            fields, position = take_fields(source, start, self.cron)
        except RefusedByCronError as refused:
            raise self._bad_field(source, start, refused) from None
        if extra := foreign.more_fields(source[start:]):
            raise self._extra_fields(source, start, position, extra)
        try:
            carried = meaning.carry(fields, self.cron)
        except meaning.NeverFiresError as error:
            value = error.field.text
            never_ran = f"{CALLED[self.cron]} takes the line, but it {error.problem}"
            problem = f"{error.problem}; in cron neither"
            example = hints.of_range(error.field) if error.field.empty else "0 0 28 2 * /usr/local/bin/backup"
            position = source.index(value, start)
            raise _RefusedError(
                error.field.kind.name, value, problem, position, example=example, never_ran=never_ran
            ) from None
        except meaning.NotCarriedError as error:
            position = source.index(error.field.text, start)
            raise _RefusedError(error.field.kind.name, error.field.text, error.problem, position) from None
        return carried.schedule, position, [*carried.warnings, *mistakes.of_schedule(fields)]

    def _bad_field(self, source: str, start: int, refused: RefusedByCronError) -> _RefusedError:
        text = source[start:]
        name, value, position = refused.kind.name, refused.text, refused.position
        known = foreign.of_line(text)
        hint = hints.of_line(text) or hints.of_field(refused, text, self.cron)
        problem = known.problem if known else hint.problem
        means = known.means if known else foreign.as_beatd(text)
        example = hints.working([known.example if known else "", hint.example], self.cron, self.form)
        return self._by_cron(name, value, problem, position, str(refused), example=example, means=means)

    def _extra_fields(self, source: str, start: int, position: int, extra: foreign.Known) -> _RefusedError:
        """Five fields and then a sixth, where the command or the user should be."""
        word = source[position : word_end(source, position)]
        field = "user" if self.form == "system" else "command"
        example = hints.working([extra.example], self.cron, self.form)
        if (self.form == "system" and self.cron == "debian") or word.startswith("*"):
            says = "bad username" if self.form == "system" and self.cron == "debian" else "bad command"
            return self._by_cron(
                field, word, extra.problem, position, says, example=example, means=extra.means
            )
        meant = f"; it would have meant: {extra.means}" if extra.means else ""
        takes = "a command" if self.form == "user" else "nothing, for there is no user"
        never_ran = f"{CALLED[self.cron]} runs {takes} {word!r}, not what follows{meant}"
        return _RefusedError(field, word, extra.problem, position, example=example, never_ran=never_ran)

    def _user(self, source: str, position: int) -> tuple[str | None, int]:
        if self.form == "user":
            return None, position
        end = word_end(source, position)
        user = source[position:end]
        if not user or not forms.can_be_user(user):
            hint = hints.of_user(user)
            if user and self.cron == "cronie":
                never_ran = "cronie runs nothing for a user whom the machine does not know"
                raise _RefusedError(
                    "user", user, hint.problem, position, example=hint.example, never_ran=never_ran
                )
            says = "bad username" if self.cron == "debian" else "bad command"
            raise self._by_cron("user", user, hint.problem, position, says, example=hint.example)
        if end == len(source) and self.cron == "debian":
            problem = "there is no command, and Debian's cron takes the next line for part of the user's name"
            example = f"{source} /usr/local/bin/backup"[:200]
            raise self._by_cron("command", "", problem, end, "bad username", example=example)
        return user, end

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
            raise self._by_cron("command", text, "no command begins with *", position, "bad command")
        if self.cron == "cronie" and text.startswith("-"):
            text, warnings = self._options(source, source.rindex(text) if text else position, text)
        if not text.strip(" \t\r"):
            problem = "there is no command"
            refuses = not text.strip(" \t") and self.cron == "cronie"
            by_cron = "bad command" if refuses else None
            problem += "" if by_cron else "; cron starts a shell that does nothing"
            example = f"{source.strip()} /usr/local/bin/backup"[:200]
            refused = _RefusedError("command", text, problem, len(source), example=example)
            raise refused if by_cron is None else self._said(refused, by_cron)
        if size(source[position:]) > most:
            problem = f"has {size(text)} bytes; {CALLED[self.cron]} takes at most {most}: put it in a script"
            raise self._by_cron("command", text, problem, position, "command too long")
        command, stdin = split_command(text, self.cron)
        if not command.strip(" \t"):
            raise _RefusedError("command", text, "there is no command before the %", position)
        return command, stdin, warnings

    def _options(self, source: str, position: int, text: str) -> tuple[str, list[str]]:
        option = re.match(r"-n[ \t]+(?=[^ \t])", text)
        if option is None or text[option.end()] == "-":
            problem = "cronie takes a - before a command for an option, and has -n alone"
            example = "0 5 * * * -n /usr/local/bin/backup"
            raise self._by_cron("command", text, problem, position, "bad option", example=example)
        return text[option.end() :], ["-n: cronie mails the output of failures only; here all is kept"]

    # Other dialects

    def _foreign(self, number: int, source: str, start: int, comment: str | None, dialect: str) -> Line:
        assignment = read_assignment(source[start:], "cronie")
        if assignment is not None and not foreign.zone_before_schedule(source[start:]):
            return self._assignment(number, source, start, assignment)
        try:
            taken = dialects.take(source[start:], dialect)
        except dialects.NotTakenError as error:
            raise _RefusedError(
                error.field, error.value, error.problem, start + error.position, example=error.example
            ) from None
        user, position = self._user(source, start + taken.end)
        command, stdin, more = self._command(source, position)
        line = self._line(number, "entry", source, schedule=taken.schedule, user=user, comment=comment)
        line = replace(line, command=command, stdin=stdin, warnings=(*taken.warnings, *more))
        return replace(line, timezone=taken.timezone) if taken.timezone else line

    # Refusals

    def _by_cron(
        self,
        field: str,
        value: str,
        problem: str,
        position: int,
        says: str,
        *,
        example: str | None = None,
        means: str | None = None,
    ) -> _RefusedError:
        refused = _RefusedError(field, value, problem, position, example=example)
        return self._said(refused, says, means)

    def _said(self, refused: _RefusedError, says: str, means: str | None = None) -> _RefusedError:
        if self.dialect is None:
            refused.by_cron = says
            meant = f"; it would have meant: {means}" if means else ""
            refused.never_ran = f"{CALLED[self.cron]} refuses the line ({says}), so it never ran{meant}"
        return refused


class _RefusedError(Exception):
    """A line that is not carried over: what is wrong where, and what the cron says if it refuses it too."""

    def __init__(
        self,
        field: str,
        value: object,
        problem: str,
        position: int,
        *,
        example: str | None = None,
        never_ran: str | None = None,
        assignment: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(problem)
        self.field = field
        self.value = value
        self.problem = problem
        self.position = position
        self.example = example or hints.EXAMPLE
        self.never_ran = never_ran
        self.assignment = assignment
        self.by_cron: str | None = None
