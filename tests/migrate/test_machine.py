"""What is taken from the machine: a zone that has a name, or an error; its users."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from beatd.errors import FieldError
from beatd.migrate.crontab.installed import installed_cron
from beatd.migrate.machine import has_user, local_zone


def test_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    for written in ("Asia/Tokyo", ":Asia/Tokyo", "/usr/share/zoneinfo/Asia/Tokyo"):
        monkeypatch.setenv("TZ", written)
        assert local_zone() == "Asia/Tokyo"
    monkeypatch.delenv("TZ")
    assert ZoneInfo(local_zone())


@pytest.mark.parametrize("name", ["Nowhere/Atall", "CET-1CEST,M3.5.0,M10.5.0/3"])
def test_a_zone_without_a_name_is_an_error_and_never_utc(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TZ", name)
    with pytest.raises(FieldError, match="--timezone"):
        local_zone()


def test_users() -> None:
    assert has_user(pwd.getpwuid(os.getuid()).pw_name)
    assert not has_user("no-such-user")
    assert not has_user("\udcff")


# what is there -> the cron that it is
MACHINES = [
    ([], "debian"),
    (["usr/sbin/cron"], "debian"),
    (["usr/sbin/crond"], "cronie"),
    (["usr/bin/crond"], "cronie"),
    # cronie on Debian, and what a removed package leaves
    (["usr/sbin/cron", "var/lib/dpkg/info/cronie.list:/usr/sbin/cron"], "cronie"),
    (["usr/sbin/cron", "var/lib/dpkg/info/cronie.list:/etc/cron.d/0hourly"], "debian"),
    # Alpine
    (["usr/sbin/crond -> bin/busybox"], "debian"),
]


@pytest.mark.parametrize(("files", "cron"), MACHINES)
def test_which_cron_is_installed(tmp_path: Path, files: list[str], cron: str) -> None:
    for file in files:
        path, arrow, target = file.partition(" -> ")
        path, _, text = path.partition(":")
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        if arrow:
            (tmp_path / "bin").mkdir()
            (tmp_path / target).touch()
            (tmp_path / path).symlink_to(tmp_path / target)
        else:
            (tmp_path / path).write_text(f"{text}\n")
    assert installed_cron(tmp_path) == cron
