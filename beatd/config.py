"""The configuration: one TOML file, `BEATD_…` variables over it, a default for every key.

    settings = config.load().settings

Priority, highest first: command-line options, `BEATD_…` variables, systemd credentials, the file, the
defaults. `config/beatd.toml` shows every key with its default. Nothing here is read twice: whoever needs
a setting is handed `Settings`.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from beatd import durations, weburls, zones
from beatd.errors import FieldError, InvalidInput, NotFound, did_you_mean, nearest
from beatd.redaction import redact

PREFIX = "BEATD_"
CONFIG_VARIABLE = "BEATD_CONFIG"

#: Values that may stand in `database.url` in place of a path.
STATE_DIR_PLACEHOLDER = "{state_dir}"


# What may stand in a value


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else durations.parse(str(value))


def _longer_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return value


def _zone(value: str) -> str:
    return zones.parse(value).key


_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "mariadb": "mariadb+pymysql",
    "mysql": "mariadb+pymysql",
    "mariadb+pymysql": "mariadb+pymysql",
    "mysql+pymysql": "mariadb+pymysql",
}


def _database_url(value: str) -> str:
    """The URL with the driver that beatd uses; one spelling for each database."""
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in _DRIVERS:
        raise ValueError("the database must be one of sqlite:///PATH, postgresql://…, mariadb://…")
    if scheme != "sqlite":
        _refuse_whitespace(value)
    elif rest.partition("?")[0] in ("", "/", "/:memory:"):
        raise ValueError("SQLite needs a file: a database in memory cannot be shared by the processes")
    return f"{_DRIVERS[scheme]}://{rest}"


def _broker_url(value: str) -> str:
    if value and not re.match(r"[\w+.\-]+://", value):
        raise ValueError("must be empty (the embedded broker) or a URL")
    _refuse_whitespace(value)
    return value


def _refuse_whitespace(url: str) -> None:
    # Not pedantry: redact() takes white space as the end of a URL.
    if re.search(r"\s", url):
        raise ValueError("white space in a URL must be written as %20")


def _web_url(value: str) -> str:
    return weburls.check(value) if value else value


def _absolute(value: Path) -> Path:
    if not value.is_absolute():
        raise ValueError("must be a folder with its whole path")
    return value


def _celery_app(value: str) -> str:
    if value and not re.fullmatch(r"\w+(\.\w+)*(:\w+(\.\w+)*)?", value):
        raise ValueError("must be a module and the name of the app in it")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
PositiveDuration = Annotated[Duration, AfterValidator(_longer_than_nothing)]


# The settings


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


class DatabaseSettings(_Section):
    url: Annotated[str, AfterValidator(_database_url)] = Field(
        default=f"sqlite:///{STATE_DIR_PLACEHOLDER}/beatd.db",
        repr=False,
        description="where entries and history are: SQLite, PostgreSQL or MariaDB",
        examples=["postgresql://beatd:PASSWORD@db.example.com/beatd"],
    )
    connect_timeout: PositiveDuration = Field(
        default=timedelta(seconds=5), description="how long to wait for a connection"
    )
    statement_timeout: PositiveDuration = Field(
        default=timedelta(seconds=30), description="how long one statement may take, on the server's side too"
    )
    pool_size: int = Field(default=5, ge=1, le=1000, description="connections that one process keeps")


class BrokerSettings(_Section):
    url: Annotated[str, AfterValidator(_broker_url)] = Field(
        default="",
        repr=False,
        description="where messages go; empty: embedded, in files below state_dir",
        examples=["amqp://beatd:PASSWORD@mq.example.com/beatd"],
    )
    transport_options: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="passed to the transport (see kombu) as they are",
        examples=["{ visibility_timeout = 3600 }"],
    )
    heartbeat: Duration = Field(
        default=timedelta(seconds=30),
        description="AMQP heartbeat, by which a dead connection is noticed; 0s: none",
    )
    confirm_timeout: PositiveDuration = Field(
        default=timedelta(seconds=10), description="how long the broker may take to confirm a message"
    )
    window: int = Field(
        default=500, ge=1, le=100_000, description="messages on the wire that are not yet confirmed"
    )
    connect_timeout: PositiveDuration = Field(
        default=timedelta(seconds=5), description="how long to wait for a connection"
    )


class CelerySettings(_Section):
    app: Annotated[str, AfterValidator(_celery_app)] = Field(
        default="",
        description="your Celery app, whose routes and serializer then hold; empty: beatd's own",
        examples=["proj.celery:app"],
    )
    default_queue: str = Field(
        default="beatd", min_length=1, max_length=255, description="queue of the entries that name none"
    )
    reports: bool = Field(default=True, description="whether workers report what becomes of a run")


class SchedulerSettings(_Section):
    node: str = Field(default="", max_length=255, description="this node's name; empty: the host name")
    batch: int = Field(default=500, ge=1, le=100_000, description="most entries that one claim takes")
    poll_interval: PositiveDuration = Field(
        default=timedelta(seconds=1), description="how often to look for edits that nothing announced"
    )
    lease: PositiveDuration = Field(
        default=timedelta(seconds=30), description="how long a node owns recorded runs without renewing them"
    )
    heartbeat: PositiveDuration = Field(
        default=timedelta(seconds=5), description="how often a node shows that it is alive"
    )
    node_timeout: PositiveDuration = Field(
        default=timedelta(seconds=30), description="without a heartbeat for this long a node counts as gone"
    )
    shadow: bool = Field(
        default=False, description="plan and record as ever, but publish nothing: to compare with what runs"
    )
    fault_point: str = Field(
        default="", description="for tests of beatd itself: where a fault is to be (beatd.faultpoints)"
    )

    @field_validator("node_timeout")
    @classmethod
    def _outlast_a_missed_heartbeat(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        heartbeat = info.data.get("heartbeat")
        if heartbeat is not None and value < 2 * heartbeat:
            half, whole = durations.format(heartbeat), durations.format(2 * heartbeat)
            raise ValueError(f"must be at least twice scheduler.heartbeat ({half}); for example {whole!r}")
        return value

    @property
    def node_name(self) -> str:
        return self.node or socket.gethostname()


class SchedulesSettings(_Section):
    custom: dict[str, str] = Field(
        default={},
        description="callables that make the APScheduler triggers which entries may name",
        examples=[{"office-hours": "proj.rules:office_hours"}],
    )


class WorkerSettings(_Section):
    concurrency: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="runs that one worker works on at a time; 0: as many as processors",
    )
    claim_lease: PositiveDuration = Field(
        default=timedelta(seconds=60), description="a worker unheard of for this long has lost its run"
    )
    output_limit: int = Field(
        default=65_536, ge=0, le=16_777_216, description="bytes of a run's output that are kept"
    )
    shell: str = Field(
        default="/bin/sh", pattern=r"^/", description="what runs the commands of shell entries"
    )
    fault_point: str = Field(
        default="", description="for tests of beatd itself: where a fault is to be (beatd.faultpoints)"
    )

    @property
    def processes(self) -> int:
        return self.concurrency or len(os.sched_getaffinity(0))


class HistorySettings(_Section):
    keep_days: int = Field(
        default=30, ge=1, le=36_500, description="days after which a finished run is forgotten"
    )
    keep_runs: int = Field(default=10_000, ge=1, description="finished runs that are kept of one entry")


class AlertSettings(_Section):
    ping_url: Annotated[str, AfterValidator(_web_url)] = Field(
        default="",
        repr=False,
        description="fetched by each node as long as it does its work: a dead man's switch",
        examples=["https://hc-ping.com/2f7b0c1e-node-1"],
    )
    ping_task: str = Field(
        default="", pattern=r"^\S*$", description="a task that is sent as well, or instead, by each node"
    )
    ping_every: PositiveDuration = Field(default=timedelta(seconds=60), description="how often")
    url: Annotated[str, AfterValidator(_web_url)] = Field(
        default="",
        repr=False,
        description="told of the late, missing and failed runs of all entries",
        examples=["https://ops.example.org/beatd"],
    )
    late_after: PositiveDuration = Field(
        default=timedelta(seconds=60),
        description="a run that is published or started later than this is late",
    )


class LogSettings(_Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least that is told"
    )
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="auto: text on a terminal and in the journal, else JSON"
    )


class Settings(BaseSettings):
    """Every setting of beatd. Building one reads no file and no `BEATD_…` variable: that is `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
    )

    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC",
        description="the time zone of entries that name none",
        examples=["Europe/Berlin"],
    )
    state_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=lambda: _default_state_dir(os.environ),
        description="the folder of the embedded database and broker",
        examples=["/var/lib/beatd"],
    )
    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    celery: CelerySettings = CelerySettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    schedules: SchedulesSettings = SchedulesSettings()
    worker: WorkerSettings = WorkerSettings()
    history: HistorySettings = HistorySettings()
    alerts: AlertSettings = AlertSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @model_validator(mode="after")
    def _put_state_dir_into_url(self) -> Settings:
        if STATE_DIR_PLACEHOLDER in self.database.url:
            url = self.database.url.replace(STATE_DIR_PLACEHOLDER, str(self.state_dir))
            self.__dict__["database"] = self.database.model_copy(update={"url": url})
        return self


# Finding and loading


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where the configuration may be: `source` says why it was looked at. The first found is used."""

    path: Path
    source: str
    found: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load` found. `origins` tells for each dotted key that is not at its default who set it."""

    settings: Settings
    file: Path | None
    searched: tuple[Candidate, ...]
    warnings: tuple[str, ...]
    origins: Mapping[str, str]


def load(
    explicit: Path | None = None,
    environ: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read the configuration.

    `explicit` is the file of `--config`; `options` are dotted keys that the command line sets (those that
    are None are not set). Raises InvalidInput with every finding: each names the place, the key, what is
    wrong and what would work, and shows no password.
    """
    environ = os.environ if environ is None else environ
    searched = find_config(explicit, environ)
    file = next((candidate.path for candidate in searched if candidate.found), None)
    unknown: list[FieldError] = []
    given: dict[str, _Given] = {}
    if file:
        given |= _from_file(file, unknown)
    given |= _from_credentials(environ)
    given |= _from_environment(environ, unknown)
    given |= {k: _Given(v, "command line") for k, v in (options or {}).items() if v is not None}
    origins = {key: item.where for key, item in given.items()}
    settings = _validated(given, unknown, environ)
    warnings = _password_warnings(file)
    return Loaded(settings, file, tuple(searched), warnings, origins)


