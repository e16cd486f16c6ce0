"""CronJobs in files of YAML become entries that would do the same."""

from __future__ import annotations

from typing import Any

import pytest

from beatd.migrate.found import Found, Reading
from beatd.migrate.kubernetes.reader import Source, read


def reading(text: str, timezone: str = "UTC") -> Reading:
    return read([Source("jobs.yaml", text)], timezone=timezone)


def manifest(spec: str = "", *, schedule: str = '"30 6 * * *"', name: str = "report", indent: int = 0) -> str:
    lines = f"""apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
spec:
  schedule: {schedule}
"""
    lines += "".join(f"  {line}\n" for line in spec.splitlines())
    return "".join(f"{' ' * indent}{line}\n" for line in lines.splitlines())


def only(text: str, timezone: str = "UTC") -> Found:
    found = reading(text, timezone)
    assert not found.refused, found.refused
    (one,) = found.found
    return one


PLAIN = {"cron": "30 6 * * *", "timezone": "UTC", "misfire": "latest"}

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("concurrencyPolicy: Allow", {"overlap": "allow"}),
    ("concurrencyPolicy: Forbid", {"overlap": "skip"}),
    ("concurrencyPolicy: Replace", {"overlap": "cancel"}),
    ("startingDeadlineSeconds: 300", {"misfire_grace": "5m"}),
    ("startingDeadlineSeconds: 0", {"misfire": "skip"}),
    ("suspend: true", {"enabled": False}),
    ("suspend: false", {}),
    ("suspend: null\ntimeZone:", {}),
    ("timeZone: Etc/UTC", {"timezone": "Etc/UTC"}),
    ("timeZone: Europe/Berlin", {"timezone": "Europe/Berlin", "dst_gap": "skip", "dst_fold": "both"}),
]


@pytest.mark.parametrize(("spec", "expected"), OPTIONS, ids=[spec for spec, _ in OPTIONS])
def test_what_a_spec_says_as_options(spec: str, expected: dict[str, Any]) -> None:
    options = dict(only(manifest(spec)).options)
    assert options.pop("shell")
    assert options == PLAIN | expected


def test_without_a_zone_it_is_the_controllers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reading(manifest(), "Asia/Tokyo")
    assert found.found[0].options["timezone"] == "Asia/Tokyo"
    assert found.notes == (
        "1 without timeZone: they follow the clock of the cluster's controller, taken for Asia/Tokyo "
        "(--timezone says otherwise)",
    )
    assert reading(manifest("timeZone: Etc/UTC")).notes == ()


def test_the_command_makes_a_job_of_the_cron_job() -> None:
    assert only(manifest()).options["shell"] == "kubectl create job --from=cronjob/report report-$(date +%s)"
    named = manifest().replace("  name: report", "  name: report\n  namespace: office")
    assert only(named).options["shell"].startswith("kubectl --namespace office create job")
    assert only(named).origin.place == "office/report"


def test_a_job_that_is_gone_before_its_end_was_seen_is_told() -> None:
    gone = ["successfulJobsHistoryLimit: 0", "jobTemplate: {spec: {ttlSecondsAfterFinished: 0}}"]
    for spec in gone:
        (warning,) = only(manifest(f"concurrencyPolicy: Forbid\n{spec}")).warnings
        assert "counts as failed" in warning
        assert only(manifest(spec)).warnings == ()
    assert only(manifest("concurrencyPolicy: Forbid\nsuccessfulJobsHistoryLimit: 1")).warnings == ()


def test_cron_jobs_are_found_wherever_they_are() -> None:
    """Several documents, lists, templates of OpenShift, what is of no interest."""
    text = f"""# comment
---
apiVersion: v1
kind: ConfigMap
data: {{kind: CronJob}}
---
{manifest(name="one")}---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
-
{manifest(name="two", indent=2)}---
apiVersion: template.openshift.io/v1
kind: Template
objects:
-
{manifest(name="three", indent=2)}"""
    found = reading(text)
    assert [one.names[0] for one in found.found] == ["one", "two", "three"]
    assert [one.where.split(":")[1] for one in found.found] == ["7", "20", "31"]
    assert found.refused == ()


