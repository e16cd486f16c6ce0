"""A small file system of a test's own, which can be full."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

BLOCK = 64 * 1024


class Disk:
    """A tmpfs on a folder. Needs root (or CAP_SYS_ADMIN); the keeper unmounts it with its folder."""

    def __init__(self, folder: Path, megabytes: int = 4096) -> None:
        """Raises RuntimeError where nothing may be mounted. What is not used costs nothing."""
        self.folder = folder
        self._size = megabytes << 20
        folder.mkdir(exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={self._size},mode=0755", "tmpfs")

    @property
    def free(self) -> int:
        """Bytes."""
        return shutil.disk_usage(self.folder).free

    def fill(self, leave: int = 0) -> None:
        """From now on there is room for `leave` bytes more, for anybody: the disk becomes that small."""
        usage = os.statvfs(self.folder)
        used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
        self._mount("-o", f"remount,size={max(used + leave, BLOCK)}")

    def empty(self) -> None:
        """As large again as it was."""
        self._mount("-o", f"remount,size={self._size}")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True)

    def _mount(self, *options: str) -> None:
        done = subprocess.run(["mount", *options, str(self.folder)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"a test's own disk needs root: {done.stderr.strip()}")