def find_config(explicit: Path | None = None, environ: Mapping[str, str] | None = None) -> list[Candidate]:
    """Where the configuration is looked for, in order.

    A file that was asked for by name must exist (InvalidInput); the user's and the system's need not.
    """
    environ = os.environ if environ is None else environ
    named = [(explicit, "--config"), (environ.get(CONFIG_VARIABLE), CONFIG_VARIABLE)]
    candidates = [_candidate(_expand(str(path), environ), source) for path, source in named if path]
    for candidate in candidates[:1]:
        if not candidate.found:
            raise InvalidInput([FieldError(candidate.source, str(candidate.path), "no such file")])
    user = environ.get("XDG_CONFIG_HOME") or _expand("~/.config", environ)
    candidates.append(_candidate(Path(user) / "beatd" / "beatd.toml", "user"))
    candidates.append(_candidate(Path("/etc/beatd/beatd.toml"), "system"))
    return candidates


def _candidate(path: Path, source: str) -> Candidate:
    try:
        return Candidate(path, source, path.exists())
    except PermissionError:
        # It may be there. Going on without it would run with a wrong database, so reading it shall fail.
        return Candidate(path, source, True)


def variable(name: str) -> str | None:
    """One that a person names, such as that with another program's database URL."""
    return os.environ.get(name)


