"""The locked requirements: what pyproject.toml asks for, pinned and hashed, without a registry's address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
FILES = ["dev.txt", "mutants.txt", "peers.txt", "runtime.txt", "uv.txt"]


@pytest.mark.parametrize("name", FILES)
def test_everything_is_pinned_and_hashed(name: str) -> None:
    pinned = re.findall(r"^[a-z0-9][^=\n]*==.*?(?=^[a-z0-9]|\Z)", text(name), re.MULTILINE | re.DOTALL)
    assert pinned
    assert len(pinned) == len(re.findall(r"^[^\s#]", text(name), re.MULTILINE)), "a line is not pinned"
    assert not [block.split()[0] for block in pinned if "--hash=sha256:" not in block]


@pytest.mark.parametrize("name", FILES)
def test_no_address_and_no_path_of_a_machine(name: str) -> None:
    assert not re.findall(
        r"\w+://\S+|--(?:extra-)?index\S*|--find-links|/(?:tmp|home|root|opt|work)/", text(name)
    )


def test_the_lock_is_what_pyproject_asks_for() -> None:
    """`make lock` was not forgotten."""
    versions = locked("dev.txt")
    for requirement in wanted():
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not locked: make lock"
        assert requirement.specifier.contains(version), f"{requirement} but {version} is locked: make lock"


def test_the_runtime_lock_is_part_of_the_development_lock() -> None:
    assert locked("runtime.txt").items() <= locked("dev.txt").items()


def test_mutants_are_judged_in_the_development_environment_and_mutmut() -> None:
    development = locked("dev.txt")
    assert {name: development.get(name, pin) for name, pin in locked("mutants.txt").items()} == locked(
        "mutants.txt"
    )


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    requirements = [Requirement(line) for lines in lists for line in lines]
    return [requirement for requirement in requirements if requirement.name != "beatd"]


def locked(name: str) -> dict[str, str]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text(name), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in pins}


def text(name: str) -> str:
    return (REQUIREMENTS / name).read_text()
