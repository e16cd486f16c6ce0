"""What systemd itself says of calendar events and time spans: many in one process."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.services.binaries import program

_BLOCK = re.compile(r"(?:^|\n\n)(?=  Original form| *Normalized form)")


def fires(
    expressions: Sequence[str], zone: str, after: datetime, number: int
) -> dict[str, list[datetime] | None]:
    """The next so many fire times of each expression; None for one that systemd refuses. Those in which it
    gets lost (an infinite loop, it says itself, in some nights of daylight saving) are left out.
    """
    some = list(dict.fromkeys(expressions))
    base = f"--base-time={after.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    done = _analyze(zone, "calendar", f"--iterations={number}", base, "--", *some)
    refused = set(re.findall(r"^Failed to parse calendar specification '(.*)':", done.stderr, re.MULTILINE))
    blocks = [_times(block, zone) for block in _BLOCK.split(done.stdout) if "Next elapse" in block]
    lost = set(re.findall(r"^Failed to determine next elapse for '(.*)':", done.stderr, re.MULTILINE))
    taken = [expression for expression in some if expression not in refused | lost]
    return dict.fromkeys(refused) | dict(zip(taken, blocks, strict=True))


def span(text: str) -> int | None:
    """Microseconds."""
    match = re.search(r"μs: ([0-9]+)", _analyze("UTC", "timespan", "--", text).stdout)
    return int(match[1]) if match else None


def _times(block: str, zone: str) -> list[datetime]:
    label = r"\(in UTC\)" if zone != "UTC" else r"(?:Next elapse|Iter\. #[0-9]+)"
    found = re.findall(rf"{label}: \w+ (\S+ \S+) UTC", block)
    return [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in found]


def _analyze(zone: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TZ": f":{zone}", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [program("systemd-analyze"), *arguments], capture_output=True, text=True, env=environment
    )
