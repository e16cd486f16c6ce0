"""`beatd kubernetes check`: a table and an entries file, and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd

JOBS = """apiVersion: batch/v1
kind: CronJob
metadata:
  name: report
spec:
  schedule: "* */3 * * *"
  timeZone: Europe/Berlin
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 300
  suspend: true
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: cleanup
  namespace: web
spec:
  schedule: "@daily"
"""


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    return InProcess(tmp_path)


def test_what_is_printed_below_the_table_can_be_applied(beatd: Beatd) -> None:
    told = beatd("kubernetes", "check", "jobs.yaml")
    table, entries = told.stdout.split("\n\n", 1)
    assert re.search(r"report +\* \*/3 \* \* \* +off\n", table)
    assert "once an hour is 0 */3" in table
    assert "nothing is imported" in told.stderr
    assert "1 without timeZone" in told.stderr
    beatd("db", "upgrade")
    assert beatd.json("export")["entry"] == {}
    beatd("apply", "--yes", "-", input=entries)
    applied = beatd.json("export")["entry"]
    assert applied["report"]["enabled"] is False
    assert applied["report"]["misfire_grace"] == "5m"
    assert applied["cleanup"]["shell"].startswith("kubectl --namespace web create job --from=cronjob/cleanup")


def test_the_entries_file_alone(beatd: Beatd) -> None:
    assert set(tomllib.loads(beatd("kubernetes", "check", "jobs.yaml", "--toml").stdout)["entry"]) == {
        "report",
        "cleanup",
    }
    told = beatd("kubernetes", "check", "-", "--toml", input=JOBS.replace("@daily", "@dialy"), status=1)
    assert set(tomllib.loads(told.stdout)["entry"]) == {"report"}
    assert "stdin:18:13: schedule: '@dialy'" in told.stderr


def test_json_has_both(beatd: Beatd) -> None:
    document = beatd.json("kubernetes", "check", "jobs.yaml", "--timezone", "Asia/Tokyo")
    assert document["totals"]["added"] == 2
    entries = tomllib.loads(document["toml"])["entry"]
    assert entries["report"]["timezone"] == "Europe/Berlin"
    assert entries["cleanup"]["timezone"] == "Asia/Tokyo"


def test_what_is_refused_makes_it_fail_and_the_rest_is_shown(beatd: Beatd) -> None:
    text = JOBS.replace('"@daily"', '"{{ .Values.schedule }}"')
    told = beatd("kubernetes", "check", "-", input=text, status=1)
    assert "1 entry, 1 refused" in told.stdout
    assert "stdin" in told.stdout
    assert "is a template, to be filled in first: helm template" in told.stdout
    assert "[entry.report]" in told.stdout
    document = beatd("kubernetes", "check", "-", "--json", input=text, status=1)
    assert '"refused": 1' in document.stdout


def test_files_that_cannot_be_read(beatd: Beatd) -> None:
    assert "missing.yaml" in beatd("kubernetes", "check", "missing.yaml", status=2).stderr


def test_yaml_that_is_none_is_refused_and_nothing_at_all_is_told(beatd: Beatd) -> None:
    for text, place in (("a: [\n", "stdin:2:1"), ("kind: CronJob\nspec: [\n", "stdin:3:1")):
        told = beatd("kubernetes", "check", "-", input=text, status=1)
        assert "0 entries, 1 refused" in told.stdout
        assert "is not YAML" in told.stdout
        rows = json.loads(beatd("kubernetes", "check", "-", "--json", input=text, status=1).stdout)["rows"]
        assert [row["where"] for row in rows] == [place]
    told = beatd("kubernetes", "check", "-", input="")
    assert "stdin: nothing in it (0 documents)" in told.stderr
