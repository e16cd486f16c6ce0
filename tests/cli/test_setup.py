"""`init` and `db`: a configuration to edit, a database to use."""

from __future__ import annotations

import os
import sqlite3
import tomllib
from pathlib import Path

from beatd import config
from tests.cli.program import Beatd


def test_init_writes_the_shipped_configuration_and_sets_up_the_database(program: Beatd) -> None:
    told = program("init").stdout
    written = program.home / ".config/beatd/beatd.toml"
    assert written.read_text() == (config.shipped("config") / "beatd.toml").read_text()
    assert str(written) in told
    assert "up --demo" in told
    with sqlite3.connect(program.database) as database:
        assert database.execute("SELECT count(*) FROM entries").fetchone() == (0,)
    program("db", "check")


def test_init_overwrites_nothing(beatd: Beatd) -> None:
    beatd("init")
    written = beatd.home / ".config/beatd/beatd.toml"
    written.write_text('timezone = "Europe/Berlin"\n')
    beatd("entry", "add", "kept", "--every", "1h", "--shell", "true")
    told = beatd("init").stdout
    assert written.read_text() == 'timezone = "Europe/Berlin"\n'
    assert "stays as it is" in told
    assert "kept" in beatd("entry", "list").stdout


def test_init_at_a_path_of_ones_own(beatd: Beatd) -> None:
    told = beatd("--config", "here/my.toml", "init").stdout
    assert tomllib.loads((beatd.home / "here/my.toml").read_text()).keys() <= set(
        config.Settings.model_fields
    )
    assert not (beatd.home / ".config").exists()
    # what it says to type next works
    assert "--config here/my.toml doctor" in told


def test_init_where_it_may_not_write(beatd: Beatd, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = beatd("--config", "file/beatd.toml", "init", status=2)
    assert done.stderr.startswith("beatd: configuration: 'file/beatd.toml': cannot be written: ")
    assert not beatd.state_dir.exists()


def test_upgrade_says_what_it_did(program: Beatd) -> None:
    assert "schema (none) -> 0004" in program("db", "upgrade").stdout
    assert "already" in program("db", "upgrade").stdout


def test_check_of_a_database_that_is_not_set_up(beatd: Beatd) -> None:
    beatd.state_dir.mkdir(parents=True)
    beatd.database.touch()
    findings = beatd.json("db", "check", status=1)["findings"]
    (problem,) = [finding for finding in findings if finding["level"] == "problem"]
    assert problem["check"] == "schema"
    assert problem["hint"] == "run 'beatd db upgrade'"


def test_check_finds_a_missing_trigger(beatd: Beatd) -> None:
    beatd("init")
    with sqlite3.connect(beatd.database) as database:
        database.execute("DROP TRIGGER beatd_entries_update")
    done = beatd("db", "check", status=1)
    assert "beatd_entries_update" in done.stdout
    assert "beatd_entries_insert" not in done.stdout


def test_check_finds_missing_tables_and_columns(beatd: Beatd) -> None:
    beatd("init")
    with sqlite3.connect(beatd.database) as database:
        database.execute("DROP TABLE nudges")
        database.execute("ALTER TABLE nodes DROP COLUMN statistics")
    done = beatd("db", "check", status=1)
    assert "missing, or hidden from this user: nodes.statistics, nudges" in done.stdout


def test_check_of_a_newer_schema(beatd: Beatd) -> None:
    beatd("init")
    with sqlite3.connect(beatd.database) as database:
        database.execute("UPDATE beatd_schema_version SET version_num = '9999'")
    assert "upgrade beatd on this machine" in beatd("db", "check", status=1).stdout
    assert "upgrade beatd on this machine" in beatd("db", "upgrade", status=1).stderr
    assert "upgrade beatd on this machine" in beatd("entry", "list", status=1).stderr


def test_check_of_a_file_that_is_no_database(beatd: Beatd) -> None:
    beatd.state_dir.mkdir(parents=True)
    beatd.database.write_bytes(os.urandom(4096))
    done = beatd("db", "check", status=1)
    assert "not a database" in done.stdout
