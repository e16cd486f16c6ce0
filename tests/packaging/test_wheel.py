"""What users install: the built wheel, in an environment with its locked requirements and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".uv" / "bin" / "uv"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)], cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("beatd-*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `beatd` command of an environment that holds the wheel and its locked requirements."""
    assert UV.exists(), "uv is not there: make .uv/.filled"
    environment = tmp_path_factory.mktemp("installed") / "venv"
    python = environment / "bin" / "python"
    run([UV, "venv", "--quiet", "--python", sys.executable, str(environment)])
    locked = ROOT / "requirements" / "runtime.txt"
    run([UV, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(locked)])
    run([UV, "pip", "install", "--quiet", "--python", str(python), "--no-deps", str(wheel)])
    run([UV, "pip", "check", "--python", str(python)])
    return environment / "bin" / "beatd"


def test_the_wheel_holds_what_the_program_reads(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for shipped in (
        "alembic/env.py",
        "alembic/script.py.mako",
        "config/beatd.toml",
        "systemd/beatd.service",
        "systemd/beatd-worker@.service",
        "systemd/sysusers.d/beatd.conf",
    ):
        assert f"beatd/_shipped/{shipped}" in names
    migrations = [name for name in names if name.startswith("beatd/_shipped/alembic/versions/")]
    in_tree = list((ROOT / "alembic" / "versions").glob("*.py"))
    assert len(migrations) == len(in_tree) > 0
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "alembic/"))]


def test_the_sdist_can_be_tested(built: Path) -> None:
    (sdist,) = built.glob("beatd-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"tests/conftest.py", "alembic/env.py", "LICENSE", "README.md", "CHANGELOG.md"} <= names
    assert not [name for name in names if name.startswith((".venv", ".uv", ".git/"))]


def test_it_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    assert beatd(installed, tmp_path, "--version").strip().endswith("0.1.0")
    beatd(installed, tmp_path, "init")
    beatd(installed, tmp_path, "db", "check")


def test_one_run_through(installed: Path, tmp_path: Path) -> None:
    """An entry is added, scheduler and worker run it, the history has its output."""
    beatd(installed, tmp_path, "init")
    beatd(installed, tmp_path, "entry", "add", "hello", "--every", "1h", "--shell", "echo from the wheel")
    up = subprocess.Popen([installed, "up"], cwd=tmp_path, env=environment(tmp_path))
    try:
        beatd(installed, tmp_path, "entry", "trigger", "hello", "--wait")
    finally:
        up.terminate()
        assert up.wait(timeout=60) == 0
    (run,) = json.loads(beatd(installed, tmp_path, "runs", "list", "--json"))
    assert run["state"] == "succeeded"
    assert "from the wheel" in json.dumps(run)


def beatd(program: Path, folder: Path, *arguments: str) -> str:
    """Run the installed command as a user with an empty home; its standard output."""
    return run([program, *arguments], cwd=folder, env=environment(folder))


def environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "BEATD_DATABASE_URL": f"sqlite:///{folder}/beatd.sqlite",
        "LANG": "C.UTF-8",
    }


def run(command: list[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
