"""`python -m tests.services.ensure`: have every server that the tests run, or say what to install.

Installs what is missing where it may (root on Debian); elsewhere prints one line and exits 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.services.binaries import NEEDED, find, missing


def main() -> int:
    lacking = missing()
    if lacking and may_install():
        print(f"installing {', '.join(lacking)}", flush=True)
        install(sorted(set(lacking.values())))
        lacking = missing()
    if lacking:
        packages = " ".join(sorted(set(lacking.values())))
        print(
            f"the tests need {', '.join(lacking)}: sudo apt-get install --no-install-recommends {packages}",
            file=sys.stderr,
        )
        return 1
    print("servers found: " + ", ".join(f"{name} ({find(program)})" for program, (name, _) in NEEDED.items()))
    return 0


def may_install() -> bool:
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def install(packages: list[str]) -> None:
    # RUNLEVEL=1: the packages' own instances are not wanted, so their start scripts shall not start them.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", *arguments], env=env, stdout=subprocess.DEVNULL).returncode:
            print(f"apt-get {' '.join(arguments)} failed", file=sys.stderr)
            return


if __name__ == "__main__":
    sys.exit(main())
