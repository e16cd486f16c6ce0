"""CronJobs read as entries. An entry runs a command and no container: the one shown has Kubernetes start the
job, with `kubectl`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from beatd.errors import FieldError
from beatd.migrate.found import Found, Origin, Reading
from beatd.migrate.kubernetes.manifests import (
    PLACEHOLDER,
    Manifest,
    Value,
    cron_jobs,
    is_empty,
    template_refused,
)
from beatd.migrate.kubernetes.schedules import Read, read_schedule
from beatd.schedules import format_duration, parse_zone

KIND = "kubernetes"

_OVERLAPS = {"Allow": "allow", "Forbid": "skip", "Replace": "cancel"}
#: Seconds below which the controller, which looks every ten, may miss a start.
_SHORTEST_DEADLINE = 10
_LONGEST_DEADLINE = 10 * 365 * 86_400

#: Seconds between two looks whether a job has ended.
_LOOK = 5
#: How it ended; the kind alone while it runs, nothing once it is gone.
_ENDS = """'{.kind} {.status.conditions[?(@.status=="True")].type}'"""


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name and text."""

    path: str
    text: str


def read(sources: Iterable[Source], *, timezone: str = "UTC") -> Reading:
    """`timezone` is that of the cluster's controller, for CronJobs that name none."""
    found: list[Found] = []
    refused: list[FieldError] = []
    notes: list[str] = []
    without_zone = 0
    for source in sources:
        empty = True
        for one in cron_jobs(source.text, source.path):
            empty = False
            try:
                if isinstance(one, FieldError):
                    raise one
                entry, zoned = _CronJob(one).read(timezone)
            except FieldError as problem:
                refused.append(problem)
            else:
                found.append(entry)
                without_zone += not zoned
        if empty:
            nothing = "nothing in it (0 documents)" if is_empty(source.text) else "no CronJob in it"
            notes.append(f"{source.path}: {nothing}")
    if without_zone:
        notes.append(
            f"{without_zone} without timeZone: they follow the clock of the cluster's controller, taken for "
            f"{timezone} (--timezone says otherwise)"
        )
    return Reading(tuple(found), tuple(refused), tuple(notes))