def shipped(name: str) -> Path:
    """A folder that comes with the program: `alembic`, `config`, `systemd`.

    A wheel has them inside the package, a checkout beside it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_shipped" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise NotFound("shipped folder", name)


# The sources: each gives dotted keys with their values and places


@dataclass(frozen=True, slots=True)
class _Given:
    value: Any
    where: str


_SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}

#: Every setting by its dotted key.
KEYS = {name: field for name, field in Settings.model_fields.items() if name not in _SECTIONS} | {
    f"{section}.{name}": field
    for section, model in _SECTIONS.items()
    for name, field in model.model_fields.items()
}

#: Every variable that is understood, with the key that it sets.
VARIABLES = {PREFIX + key.replace(".", "_").upper(): key for key in KEYS}

# Kubernetes and Docker set such variables in every container beside a service named `beatd` or `beatd-…`.
_SERVICE_LINK = re.compile(r"BEATD_(\w+_)?(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_(TCP|UDP)\w*)?)")


def _from_file(file: Path, unknown: list[FieldError]) -> dict[str, _Given]:
    text = _read(file)
    document = _parse(file, text)
    lines = _key_lines(text)
    given: dict[str, _Given] = {}
    for key, value in _flat(document):
        where = f"{file}:{_line_of(key, lines)}"
        given[key] = _Given(value, where)
        if key not in KEYS and key not in _SECTIONS:
            unknown.append(_unknown_key(key, value, where))
    item = given.get("state_dir")
    if item and isinstance(item.value, str) and item.value and not item.value.startswith("~"):
        # A relative path in the file is meant from the file: the daemon's own folder is nobody's concern.
        given["state_dir"] = _Given(str(file.absolute().parent / item.value), item.where)
    return given


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text (byte {error.start})"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise InvalidInput([FieldError("configuration", str(file), problem)])


def _parse(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error)
    lines = text.splitlines() or [""]
    found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)", problem)
    number = int(found[1]) if found and found[1] else len(lines)
    # Only the key: the value may be a password that its quotes did not survive.
    key = lines[min(number, len(lines)) - 1].partition("=")[0].strip()
    problem = f"not TOML: {problem[: found.start()] if found else problem}"
    if re.search(r"=\s*[A-Za-z/]", lines[min(number, len(lines)) - 1]):
        problem += " (a text needs quotes)"
    raise InvalidInput([FieldError("line", key, problem, where=f"{file}:{number}")]) from None


def _flat(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in document.items():
        if name in _SECTIONS and isinstance(value, dict):
            pairs += [(f"{name}.{key}", inner) for key, inner in value.items()]
        else:
            pairs.append((name, value))
    return pairs


def _key_lines(text: str) -> dict[str, int]:
    """The line of each table header and key. Good for pointing at; the values are tomllib's matter."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]#]+?)\s*\]", line):
            table = re.sub(r"[\"'\s]", "", header[1])
            lines.setdefault(table, number)
        elif key := re.match(r"\s*([\w\"'.\- ]+?)\s*=", line):
            name = re.sub(r"[\"'\s]", "", key[1])
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines


