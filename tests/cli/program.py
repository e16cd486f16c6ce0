"""The real command line as a user with an empty home calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("beatd")


@dataclass
class Beatd:
    """`beatd(...)` runs a command to its end. `env` may be changed between calls."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = {"PATH": os.defpath, "HOME": str(self.home), "LANG": "C.UTF-8", **self.env}

    def __call__(
        self, *arguments: str, status: int | None = 0, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`status`: the exit status that it must have; None: whichever."""
        done = subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.home,
            env=self.env,
            input=input,
            stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        told = f"beatd {' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        assert status is None or done.returncode == status, told
        assert "Traceback" not in done.stderr, told
        return done

    def json(self, *arguments: str, status: int | None = 0) -> Any:
        """The document that the command prints with --json."""
        return json.loads(self(*arguments, "--json", status=status).stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts one in a session of its own, both its outputs in one pipe."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.home,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def state_dir(self) -> Path:
        return self.home / ".local/state/beatd"

    @property
    def database(self) -> Path:
        return self.state_dir / "beatd.db"


def end(process: subprocess.Popen[str]) -> None:
    """Whatever it is doing."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