@dataclass(frozen=True, slots=True)
class _CronJob:
    manifest: Manifest

    def read(self, controller_zone: str) -> tuple[Found, bool]:
        """The entry, and whether it names its zone. Raises FieldError."""
        name, namespace = self._text("metadata", "name"), self._text("metadata", "namespace")
        if name is None:
            raise self._missing("metadata.name", "report")
        schedule = self._text("spec", "schedule")
        if schedule is None:
            raise self._missing("schedule", 'schedule: "30 6 * * *"')
        try:
            when = read_schedule(str(schedule.value))
        except FieldError as problem:
            raise problem.at(schedule.where) from None
        timezone, warnings = self._timezone(when)
        options = dict(when.options)
        if "cron" in options:
            options |= {"timezone": timezone or controller_zone}
            options |= _daylight(options["cron"], options["timezone"])
        options |= self._policies(warnings)
        overlap = str(options.get("overlap", "allow"))
        options["shell"] = self._command(str(name.value), namespace, overlap)
        if overlap != "allow" and self._vanishes():
            warnings.append(
                "a job that succeeded is gone before the command sees it, and counts as failed: let it be "
                "kept for a minute (successfulJobsHistoryLimit, ttlSecondsAfterFinished)"
            )
        if self._suspended():
            options["enabled"] = False
        place = f"{namespace.value}/{name.value}" if namespace else str(name.value)
        origin = Origin(KIND, self.manifest.path, place, str(schedule.value))
        names = (str(name.value), place)
        return Found(origin, self.manifest.where, names, options, (*when.warnings, *warnings)), bool(timezone)

    def _timezone(self, when: Read) -> tuple[str | None, list[str]]:
        given = self._text("spec", "timeZone")
        warnings = []
        if when.timezone:
            warnings.append("TZ= in schedule: newer versions of Kubernetes refuse it, and have timeZone")
        if given is None:
            return when.timezone, warnings
        if when.timezone:
            raise _refused(
                "timeZone", given, "stands beside TZ= in schedule, which Kubernetes refuses", "Etc/UTC"
            )
        try:
            return parse_zone(str(given.value)).key, warnings
        except FieldError as problem:
            raise _refused("timeZone", given, problem.problem, "Europe/Berlin") from None

    def _policies(self, warnings: list[str]) -> Mapping[str, Any]:
        options: dict[str, Any] = {"misfire": "latest"}
        policy = self._text("spec", "concurrencyPolicy")
        if policy is not None:
            if policy.value not in _OVERLAPS:
                raise _refused("concurrencyPolicy", policy, f"is none of {', '.join(_OVERLAPS)}", "Forbid")
            options["overlap"] = _OVERLAPS[str(policy.value)]
        deadline = self.manifest.get("spec", "startingDeadlineSeconds")
        if deadline is None:
            return options
        seconds = deadline.value
        if PLACEHOLDER.search(str(seconds)):
            raise template_refused("startingDeadlineSeconds", seconds, deadline.where)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= _LONGEST_DEADLINE:
            raise _refused("startingDeadlineSeconds", deadline, "is a number of seconds, 0 or more", "300")
        if seconds < _SHORTEST_DEADLINE:
            warnings.append(
                f"startingDeadlineSeconds {seconds}: Kubernetes looks every 10 s, and may never start it"
            )
        if seconds == 0:
            return options | {"misfire": "skip"}
        return options | {"misfire_grace": format_duration(timedelta(seconds=seconds))}

    def _suspended(self) -> bool:
        """Raises FieldError."""
        found = self.manifest.get("spec", "suspend")
        if found is None:
            return False
        if PLACEHOLDER.search(str(found.value)):
            raise template_refused("suspend", found.value, found.where)
        if not isinstance(found.value, bool):
            raise _refused("suspend", found, "is true or false", "true")
        return found.value

    def _command(self, name: str, namespace: Value | None, overlap: str) -> str:
        """Makes a job of the CronJob's template. Where something hangs on its end, waits for that, and takes
        the job away when the run is cancelled."""
        kubectl = "kubectl" + (f" --namespace {shlex.quote(str(namespace.value))}" if namespace else "")
        job = f"{shlex.quote(name)}-$(date +%s)"
        create = f"{kubectl} create job --from={shlex.quote(f'cronjob/{name}')}"
        if overlap == "allow":
            return f"{create} {job}"
        delete = shlex.quote(f'{kubectl} delete job "$job" --wait=false; exit 143')
        get = f'{kubectl} get job "$job" --ignore-not-found -o jsonpath={_ENDS}'
        return (
            f'job={job}; trap {delete} TERM; {create} "$job" || exit; '
            f"while :; do sleep {_LOOK}; ends=$({get}) || continue; "
            "case $ends in *Complete*) exit 0;; *Failed*|'') exit 1;; esac; done"
        )

    def _vanishes(self) -> bool:
        """Whether the job is gone as soon as it has succeeded."""
        limit = self.manifest.get("spec", "successfulJobsHistoryLimit")
        seconds = self.manifest.get("spec", "jobTemplate", "spec", "ttlSecondsAfterFinished")
        soon = seconds is not None and isinstance(seconds.value, int) and seconds.value <= _LOOK
        return soon or (limit is not None and limit.value == 0)

    def _text(self, *keys: str) -> Value | None:
        """Raises FieldError."""
        found = self.manifest.get(*keys)
        if found is None:
            return None
        if isinstance(found.value, str) and PLACEHOLDER.search(found.value):
            raise template_refused(keys[-1], found.value, found.where)
        if not isinstance(found.value, str):
            raise _refused(keys[-1], found, "is a text; put it in quotes", '"30 6 * * *"')
        return found

    def _missing(self, field: str, example: str) -> FieldError:
        return FieldError(field, None, "is wanted in a CronJob", example=example, where=self.manifest.where)


def _daylight(cron: str, timezone: str) -> dict[str, str]:
    """What is skipped is left out, and what comes twice fires twice: of itself that is so where minute or
    hour begin with `*`."""
    minute, hour = cron.split()[:2]
    if timezone in ("UTC", "Etc/UTC") or minute.startswith("*") or hour.startswith("*"):
        return {}
    return {"dst_gap": "skip", "dst_fold": "both"}


def _refused(field: str, value: Value, problem: str, example: str) -> FieldError:
    return FieldError(field, value.value, problem, example=example, where=value.where)