def test_an_older_version_is_read_too_and_json_is_yaml() -> None:
    assert only(manifest().replace("batch/v1", "batch/v1beta1"))
    parts = '"kind": "CronJob", "metadata": {"name": "a"}, "spec": {"schedule": "@daily"}'
    assert only(f'{{"apiVersion": "batch/v1", {parts}}}')


def test_a_file_without_any_is_told() -> None:
    assert reading("apiVersion: v1\nkind: Service\n").notes == ("jobs.yaml: no CronJob in it",)
    for empty in ("", "\n---\n# nothing\n...\n", "\ufeff"):
        assert reading(empty).notes == ("jobs.yaml: nothing in it (0 documents)",)


REFUSED = [
    (
        manifest(schedule="*/5 * * * *"),
        "jobs.yaml:6:14: YAML: 'schedule: */5 * * * *': is not YAML: a value that",
    ),
    (manifest(schedule="{{ .Values.schedule }}"), "jobs.yaml:6:", "is a template"),
    (
        manifest(schedule='"{{ .Values.schedule }}"'),
        "jobs.yaml:6:13: schedule: '{{ .Values.schedule }}': is a te",
    ),
    (
        "{{- if .Values.on }}\n" + manifest() + "{{- end }}\n",
        "is a template, to be filled in first: helm template",
    ),
    (manifest(name="{{ name }}-x"), "is a template"),
    (manifest(schedule="${SCHEDULE}"), "jobs.yaml:6:13: schedule: '${SCHEDULE}': is a template"),
    (manifest("suspend: ${SUSPEND}"), "jobs.yaml:7:12: suspend: '${SUSPEND}': is a template"),
    (manifest(schedule='"0 0 * * 7"'), "jobs.yaml:6:13: schedule: '0 0 * * 7': day-of-week '7'"),
    (manifest(schedule="5"), "jobs.yaml:6:13: schedule: 5: is a text"),
    (manifest(schedule="[a]"), "is a text"),
    (manifest(schedule=""), "jobs.yaml:1:1: schedule: None: is wanted in a CronJob"),
    ("apiVersion: batch/v1\nkind: CronJob\nspec: {schedule: '@daily'}\n", "metadata.name: None: is wanted"),
    (
        manifest("concurrencyPolicy: Never"),
        "jobs.yaml:7:22: concurrencyPolicy: 'Never': is none of Allow, Forbid",
    ),
    (manifest("startingDeadlineSeconds: soon"), "startingDeadlineSeconds: 'soon': is a number of seconds"),
    (manifest("startingDeadlineSeconds: -1"), "is a number of seconds"),
    (manifest("timeZone: Local"), "timeZone: 'Local': is not an IANA time zone"),
    (manifest('suspend: "no"'), "suspend: 'no': is true or false"),
    (manifest("timeZone: Etc/UTC", schedule='"TZ=UTC @daily"'), "stands beside TZ= in schedule"),
    (manifest() + " bad: [", "jobs.yaml:7:2: YAML"),
    ("a: [\n", "jobs.yaml:2:1: YAML: ''"),
    ("kind: Service\nspec: {a: b\n", "jobs.yaml:3:1: YAML"),
    ("kind: CronJob\nspec: [\n", "jobs.yaml:3:1: YAML"),
    (manifest() + "x: &a [*a]\ny: !!python/object:os.system {}\n", None),
]


@pytest.mark.parametrize(("text", "problem"), [(case[0], case[-1]) for case in REFUSED])
def test_what_cannot_be_said_is_refused_with_its_place(text: str, problem: str | None) -> None:
    found = reading(text)
    if problem is None:  # tags and cycles elsewhere are of no interest, and nothing is made of them
        assert len(found.found) == 1
        return
    assert found.found == ()
    (refused,) = found.refused
    assert problem in str(refused)
    assert str(refused).startswith("jobs.yaml:")


def test_one_document_that_cannot_be_read_is_no_harm_to_the_others() -> None:
    found = reading(
        f"{manifest(name='one')}---\n{manifest(schedule='*/5 * * * *')}---\n{manifest(name='two')}"
    )
    assert [one.names[0] for one in found.found] == ["one", "two"]
    assert str(found.refused[0]).startswith("jobs.yaml:13:14: YAML")


def test_a_deadline_that_the_controller_misses_is_told() -> None:
    (warning,) = only(manifest("startingDeadlineSeconds: 5")).warnings
    assert "may never start it" in warning
