"""What a timer starts, as the task of an entry: the commands of its service, or the unit itself.

The unit itself, `systemctl start`, is exact whatever the service says. Its commands are where nothing else in
it bears on them; what does is listed as lost, and where the outcome would be another it is a problem.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from beatd.errors import FieldError
from beatd.migrate.systemd_timers.exit_statuses import exit_status
from beatd.migrate.systemd_timers.shell_text import ShellTextError, Variables, prefixed, shell_text
from beatd.migrate.systemd_timers.time_spans import SpanError, parse_span
from beatd.migrate.systemd_timers.unit_files import Assignment, UnitFile
from beatd.migrate.systemd_timers.words import Command, WordError, split_commands, split_words
from beatd.schedules import format_duration

_SERVICE = "Service"
_TYPES = ("simple", "exec", "oneshot", "idle")

#: What has no bearing on what a command does.
_WITHOUT_EFFECT = frozenset(
    """Description Documentation After Before DefaultDependencies SourcePath CollectMode IgnoreOnIsolate
    StartLimitIntervalSec StartLimitBurst StartLimitInterval StartLimitAction RefuseManualStop
    RefuseManualStart Type SyslogIdentifier SyslogFacility SyslogLevel SyslogLevelPrefix LogLevelMax
    LogExtraFields LogRateLimitIntervalSec LogRateLimitBurst TimeoutStopSec TimeoutAbortSec KillMode
    KillSignal SendSIGHUP FinalKillSignal GuessMainPID RestartSec NotifyAccess RemainAfterExit
    ExecReload IgnoreSIGPIPE""".split()  # noqa: SIM905
)
#: What is carried over.
_CARRIED = frozenset(
    """ExecStart ExecStartPre ExecStartPost User Group WorkingDirectory Environment EnvironmentFile UMask Nice
    IOSchedulingClass IOSchedulingPriority TimeoutStartSec TimeoutSec RuntimeMaxSec SuccessExitStatus
    StandardOutput StandardError StandardInput Restart""".split()  # noqa: SIM905
)
#: Without it the commands would do something else, and which starts to speak of it.
_DECISIVE = {
    "DynamicUser": "the service has a user of its own making",
    "RootDirectory": "the service has another root folder",
    "RootImage": "the service has another root folder",
    "PAMName": "the service has a session of PAM",
    "LoadCredential": "systemd hands the service its credentials",
    "LoadCredentialEncrypted": "systemd hands the service its credentials",
    "SetCredential": "systemd hands the service its credentials",
    "SetCredentialEncrypted": "systemd hands the service its credentials",
    "ImportCredential": "systemd hands the service its credentials",
    "RuntimeDirectory": "systemd makes a folder for the service and removes it",
    "StateDirectory": "systemd makes a folder for the service and names it in $STATE_DIRECTORY",
    "CacheDirectory": "systemd makes a folder for the service and names it in $CACHE_DIRECTORY",
    "LogsDirectory": "systemd makes a folder for the service and names it in $LOGS_DIRECTORY",
    "ConfigurationDirectory": "systemd makes a folder for the service and names it",
    "SupplementaryGroups": "the service has more groups than its user",
    "ExecCondition": "a command decides whether the service starts",
    "ExecStop": "a command runs after it",
    "ExecStopPost": "a command runs after it, also when it failed",
    "BusName": "the service is on the bus",
    "Sockets": "the service is handed sockets",
    "PIDFile": "the service forks",
}
_JOURNAL = ("journal", "inherit", "syslog", "kmsg", "journal+console", "syslog+console", "null", "")


@dataclass(frozen=True, slots=True)
class Task:
    """`options` of the entry. `lost` are settings that are left out, `problems` those without which it would
    be something else; `warnings` are for the person in any case."""

    options: Mapping[str, Any]
    lost: tuple[str, ...] = ()
    problems: tuple[FieldError, ...] = ()
    warnings: tuple[str, ...] = ()


def unit_task(unit: str, service: UnitFile | None, manager: str, owner: tuple[str, int] | None) -> Task:
    """`systemctl start`. It waits for the end of what it starts, where that has an end and is known.

    `owner` (name, uid) is whose manager a user's unit belongs to.
    """
    endless = service is None or service.is_on(_SERVICE, "RemainAfterExit")
    words = ["systemctl", *(["--user"] if manager == "user" else []), "start"]
    words += [] if endless or not unit.endswith(".service") else ["--wait"]
    options: dict[str, Any] = {"shell": shlex.join([*words, unit])}
    warnings, problems = [], []
    if manager == "user" and owner is not None:
        options |= {"queue": f"user.{owner[0]}", "env": {"XDG_RUNTIME_DIR": f"/run/user/{owner[1]}"}}
        warnings.append(f"the manager of {owner[0]} must be up: loginctl enable-linger {owner[0]}")
    elif manager == "system":
        options["queue"] = "user.root"
    if service is not None:
        refused = service.last("Unit", "RefuseManualStart")
        if refused is not None and refused.boolean():
            problems.append(refused.refused("lets nobody start it but other units"))
        if service.is_on(_SERVICE, "RemainAfterExit"):
            warnings.append("RemainAfterExit: stays active, so that it is started once, until it is stopped")
    return Task(options, problems=tuple(problems), warnings=tuple(warnings))


def command_task(
    service: UnitFile,
    manager: str,
    owner: tuple[str, int] | None,
    expand: Callable[[str], str],
    read_environment: Callable[[Assignment, str], Mapping[str, str]],
) -> Task:
    """The service's commands as a shell command. `expand` puts in what `%` stands for and raises ValueError,
    `read_environment` reads a file of variables and raises FieldError."""
    return _Commands(service, manager, owner, expand, read_environment).task()


class _Commands:
    def __init__(
        self,
        service: UnitFile,
        manager: str,
        owner: tuple[str, int] | None,
        expand: Callable[[str], str],
        read_environment: Callable[[Assignment, str], Mapping[str, str]],
    ) -> None:
        self._service = service
        self._manager = manager
        self._owner = owner
        self._expand = expand
        self._read_environment = read_environment
        self._problems: list[FieldError] = [*service.broken]
        self._lost: list[str] = []
        self._warnings: list[str] = [str(one) for one in service.ignored]

    def task(self) -> Task:
        self._look_over()
        options: dict[str, Any] = {}
        for step in (
            self._user,
            self._folder,
            self._environment,
            self._command,
            self._limits,
            self._statuses,
        ):
            try:
                options |= step(options)
            except FieldError as problem:
                self._problems.append(problem)
        return Task(options, tuple(self._lost), tuple(self._problems), tuple(self._warnings))

    def _last(self, key: str) -> Assignment | None:
        return self._service.last(_SERVICE, key)

    # What is not carried over

    def _look_over(self) -> None:
        kind = self._last("Type")
        if kind is not None and kind.value not in _TYPES:
            self._problems.append(kind.refused("the service tells systemd itself when it is up or done"))
        for one in self._service.assignments:
            if one.key.startswith("X-") or one.section not in ("Unit", _SERVICE) or one.is_off:
                continue
            if one.key in _DECISIVE:
                self._problems.append(one.refused(f"is not carried over: {_DECISIVE[one.key]}"))
            elif not self._has_no_effect(one):
                self._lost.append(one.text)
        stays = self._last("RemainAfterExit")
        if stays is not None and stays.boolean():
            self._problems.append(
                stays.refused("the service stays active after its end, and is not started again")
            )

    def _has_no_effect(self, one: Assignment) -> bool:
        if one.key in ("StandardOutput", "StandardError"):
            return one.value in _JOURNAL
        if one.key == "StandardInput":
            return one.value == "null"
        if one.key == "Restart":
            return one.value == "no"
        if one.key in ("Wants", "Requires", "Conflicts"):
            # targets of the boot were reached long ago, those of its end end the worker too
            return all(unit.endswith(".target") for unit in one.value.split())
        return one.key in _WITHOUT_EFFECT | _CARRIED

    # What is

    def _user(self, _: Mapping[str, Any]) -> dict[str, Any]:
        user, group = self._last("User"), self._last("Group")
        if self._manager == "user":
            return {"queue": f"user.{self._owner[0]}"} if self._owner else {}
        name = self._expanded(user) if user else "root"
        if group is not None and self._expanded(group) != name:
            self._problems.append(
                group.refused(
                    f"the worker of {name} has the group of its user: take the line out if that is it"
                )
            )
        return {"queue": f"user.{'root' if name == '0' else name}"}

    def _folder(self, _: Mapping[str, Any]) -> dict[str, Any]:
        found = self._last("WorkingDirectory")
        if found is None:
            return {"cwd": "/"} if self._manager == "system" else {}
        folder = self._expanded(found)
        if folder.startswith("-"):
            self._warnings.append(f"{found.text}: the entry fails where the folder is missing")
        folder = folder.removeprefix("-")
        if folder == "~":
            return {}
        if not folder.startswith("/"):
            raise found.refused("is a folder with its whole path, or '~'", example="/srv/app")
        return {"cwd": folder}

    def _environment(self, _: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, str] = {}
        for one in self._service.listed(_SERVICE, "Environment"):
            for word in self._words(one):
                name, equals, value = self._put_in(one, word).partition("=")
                if equals and name:
                    found[name] = value
                else:
                    self._warnings.append(f"{one.where}: {word!r} is no NAME=value: systemd ignores it")
        for one in self._service.listed(_SERVICE, "EnvironmentFile"):
            found |= self._read_environment(one, self._expanded(one))
            # it may change, and it may hold what is to stay on the machine
            self._lost.append(f"{one.text} (as it is now, not read again)")
        return {"env": found} if found else {}

    def _command(self, options: Mapping[str, Any]) -> dict[str, Any]:
        lines = [
            (one, command)
            for key in ("ExecStartPre", "ExecStart", "ExecStartPost")
            for one in self._service.listed(_SERVICE, key)
            for command in self._commands(one)
        ]
        if not self._service.listed(_SERVICE, "ExecStart"):
            raise FieldError(_SERVICE, None, "has no ExecStart=", where=self._service.path)
        after = self._service.listed(_SERVICE, "ExecStartPost")
        if after and not self._is_oneshot:
            raise after[0].refused("runs beside ExecStart of a service that is not Type=oneshot")
        variables = Variables(
            options.get("env", {}), self._manager == "user" or self._last("User") is not None
        )
        texts = []
        for one, command in lines:
            try:
                texts.append(self._text(one, command, variables, alone=len(lines) == 1))
            except ShellTextError as problem:
                raise one.refused(str(problem), example="ExecStart=/usr/local/bin/backup --all") from None
        return {"shell": self._umask() + " && ".join(texts)}

    def _text(self, one: Assignment, command: Command, variables: Variables, *, alone: bool) -> str:
        if command.privileged and self._last("User") is not None:
            raise ShellTextError("runs with more rights than the user of the service")
        put_in = Command(
            self._put_in(one, command.program),
            tuple(self._put_in(one, word) for word in command.arguments),
            command.ignores_failure,
            command.plain,
            command.own_name,
            command.privileged,
            command.in_shell,
        )
        text = prefixed(shell_text(put_in, variables), self._scheduling())
        if not command.ignores_failure:
            return text
        return f"{text} || :" if alone else f"{{ {text} || :; }}"

    def _commands(self, one: Assignment) -> list[Command]:
        try:
            return split_commands(one.value)
        except WordError as problem:
            raise one.refused(str(problem), example="ExecStart=/usr/local/bin/backup --all") from None

    def _scheduling(self) -> list[str]:
        words = []
        if nice := self._last("Nice"):
            words += ["nice", "-n", self._expanded(nice)]
        kind, priority = self._last("IOSchedulingClass"), self._last("IOSchedulingPriority")
        if kind or priority:
            name = (
                kind.value.replace("realtime", "1").replace("best-effort", "2").replace("idle", "3")
                if kind
                else "2"
            )
            words += ["ionice", "-c", name]
            words += ["-n", priority.value] if priority and name != "3" else []
        return words

    def _umask(self) -> str:
        found = self._last("UMask")
        return f"umask {shlex.quote(self._expanded(found))}; " if found else ""

    def _limits(self, _: Mapping[str, Any]) -> dict[str, Any]:
        keys = ("TimeoutStartSec", "TimeoutSec") if self._is_oneshot else ("RuntimeMaxSec",)
        found = [one for one in self._service.assignments if one.section == _SERVICE and one.key in keys]
        if not found or not found[-1].value:
            return {}
        limit = self._span(found[-1])
        if not limit:
            return {}
        commands = len(
            self._service.listed(_SERVICE, "ExecStart") + self._service.listed(_SERVICE, "ExecStartPre")
        )
        if self._is_oneshot and commands > 1:
            limit *= commands
            self._warnings.append(
                f"{found[-1].text} is for each command; the entry's timeout is for all {commands} together"
            )
        whole = not limit % timedelta(seconds=1)
        return {"timeout": format_duration(limit) if whole else limit.total_seconds()}

    def _statuses(self, _: Mapping[str, Any]) -> dict[str, Any]:
        statuses = {0}
        for one in self._service.listed(_SERVICE, "SuccessExitStatus"):
            for word in self._words(one):
                status = exit_status(word)
                if status is None:
                    self._lost.append(f"SuccessExitStatus={word}")
                else:
                    statuses.add(status)
        if statuses == {0}:
            return {}
        if len(self._service.listed(_SERVICE, "ExecStart")) > 1:
            one = self._service.listed(_SERVICE, "SuccessExitStatus")[0]
            raise one.refused("is for each of several commands, of which the entry sees the last")
        return {"expected_exit_status": sorted(statuses)}

    @property
    def _is_oneshot(self) -> bool:
        kind = self._last("Type")
        return kind is not None and kind.value == "oneshot"

    def _words(self, one: Assignment) -> list[str]:
        try:
            return split_words(one.value)
        except WordError as problem:
            raise one.refused(str(problem)) from None

    def _span(self, one: Assignment) -> timedelta | None:
        try:
            return parse_span(self._expanded(one))
        except SpanError as problem:
            raise one.refused(str(problem), example="10min") from None

    def _expanded(self, one: Assignment) -> str:
        return self._put_in(one, one.value)

    def _put_in(self, one: Assignment, text: str) -> str:
        try:
            return self._expand(text)
        except ValueError as problem:
            raise one.refused(str(problem)) from None
