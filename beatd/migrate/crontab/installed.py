"""Which cron a machine has: Debian's, or cronie, which Fedora, Arch, openSUSE and others use."""

from __future__ import annotations

from pathlib import Path

from beatd.migrate.crontab.crons import Cron


def installed_cron(root: Path = Path("/")) -> Cron:
    """The cron whose daemon is there; Debian's where there is none, or one of a third kind."""
    if (root / "usr/sbin/cron").exists():
        # Debian has cronie too, and its daemon there bears the name of the other.
        return "cronie" if _owns(root, "cronie", "/usr/sbin/cron") else "debian"
    daemons = [root / "usr/sbin/crond", root / "usr/bin/crond"]
    return "cronie" if any(map(_is_program, daemons)) else "debian"


def anacron_is_installed(root: Path = Path("/")) -> bool:
    return (root / "usr/sbin/anacron").exists()


def _owns(root: Path, package: str, path: str) -> bool:
    """A package that was removed leaves a list of its settings."""
    try:
        return path in (root / f"var/lib/dpkg/info/{package}.list").read_text().splitlines()
    except OSError:
        return False


def _is_program(daemon: Path) -> bool:
    """Busybox, whose crond is another one, is there by links to itself."""
    return daemon.exists() and "busybox" not in daemon.resolve().name
