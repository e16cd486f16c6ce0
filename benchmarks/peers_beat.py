"""The peers' app: entries in Celery's configuration, or in Django's tables, which `python -m
benchmarks.peers_beat` fills. It imports nothing of beatd: the peers have an environment of their own.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab

COUNT = int(os.environ["PEERS_COUNT"])
QUEUE = "beatd"
DATABASE = os.environ.get("PEERS_DJANGO", "")

app = Celery("peers", broker=os.environ["PEERS_BROKER"])
app.conf.update(task_default_queue=QUEUE, timezone="UTC", enable_utc=True)

if DATABASE:
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
            INSTALLED_APPS=["django.contrib.contenttypes", "django_celery_beat"],
            USE_TZ=True,
            TIME_ZONE="UTC",
            DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        )
        django.setup()
else:
    app.conf.beat_schedule = {
        f"e{n}": {"task": "bench", "schedule": crontab(), "kwargs": {"entry": f"e{n}"}} for n in range(COUNT)
    }


def _fill() -> None:
    from django.core.management import call_command
    from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

    call_command("migrate", verbosity=0)
    rule = CrontabSchedule.objects.create(timezone="UTC")
    PeriodicTask.objects.bulk_create(
        PeriodicTask(name=f"e{n}", task="bench", crontab=rule, kwargs=f'{{"entry": "e{n}"}}')
        for n in range(COUNT)
    )
    PeriodicTasks.update_changed()


if __name__ == "__main__":
    _fill()
