"""`beatd init`: a configuration to edit, a database to use."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from rich.text import Text

from beatd import config
from beatd.cli.state import State
from beatd.errors import FieldError, InvalidInput
from beatd.redaction import redact
from beatd.store import schema


def init(ctx: typer.Context) -> None:
    """Write a commented configuration, create or upgrade the database. Repeating it changes nothing."""
    state: State = ctx.obj
    _write_config(state)
    database = state.open_database(create=True)
    before = schema.state(database).current
    found = schema.upgrade(database)
    done = "has" if before == found.current else "set up:" if before is None else "upgraded:"
    state.out.print(f"database  {redact(state.settings.database.url)}  {done} schema {found.current}")
    state.out.print("\nNext:")
    print_next(
        state,
        {
            "up --demo": "run the sample entries here; Ctrl-C ends it",
            "entry add hello --every 10s --shell 'echo hello'": "add one of your own",
            "doctor": "check that everything is in order",
        },
    )


def print_next(state: State, commands: Mapping[str, str]) -> None:
    """Commands to type; with what each is good for, where the terminal has room for it."""
    lines = {state.command(rest): why for rest, why in commands.items()}
    width = max(map(len, lines))
    for line, why in lines.items():
        comment = f"{'':{width - len(line)}}   # {why}"
        room = state.out.width >= 2 + len(line) + len(comment)
        state.out.print(Text.assemble(f"  {line}", (comment if room else "", "dim")), soft_wrap=True)


def _write_config(state: State) -> None:
    target = state.config_path or next(place.path for place in config.find_config() if place.source == "user")
    if target.exists():
        state.out.print(f"config    {target}  is there and stays as it is")
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write((config.shipped("config") / "beatd.toml").read_text("utf-8"))
    except OSError as error:
        finding = FieldError("configuration", str(target), f"cannot be written: {error.strerror}")
        raise InvalidInput([finding]) from error
    state.out.print(f"config    {target}  written: every setting with its default")
