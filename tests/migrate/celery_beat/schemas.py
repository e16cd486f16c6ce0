"""The tables of other schedulers, with rows of theirs."""

#: As django-celery-beat's migrations make them, but for what databases spell differently.
DJANGO = """
CREATE TABLE django_celery_beat_crontabschedule (id integer PRIMARY KEY, minute varchar(240),
    hour varchar(96), day_of_week varchar(64), day_of_month varchar(124),
    month_of_year varchar(64), timezone varchar(63));
CREATE TABLE django_celery_beat_intervalschedule (id integer PRIMARY KEY, every integer, period varchar(24));
CREATE TABLE django_celery_beat_solarschedule (id integer PRIMARY KEY, event varchar(24),
    latitude numeric(9, 6), longitude numeric(9, 6));
CREATE TABLE django_celery_beat_clockedschedule (id integer PRIMARY KEY, clocked_time {instant});
CREATE TABLE django_celery_beat_periodictasks (ident smallint PRIMARY KEY, last_update {instant});
CREATE TABLE django_celery_beat_periodictask (id integer PRIMARY KEY, name varchar(200) UNIQUE,
    task varchar(200), args text, kwargs text, queue varchar(200), exchange varchar(200),
    routing_key varchar(200),
    expires {instant}, enabled {boolean}, last_run_at {instant}, total_run_count integer,
    date_changed {instant},
    description text,
    crontab_id integer, interval_id integer, solar_id integer, clocked_id integer, one_off {boolean},
    start_time {instant}, priority integer, headers text, expire_seconds integer);
INSERT INTO django_celery_beat_crontabschedule VALUES
    (1, '30', '2', 'mon', '1-7', '*', 'Europe/Berlin'), (2, '0', '6', 'fri', '13', '*', 'UTC'),
    (3, '0,x', '6', '*', '*', '*', 'UTC'), (4, '0', '6', '*', '*', '*', 'Middle/Earth');
INSERT INTO django_celery_beat_intervalschedule VALUES (1, 10, 'minutes'), (2, 500000, 'microseconds'),
    (3, 3000000, 'microseconds');
INSERT INTO django_celery_beat_solarschedule VALUES (1, 'sunset', 52.52, -13.405), (2, 'dawn_nautical', 1, 2);
INSERT INTO django_celery_beat_clockedschedule VALUES (1, '2026-07-01 09:00:00'), (2, '2026-05-01 09:00:00');
"""
#: What only SQLite takes, and somebody has written into it.
WRONG = """
INSERT INTO django_celery_beat_intervalschedule VALUES (4, 2147483647, 'days'), (5, NULL, 'hours'),
    (6, 1, 'weeks');
INSERT INTO django_celery_beat_solarschedule VALUES (3, 'sunset', 'north', 0), (4, 'sunset', 0, NULL);
INSERT INTO django_celery_beat_clockedschedule VALUES (3, NULL);
"""
TYPES = {
    "sqlite": {"instant": "datetime", "boolean": "bool"},
    "postgresql": {"instant": "timestamptz", "boolean": "boolean"},
    "mysql": {"instant": "datetime(6)", "boolean": "bool"},
}

SQLALCHEMY = """
CREATE TABLE celery_crontabschedule (id INTEGER PRIMARY KEY, minute, hour, day_of_week, day_of_month,
    month_of_year, timezone);
CREATE TABLE celery_intervalschedule (id INTEGER PRIMARY KEY, every INTEGER, period);
CREATE TABLE celery_periodictask (id INTEGER PRIMARY KEY, name, task, args, kwargs, queue, exchange,
    routing_key, headers, priority, expires DATETIME, expire_seconds INTEGER, one_off BOOLEAN,
    start_time DATETIME,
    enabled BOOLEAN, last_run_at DATETIME, total_run_count INTEGER, description, discriminator, schedule_id);
INSERT INTO celery_crontabschedule VALUES (1, '5', '4', '*', '*', '*', 'Asia/Tokyo');
INSERT INTO celery_intervalschedule VALUES (1, 2, 'hours');
INSERT INTO celery_periodictask (id, name, task, args, kwargs, one_off, enabled, discriminator, schedule_id)
VALUES (1, 'cron', 'a', '[]', '{}', 0, 1, 'crontabschedule', 1),
    (2, 'hours', 'b', '[7]', '{}', 0, 1, 'intervalschedule', 1);
"""
OLDER = """
CREATE TABLE celery_crontab_schedule (id INTEGER PRIMARY KEY, minute, hour, day_of_week, day_of_month,
    month_of_year, timezone);
CREATE TABLE celery_interval_schedule (id INTEGER PRIMARY KEY, every INTEGER, period);
CREATE TABLE celery_periodic_task (id INTEGER PRIMARY KEY, name, task, interval_id, crontab_id, solar_id,
    args, kwargs, queue, exchange, routing_key, priority, expires DATETIME, one_off BOOLEAN,
    start_time DATETIME,
    enabled BOOLEAN, last_run_at DATETIME, total_run_count INTEGER, description);
INSERT INTO celery_crontab_schedule VALUES (1, '5', '4', '*', '*', '*', 'Asia/Tokyo');
INSERT INTO celery_interval_schedule VALUES (1, 2, 'hours');
INSERT INTO celery_periodic_task (id, name, task, args, kwargs, one_off, enabled, crontab_id, interval_id)
VALUES     (1, 'cron', 'a', '[]', '{}', 0, 1, 1, NULL), (2, 'hours', 'b', '[7]', '{}', 0, 1, NULL, 1);
"""
