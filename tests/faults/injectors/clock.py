"""The wall clock of one process, as something that a test can move while the process runs.

A small library in C (clockshift.c, compiled here) is loaded into the process and shifts what it reads as
CLOCK_REALTIME; the monotonic clock and every wait stay real, as on a machine whose clock is set. (libfaketime
does not keep them apart, and breaks Python's waits.)
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_SOURCE = Path(__file__).parent / "clockshift.c"


class Clock:
    """One movable clock; any number of processes may be started with it."""

    def __init__(self, library: Path, file: Path) -> None:
        """The file is made, and says that the clock is right."""
        self.library = library
        self.file = file
        self.seconds = 0.0
        self.file.write_bytes(bytes(8))
        self.file.chmod(0o644)

    def environment(self) -> dict[str, str]:
        """Variables for the process. Its children inherit them, and the clock."""
        return {"LD_PRELOAD": str(self.library), "CLOCKSHIFT_FILE": str(self.file)}

    def set(self, seconds: float) -> None:
        """How far the clock is from the machine's, from now on, in running processes, too."""
        self.seconds = seconds
        with self.file.open("r+b", buffering=0) as file:  # in place: the file is mapped
            file.write(int(seconds * 1e9).to_bytes(8, "little", signed=True))


def build(folder: Path) -> Path:
    """The compiled library. Raises RuntimeError with what the compiler said."""
    library = folder / "clockshift.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", str(library), str(_SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    library.chmod(0o755)
    return library
