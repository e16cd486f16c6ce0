"""What docs/testing.md shows is run here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from beatd.testing import Simulation

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
TEXT = PAGE.read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_the_examples_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "entries.toml").write_text(blocks("toml")[0])
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block, names)
    for name in [name for name in names if name.startswith("test_")]:
        names[name]()


def test_every_call_of_a_script_is_in_the_table() -> None:
    calls = {name for name in vars(Simulation) if not name.startswith("_")}
    told = {*re.findall(r"`(\w+)\(", TEXT), *re.findall(r"`(\w+)`", TEXT)}
    assert calls - told == set()
