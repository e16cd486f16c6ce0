"""What a crontab's assignments have set so far, and the ones among them that are for the cron itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from beatd.errors import FieldError
from beatd.migrate.crontab.crons import Cron
from beatd.schedules import parse_zone

#: A name, how far UTC is from it, and rules for summer: `UTC+3`, `<+03>-3`, `CET-1CEST,M3.5.0,M10.5.0/3`.
_POSIX_ZONE = re.compile(
    r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)([+-]?)([0-9]{1,2})((?:[:A-Z,<].*)?)", re.ASCII
)
_MOST_DELAY = 24 * 60


@dataclass(slots=True)
class Settings:
    """In force at a line. `wrong_zone` is why entries have no zone; it holds until another one is set."""

    cron: Cron
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    timezone: str | None = None
    wrong_zone: FieldError | None = None
    random_delay: int | None = None

    def assign(self, name: str, value: str) -> list[str]:
        """Sets a variable from here on. Returns what a person should know of it."""
        if name:
            self.environment = MappingProxyType({**self.environment, name: value})
        if self.cron == "cronie" and name == "CRON_TZ":
            self._set_zone(value)
        if self.cron == "cronie" and name == "RANDOM_DELAY":
            return self._set_delay(value)
        return _warnings(name, value, self.cron)

    def _set_zone(self, value: str) -> None:
        self.timezone = self.wrong_zone = None
        if not value:
            return
        try:
            self.timezone = parse_zone(value.removeprefix(":")).key
        except FieldError as error:
            problem, example = _as_glibc(value) or (f"{error.problem}; cronie would take it for UTC", None)
            if example is None and (near := re.search(r"did you mean '([^']*)'\?", problem)):
                example = near[1]
            self.wrong_zone = FieldError("timezone", value, problem, example=example and f"CRON_TZ={example}")

    def _set_delay(self, value: str) -> list[str]:
        """As C's strtol reads it."""
        digits = re.match(r"[ \t\n\v\f\r]*([+-]?[0-9]{1,18})?(?![0-9])", value)
        minutes = int(digits[1] or 0) if digits else -1
        self.random_delay = minutes if 0 < minutes <= _MOST_DELAY else None
        if minutes == 0 and not re.search(r"[0-9]", value):
            return [f"RANDOM_DELAY={value} is no number of minutes: cronie delays nothing"]
        if not 0 <= minutes <= _MOST_DELAY:
            return [f"RANDOM_DELAY={value} is not in 0-{_MOST_DELAY} minutes: cronie delays nothing"]
        return []


def _as_glibc(value: str) -> tuple[str, str | None] | None:
    """What cronie makes of a zone that is no IANA name but the C library knows, and the name of the same."""
    value = value.removeprefix(":")
    if value.startswith("/"):
        return "a file, which cronie reads; write the name of its zone", None
    posix = _POSIX_ZONE.fullmatch(value)
    if posix is None:
        return None
    sign, hours = posix[1] or "+", int(posix[2])
    told = "is not an IANA time zone; cronie takes it for one of POSIX's, "
    told += f"{hours} h {'ahead of' if sign == '-' else 'behind'} UTC"
    if posix[3]:
        return f"{told} and with more rules", None
    try:
        return told, parse_zone(f"Etc/GMT{sign}{hours}").key
    except FieldError:
        return told, None


def _warnings(name: str, value: str, cron: Cron) -> list[str]:
    if not name:
        return ["an assignment without a name: no command sees it"]
    warnings = []
    if name == "CRON_TZ" and cron == "debian":
        warnings.append(
            "Debian's cron takes CRON_TZ for a variable like others: times stay in the machine's zone"
        )
    elif name == "RANDOM_DELAY" and cron == "debian":
        warnings.append("Debian's cron takes RANDOM_DELAY for a variable like others: nothing is delayed")
    elif name == "TZ":
        warnings.append("TZ is for the commands alone: times stay in the machine's zone")
    elif name == "LOGNAME" or (name == "USER" and cron == "cronie"):
        warnings.append(f"{name} has no effect: the cron sets it to the user's name")
    if second := re.search(r"\s([A-Za-z_]\w*)=\S", value):
        warnings.append(f"{second[1]} is not set: to the cron, it is part of the value of {name}")
    elif re.search(r"\$\w|\$\{|`", value):
        warnings.append(f"{name}: the cron replaces no $NAME in a value; commands see it as it stands")
    elif re.search(r"\s#", value):
        warnings.append(f"{name}: there are no comments behind a value; to the cron, it is part of it")
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        warnings.append(f"shells have no variable of the name {name!r}")
    return warnings