def _line_of(key: str, lines: Mapping[str, int]) -> int:
    """The line of the key, of something below it, or of what it is in (an inline table)."""
    if key in lines:
        return lines[key]
    below = [number for name, number in lines.items() if name.startswith(f"{key}.")]
    return min(below) if below else lines.get(key.rpartition(".")[0], 1)


def _from_credentials(environ: Mapping[str, str]) -> dict[str, _Given]:
    """systemd's LoadCredential=: the files `database_url` and `broker_url`."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return {}
    files = {key: Path(folder) / key.replace(".", "_") for key in ("database.url", "broker.url")}
    return {
        key: _Given(_read(file).strip(), f"credential {file.name}")
        for key, file in files.items()
        if file.exists()
    }


def _from_environment(environ: Mapping[str, str], unknown: list[FieldError]) -> dict[str, _Given]:
    ours = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    for name in sorted(ours.keys() - VARIABLES.keys() - {CONFIG_VARIABLE}):
        if not _SERVICE_LINK.fullmatch(name):
            hint = did_you_mean(nearest(name, VARIABLES))
            unknown.append(FieldError(name, _shown(name, ours[name]), f"unknown variable{hint}"))
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in ours.items() if name in VARIABLES}
    try:
        values = dict(_flat(source()))
    except SettingsError:
        problem = "must be a JSON object"
        name = "BEATD_BROKER_TRANSPORT_OPTIONS"  # the only variable whose text is parsed
        finding = FieldError(name, "…", problem, example='{"visibility_timeout": 3600}')
        raise InvalidInput([*unknown, finding]) from None
    return {key: _Given(values[key], name) for name, key in VARIABLES.items() if key in values}


# Checking


def _validated(
    given: Mapping[str, _Given], unknown: Sequence[FieldError], environ: Mapping[str, str]
) -> Settings:
    nested: dict[str, Any] = {"state_dir": _default_state_dir(environ)}
    for key, item in given.items():
        section, dot, name = key.rpartition(".")
        if key in KEYS:
            (nested.setdefault(section, {}) if dot else nested)[name] = item.value
        elif key in _SECTIONS:  # a value where a table should be
            nested[key] = item.value
    if isinstance(nested["state_dir"], str) and nested["state_dir"]:
        nested["state_dir"] = _expand(nested["state_dir"], environ).absolute()
    try:
        settings = Settings(**nested)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise InvalidInput([*unknown, *(_finding(detail, given) for detail in details)]) from None
    if unknown:
        raise InvalidInput(unknown)
    return settings


def _finding(detail: Any, given: Mapping[str, _Given]) -> FieldError:
    key = ".".join(str(part) for part in detail["loc"][:2])
    field = KEYS.get(key)
    item = given.get(key)
    value = item.value if item else field.default if field else None
    cause = detail.get("ctx", {}).get("error")
    problem = str(cause) if isinstance(cause, ValueError) else detail["msg"]
    if key in _SECTIONS:
        problem = f"must be a table: [{key}]"
    shows_one = problem.endswith("?") or "for example" in problem
    example = None if shows_one else _example(key)
    return FieldError(key, _shown(key, value), problem, example=example, where=item.where if item else None)


def _shown(name: str, value: Any) -> Any:
    """The value as an error may show it: not at all where it may be a password that `redact` cannot see."""
    if isinstance(value, timedelta):
        return durations.format(value)
    text = str(value)
    secret_by_name = redact(f"{name}={text}").startswith(f"{name}=***")
    broken_url = "@" in text and not re.fullmatch(r"[\w+.\-]+://\S+", text)
    if isinstance(value, dict | list) or secret_by_name or broken_url:
        return "…"
    return redact(value) if isinstance(value, str) else value


def _example(key: str) -> str | None:
    field = KEYS.get(key)
    if field is None:
        return None
    return str(field.examples[0] if field.examples else _shown(key, field.default))


def _unknown_key(key: str, value: Any, where: str) -> FieldError:
    section, dot, name = key.rpartition(".")
    siblings = [k.rpartition(".")[2] for k in KEYS if k.rpartition(".")[0] == section]
    names = siblings if dot else [*siblings, *_SECTIONS]
    elsewhere = [k for k in KEYS if k != name and k.rpartition(".")[2] == name]
    hint = did_you_mean(nearest(name, names) or elsewhere)
    kind = "table" if isinstance(value, dict) else "key"
    return FieldError(key, _shown(key, value), f"unknown {kind}{hint}", where=where)


def _password_warnings(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    mode = file.stat().st_mode & 0o777
    if not mode & 0o004 or not any(redact(line) != line for line in _settings_lines(file)):
        return ()
    return (f"{file}: holds a password, yet everyone may read it (mode {mode:04o}): chmod o-r {file}",)


def _settings_lines(file: Path) -> list[str]:
    return [line for line in _read(file).splitlines() if not line.lstrip().startswith("#")]


# Folders


def _default_state_dir(environ: Mapping[str, str]) -> Path:
    """systemd's StateDirectory=, else the user's folder for state."""
    if from_systemd := environ.get("STATE_DIRECTORY"):
        return Path(from_systemd.partition(":")[0])
    return Path(environ.get("XDG_STATE_HOME") or _expand("~/.local/state", environ)) / "beatd"


def _expand(path: str, environ: Mapping[str, str]) -> Path:
    if path == "~" or path.startswith("~/"):
        return Path(environ.get("HOME") or Path.home(), path[2:])
    return Path(path)
