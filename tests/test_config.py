"""Where settings come from, what is refused and how it is said, and that no password is ever shown."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from beatd import config
from beatd.config import Settings, find_config, load, shipped
from beatd.errors import InvalidInput, NotFound

#: Keys that only the tests of beatd set.
NOT_FOR_OPERATORS = {"scheduler.fault_point", "worker.fault_point"}

SAMPLE = Path(__file__).parent.parent / "config" / "beatd.toml"


@pytest.fixture
def home(tmp_path):
    """The environment of a user who has configured nothing."""
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "beatd.toml"
        file.write_text(text)
        file.chmod(0o600)
        return file

    return write


def refusal(*args, **kwargs) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load(*args, **kwargs)
    return str(caught.value).splitlines()


def value(settings: Settings, key: str) -> object:
    for name in key.split("."):
        settings = getattr(settings, name)
    return settings


# The sample file


def test_the_sample_file_changes_nothing(home):
    loaded = load(SAMPLE, home)
    assert loaded.settings == load(environ=home).settings
    assert loaded.origins == {}


def test_the_sample_file_shows_every_key_with_its_default(home, write):
    text = SAMPLE.read_text()
    file = write(re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE))
    loaded = load(file, home)
    assert set(loaded.origins) == set(config.KEYS) - NOT_FOR_OPERATORS
    assert loaded.settings == load(environ=home).settings
    assert loaded.warnings == ()


def test_every_key_has_a_default_and_a_description():
    for key, field in config.KEYS.items():
        assert not field.is_required(), key
        assert field.description, key


# Where a value comes from


def test_a_file_sets_values_and_the_environment_overrides_them(home, write):
    file = write('timezone = "Asia/Tokyo"\n[scheduler]\nbatch = 7\nlease = "1m30s"\n')
    loaded = load(file, home | {"BEATD_SCHEDULER_BATCH": "9"})
    assert loaded.file == file
    assert loaded.settings.timezone == "Asia/Tokyo"
    assert loaded.settings.scheduler.batch == 9
    assert loaded.settings.scheduler.lease == timedelta(seconds=90)
    assert loaded.origins == {
        "timezone": f"{file}:1",
        "scheduler.batch": "BEATD_SCHEDULER_BATCH",
        "scheduler.lease": f"{file}:4",
    }


@pytest.mark.parametrize(
    ("variable", "text", "key", "expected"),
    [
        ("BEATD_TIMEZONE", "Europe/Berlin", "timezone", "Europe/Berlin"),
        ("BEATD_STATE_DIR", "/srv/beatd", "state_dir", Path("/srv/beatd")),
        ("BEATD_DATABASE_URL", "sqlite:////srv/b.db", "database.url", "sqlite:////srv/b.db"),
        ("BEATD_DATABASE_CONNECT_TIMEOUT", "2s", "database.connect_timeout", timedelta(seconds=2)),
        ("BEATD_BROKER_URL", "amqp://h//", "broker.url", "amqp://h//"),
        ("BEATD_BROKER_TRANSPORT_OPTIONS", '{"a": {"b": 1}}', "broker.transport_options", {"a": {"b": 1}}),
        ("BEATD_BROKER_CONFIRM_TIMEOUT", "1m", "broker.confirm_timeout", timedelta(minutes=1)),
        ("BEATD_CELERY_DEFAULT_QUEUE", "cron", "celery.default_queue", "cron"),
        ("BEATD_CELERY_REPORTS", "false", "celery.reports", False),
        ("BEATD_SCHEDULER_POLL_INTERVAL", "10s", "scheduler.poll_interval", timedelta(seconds=10)),
        ("BEATD_WORKER_OUTPUT_LIMIT", "12", "worker.output_limit", 12),
        ("BEATD_HISTORY_KEEP_DAYS", "3", "history.keep_days", 3),
        ("BEATD_LOG_FORMAT", "json", "log.format", "json"),
    ],
)
def test_variables(home, variable, text, key, expected):
    loaded = load(environ=home | {variable: text})
    assert value(loaded.settings, key) == expected
    assert loaded.origins == {key: variable}


def test_every_key_has_its_own_variable():
    assert len(config.VARIABLES) == len(config.KEYS)


def test_priority_options_environment_credentials_file(home, write, tmp_path):
    file = write('[database]\nurl = "sqlite:////file.db"\n[broker]\nurl = "redis://file"\n')
    (tmp_path / "database_url").write_text("sqlite:////credential.db\n")
    (tmp_path / "broker_url").write_text("redis://credential\n")
    environ = home | {"CREDENTIALS_DIRECTORY": str(tmp_path), "BEATD_BROKER_URL": "redis://environment"}
    loaded = load(file, environ)
    assert loaded.settings.database.url == "sqlite:////credential.db"
    assert loaded.settings.broker.url == "redis://environment"
    assert loaded.origins["database.url"] == "credential database_url"
    options = {"broker.url": "redis://option", "database.url": None}
    loaded = load(file, environ, options)
    assert loaded.settings.broker.url == "redis://option"
    assert loaded.settings.database.url == "sqlite:////credential.db"


def test_building_settings_reads_no_variables(monkeypatch):
    monkeypatch.setenv("BEATD_SCHEDULER_BATCH", "9")
    assert Settings().scheduler.batch == 500


# Folders


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/home/ann"}, "/home/ann/.local/state/beatd"),
        ({"HOME": "/home/ann", "XDG_STATE_HOME": "/x"}, "/x/beatd"),
        ({"HOME": "/home/ann", "STATE_DIRECTORY": "/var/lib/beatd:/var/lib/more"}, "/var/lib/beatd"),
        ({"HOME": "/home/ann", "STATE_DIRECTORY": "/s", "BEATD_STATE_DIR": "~/b"}, "/home/ann/b"),
    ],
)
def test_the_state_folder_and_the_database_in_it(environ, folder):
    settings = load(environ={"XDG_CONFIG_HOME": "/nowhere"} | environ).settings
    assert settings.state_dir == Path(folder)
    assert settings.database.url == f"sqlite:///{folder}/beatd.db"


def test_a_relative_state_folder_in_the_file_is_meant_from_the_file(home, write):
    file = write('state_dir = "state"\n')
    assert load(file, home).settings.state_dir == file.parent / "state"


# Finding the file


def test_the_search_order(home, tmp_path):
    user = tmp_path / "home" / ".config" / "beatd" / "beatd.toml"
    user.parent.mkdir(parents=True)
    named, explicit = tmp_path / "named.toml", tmp_path / "explicit.toml"
    for file, zone in [(user, "Asia/Tokyo"), (named, "Asia/Kolkata"), (explicit, "Asia/Seoul")]:
        file.write_text(f'timezone = "{zone}"\n')
    assert load(environ=home).settings.timezone == "Asia/Tokyo"
    environ = home | {"BEATD_CONFIG": str(named)}
    assert load(environ=environ).settings.timezone == "Asia/Kolkata"
    loaded = load(explicit, environ)
    assert loaded.settings.timezone == "Asia/Seoul"
    assert [(c.path, c.source) for c in loaded.searched] == [
        (explicit, "--config"),
        (named, "BEATD_CONFIG"),
        (user, "user"),
        (Path("/etc/beatd/beatd.toml"), "system"),
    ]
    assert find_config(environ={"XDG_CONFIG_HOME": "/x"})[0].path == Path("/x/beatd/beatd.toml")


def test_a_file_asked_for_must_exist(home, tmp_path):
    missing = tmp_path / "missing.toml"
    assert refusal(missing, home) == [f"--config: '{missing}': no such file"]
    environ = home | {"BEATD_CONFIG": str(missing)}
    assert refusal(None, environ) == [f"BEATD_CONFIG: '{missing}': no such file"]


def test_a_file_that_cannot_be_read_says_why(home, tmp_path, write):
    assert refusal(tmp_path, home) == [f"configuration: '{tmp_path}': cannot be read: Is a directory"]
    file = write("")
    file.write_bytes(b"timezone = '\xff'\n")
    assert refusal(file, home) == [f"configuration: '{file}': is not UTF-8 text (byte 12)"]


# What is refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[broker]\nwindw = 5", ["{file}:2: broker.windw: 5: unknown key; did you mean 'window'?"]),
        ("[brokr]\nx = 1", ["{file}:1: brokr: '…': unknown table; did you mean 'broker'?"]),
        ("timezon = 1\n", ["{file}:1: timezon: 1: unknown key; did you mean 'timezone'?"]),
        ("batch = 5\n", ["{file}:1: batch: 5: unknown key; did you mean 'scheduler.batch'?"]),
        ("\nscheduler.bach = 5", ["{file}:2: scheduler.bach: 5: unknown key; did you mean 'batch'?"]),
        ("log = {levl = 5}", ["{file}:1: log.levl: 5: unknown key; did you mean 'level'?"]),
        ("\n\nlog = 5", ["{file}:3: log: 5: must be a table: [log]"]),
        (
            "[log]\nlevel = 'loud'",
            [
                "{file}:2: log.level: 'loud': "
                "Input should be 'debug', 'info', 'warning' or 'error'; for example 'info'"
            ],
        ),
        (
            "[scheduler]\nlease = 30",
            ["{file}:2: scheduler.lease: 30: has no unit; did you mean '30s'?"],
        ),
        (
            "[scheduler]\nheartbeat = '20s'\nnode_timeout = '30s'",
            [
                "{file}:3: scheduler.node_timeout: '30s': "
                "must be at least twice scheduler.heartbeat (20s); for example '40s'"
            ],
        ),
        (
            "timezone = 'berlin'",
            ["{file}:1: timezone: 'berlin': is not an IANA time zone; did you mean 'Europe/Berlin'?"],
        ),
        ("[log]\nlevel = warn", ["{file}:2: line: 'level': not TOML: Invalid value (a text needs quotes)"]),
        ("a = 1\na = 2", ["{file}:2: line: 'a': not TOML: Cannot overwrite a value"]),
        ("a = '''x\n\n", ["{file}:2: line: '': not TOML: Expected \"'''\""]),
        (
            "x = 1\n[log]\ny = 2\nlevel = 3",
            [
                "{file}:1: x: 1: unknown key",
                "{file}:3: log.y: 2: unknown key",
                "{file}:4: log.level: 3: "
                "Input should be 'debug', 'info', 'warning' or 'error'; for example 'info'",
            ],
        ),
    ],
)
def test_what_the_file_may_not_say(home, write, text, expected):
    file = write(text)
    assert refusal(file, home) == [line.replace("{file}", str(file)) for line in expected]


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        (
            "BEATD_BROKER_WINDW",
            "5",
            "BEATD_BROKER_WINDW: '5': unknown variable; did you mean 'BEATD_BROKER_WINDOW'?",
        ),
        ("BEATD_LOG", "{}", "BEATD_LOG: '{}': unknown variable; did you mean 'BEATD_LOG_LEVEL'?"),
        ("BEATD_X", "redis://:pw@h", "BEATD_X: 'redis://:***@h': unknown variable"),
        (
            "BEATD_STATE_DIR",
            "",
            "BEATD_STATE_DIR: state_dir: '': "
            "must be a folder with its whole path; for example '/var/lib/beatd'",
        ),
        (
            "BEATD_SCHEDULER_BATCH",
            "0",
            "BEATD_SCHEDULER_BATCH: scheduler.batch: '0': "
            "Input should be greater than or equal to 1; for example '500'",
        ),
        (
            "BEATD_BROKER_TRANSPORT_OPTIONS",
            "{password: x}",
            "BEATD_BROKER_TRANSPORT_OPTIONS: '…': must be a JSON object; "
            """for example '{"visibility_timeout": 3600}'""",
        ),
        (
            "BEATD_CELERY_APP",
            "proj/celery.py",
            "BEATD_CELERY_APP: celery.app: 'proj/celery.py': "
            "must be a module and the name of the app in it; for example 'proj.celery:app'",
        ),
    ],
)
def test_what_a_variable_may_not_say(home, variable, text, expected):
    assert refusal(environ=home | {variable: text}) == [expected]


@pytest.mark.parametrize(
    "name", ["BEATD_SERVICE_HOST", "BEATD_PORT", "BEATD_CONSOLE_PORT_80_TCP_ADDR", "BEATD_SERVICE_PORT_HTTP"]
)
def test_variables_that_kubernetes_sets_beside_a_service_are_not_ours(home, name):
    assert load(environ=home | {name: "10.0.0.1"}).origins == {}


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("1w2d", 777_600)])
def test_durations(home, text, seconds):
    loaded = load(environ=home | {"BEATD_WORKER_CLAIM_LEASE": text})
    assert loaded.settings.worker.claim_lease == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "ending"),
    [("30", "did you mean '30s'?"), *((text, "; for example '1m'") for text in ("", "s", "1.5h", "0s"))],
)
def test_no_durations(home, text, ending):
    (line,) = refusal(environ=home | {"BEATD_WORKER_CLAIM_LEASE": text})
    assert line.startswith(f"BEATD_WORKER_CLAIM_LEASE: worker.claim_lease: {text!r}: ")
    assert line.endswith(ending)


# URLs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////srv/b.db", "sqlite:////srv/b.db"),
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgres://u:p@h/d?sslmode=require", "postgresql+psycopg://u:p@h/d?sslmode=require"),
        ("postgresql+psycopg:///d", "postgresql+psycopg:///d"),
        ("mysql://u:p@h/d", "mariadb+pymysql://u:p@h/d"),
        ("mariadb://u:p@h/d", "mariadb+pymysql://u:p@h/d"),
        ("mysql+pymysql://u:p@h/d", "mariadb+pymysql://u:p@h/d"),
    ],
)
def test_database_urls(home, url, expected):
    assert load(environ=home | {"BEATD_DATABASE_URL": url}).settings.database.url == expected


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("oracle://u:secret@h/d", "must be one of sqlite:///PATH, postgresql://…, mariadb://…"),
        ("postgresql+asyncpg://u:secret@h/d", "must be one of"),
        ("/srv/b.db", "must be one of"),
        ("", "must be one of"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("postgresql://u:my secret@h/d", "white space in a URL"),
    ],
)
def test_no_database_urls(home, url, problem):
    (line,) = refusal(environ=home | {"BEATD_DATABASE_URL": url})
    assert line.startswith("BEATD_DATABASE_URL: database.url: ")
    assert problem in line
    assert "secret" not in line


@pytest.mark.parametrize("url", ["localhost", "amqp:u:secret@h", "amqp://u:my secret@h//"])
def test_no_broker_urls(home, url):
    (line,) = refusal(environ=home | {"BEATD_BROKER_URL": url})
    assert line.startswith("BEATD_BROKER_URL: broker.url: ")
    assert "secret" not in line


# Passwords


def test_settings_show_no_password(home):
    urls = {"BEATD_DATABASE_URL": "postgresql://u:secret@h/d", "BEATD_BROKER_URL": "amqp://u:secret@h//"}
    options = {"BEATD_BROKER_TRANSPORT_OPTIONS": '{"sentinel_kwargs": {"password": "secret"}}'}
    assert "secret" not in repr(load(environ=home | urls | options))


@pytest.mark.parametrize(
    "text",
    [
        'url = "amqp://u:sec"ret@h//"',
        "[broker]\nulr = 'amqp://u:secret@h//'",
        "[broker]\nurl = ['amqp://u:secret@h//']",
        "[broker]\ntransport_options = ['secret']",
        "[broker.options]\npassword = 'secret'",
        "broker = 'amqp://u:secret@h//'",
        "[broker]\npassword = 'secret'",
        "[broker]\nurl = 'amqp://u:secret@h//\n",
    ],
)
def test_no_error_shows_a_password(home, write, text):
    assert not [line for line in refusal(write(text), home) if "sec" in line or "ret@" in line]


@pytest.mark.parametrize(
    ("text", "mode", "warned"),
    [
        ("[broker]\nurl = 'amqp://u:secret@h//'", 0o644, True),
        ("[broker]\nurl = 'amqp://u:secret@h//'", 0o640, False),
        ("[broker]\nurl = 'amqp://h//'", 0o644, False),
        ("# url = 'amqp://u:secret@h//'", 0o644, False),
    ],
)
def test_a_password_that_everyone_may_read(home, write, text, mode, warned):
    file = write(text)
    file.chmod(mode)
    expected = f"{file}: holds a password, yet everyone may read it (mode {mode:04o}): chmod o-r {file}"
    assert load(file, home).warnings == ((expected,) if warned else ())


# What ships with the program


@pytest.mark.parametrize(
    ("name", "file"), [("config", "beatd.toml"), ("config", "entries.toml"), ("alembic", "versions")]
)
def test_shipped(name, file):
    assert (shipped(name) / file).exists()


def test_nothing_else_is_shipped():
    with pytest.raises(NotFound):
        shipped("nothing")
