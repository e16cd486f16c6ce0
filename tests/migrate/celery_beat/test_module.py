"""What an app is called as a source: the same on every way to it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery

from beatd.broker.app import operators_app
from beatd.errors import InvalidInput
from beatd.migrate.celery_beat import app as apps
from tests.migrate.celery_beat.reading import NOW

Project = Callable[..., None]

MAKES_IT = "from celery import Celery\napp = Celery('tasks', set_as_current=False)\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Writes modules; what was imported of them is forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(**modules: str) -> None:
        for name, text in modules.items():
            file = Path(*name.split("__", 1)).with_suffix(".py")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        importlib.invalidate_caches()

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("path", ["m4_dp", "m4_dp:app", "m4_dp.app"])
def test_however_the_app_is_named(project: Project, path: str) -> None:
    project(m4_dp=MAKES_IT)
    app = apps.load(path)
    assert apps.source_of(app) == "m4_dp:app"
    assert apps.source_of(operators_app("m4_dp")) == "m4_dp:app"  # as `celery beat` hands it over


@pytest.mark.parametrize("path", ["m4_site", "m4_site.celery", "m4_site.celery:app", "m4_site:celery_app"])
def test_the_module_counts_that_makes_it(project: Project, path: str) -> None:
    """As of Django: the package imports the app, and so do modules of tasks."""
    project(
        m4_site____init__="from .celery import app as celery_app\n",
        m4_site__celery=MAKES_IT,
        m4_a="from m4_site.celery import app\n",
    )
    importlib.import_module("m4_a")
    assert apps.source_of(apps.load(path)) == "m4_site.celery:app"


def test_an_app_that_no_module_has() -> None:
    assert apps.source_of(Celery("shop", set_as_current=False)) == "shop"


def test_what_fails_in_the_code_of_an_app_is_told_with_its_line(project: Project) -> None:
    project(
        m4_bad="from celery.schedules import crontab\n\nNEVER = crontab(hour=25)\n",
        m4_wants="import nothing_of_this_name\n",
    )
    with pytest.raises(InvalidInput) as refused:
        apps.load("m4_bad:app")
    told = str(refused.value)
    assert told.startswith("--app: 'm4_bad:app': cannot be imported: ValueError: ")
    assert told.endswith("m4_bad.py:3)")
    with pytest.raises(InvalidInput, match=r"No module named 'nothing_of_this_name' \(.*m4_wants.py:1\)$"):
        apps.load("m4_wants:app")
    with pytest.raises(InvalidInput, match=r"^--app: 'm4_nowhere:app': .*; for example 'proj.celery:app'$"):
        apps.load("m4_nowhere:app")


def test_solar_needs_no_library_of_celerys(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ephem", None)  # whether it is installed, or not
    project(
        m4_sun=MAKES_IT + "from celery.schedules import solar\napp.conf.result_expires = None\n"
        "app.conf.beat_schedule = {'dusk': {'task': 't', 'schedule': solar('sunset', 52.5, 13.4)}}\n"
    )
    reading = apps.read(apps.load("m4_sun"), NOW)
    assert reading.found[0].options["solar"] == "sunset"
    assert sys.modules["ephem"] is None
