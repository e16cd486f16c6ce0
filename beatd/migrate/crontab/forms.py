"""Whether a crontab is a user's or a system's: whether its lines have a user before the command."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from beatd.migrate.crontab.crons import Form

#: Users that services and distributions make. What is also the name of a program is not here.
_USERS = re.compile(
    r"root|www-data|nobody|daemon|bin|sys|sync|games|man|lp|uucp|proxy|list|irc|gnats|postgres|mysql|redis|"
    r"rabbitmq|apache|httpd|tomcat|jenkins|gitlab-runner|ubuntu|debian|centos|admin|ec2-user|deploy|"
    r"vagrant|pi|munin|nagios|zabbix|prometheus|grafana|elasticsearch|logstash|kibana|mongodb|postfix|"
    r"dovecot|amavis|clamav|debian-spamd|asterisk|freeswitch|mailman|smmsp|messagebus|syslog|"
    r"systemd-network|_apt|operator|web|app|apps|celery|django|nodejs|wordpress|drupal|nextcloud|owncloud|"
    r"gitea|gogs|gitlab|svn|ftp|vmail|memcache|varnish|haproxy|puppet|chef|ansible|oracle|hadoop|hdfs|"
    r"spark|airflow|kafka|zookeeper|cassandra|minecraft|steam|openvpn|unbound|bind|named|ntp|sshd|polkitd|"
    r"wwwrun|nginx|backup|git|mail|news"
)

#: Programs that stand first in crontabs, so that none of them is taken for a user.
_PROGRAMS = re.compile(
    r"\[|\[\[|\.|:|at|awk|aws|bash|bundle|cargo|cat|cd|certbot|chmod|chown|chronic|chrt|cp|cronic|curl|csh|"
    r"dash|date|dd|df|docker|docker-compose|du|echo|env|eval|exec|export|expect|false|find|flock|for|"
    r"forever|fping|gcloud|git|go|grep|gunzip|gzip|if|ifconfig|ionice|ip|java|journalctl|kill|killall|ksh|"
    r"kubectl|lftp|ln|logger|logrotate|ls|make|mail|mailx|mkdir|mongodump|msmtp|mv|mysql|mysqldump|nc|nice|"
    r"node|nohup|npm|npx|ntpdate|openssl|perl|pg_dump|php|php5|php7|php8|ping|pip|pkill|pm2|poetry|printf|"
    r"ps|pwd|pyenv|python|python2|python3|R|rake|rclone|reboot|restic|rm|rsync|ruby|run-one|run-parts|rvm|"
    r"screen|sed|service|set|setlock|setsid|sh|shutdown|sleep|snap|sort|source|ssh|ssh-agent|stat|su|sudo|"
    r"svn|sync|systemctl|tail|tar|tee|test|time|timeout|tmux|touch|trap|true|truncate|ts|ulimit|umask|uv|"
    r"vmstat|wget|while|xargs|yarn|yum|zsh|apt|apt-get|borg|borgmatic|apachectl|nginx|freshclam|drush|wp|"
    r"composer|artisan|supervisorctl|sqlite3|psql|redis-cli|vacuumdb|zfs|zpool|command|fswatch|ffmpeg|"
    r"convert|unison|duplicity|lsof|netstat|hwclock|ntpd|uptime|who|w|msg|wall"
)

_USER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@+-]*\$?")
_NO_USER = re.compile(r"[/:*?<>{}%()\"'`|&;=\[\]!#~,$\x00-\x20\x7f]|^[-.0-9]|\.(sh|py|pl|php|rb|js)$")

_COMMAND = re.compile(
    r"(/\S*)?/(s?bin|libexec|scripts?|cron)/|\S*\.(sh|py|pl|php|rb|js)$|[\[(~.\"'$]|[A-Za-z_]\w*="
)

_SYSTEM_PLACES = re.compile(r"(^|/)(etc/crontab|(etc/)?cron\.d/[^/]+)$")
_USER_PLACES = re.compile(r"(^|/)(var/)?spool/(cron/|crontabs/)")
#: Where the cron itself looks; elsewhere a file may be on its way to any place.
_CRONS_OWN = re.compile(r"/etc/crontab|/etc/cron\.d/[^/]+|/var/spool/cron/(crontabs/|tabs/)?[^/]+")


#: How much a line says.
_LIKELY, _SURE = 1, 2


@dataclass(frozen=True, slots=True)
class Told:
    """The form, and what a person should know of how it was told."""

    form: Form
    note: str | None = None


def tell(path: str, commands: Iterable[str]) -> Told:
    """By what stands where the command or the user does in the lines that are entries, and by the path where
    that says nothing. The cron's own folders settle it.
    """
    by_path = _by_path(path)
    evidence = [_evidence(command) for command in commands]
    system = sum(found for found in evidence if found > 0)
    user = -sum(found for found in evidence if found < 0)
    if by_path and _CRONS_OWN.fullmatch(path):
        return Told(by_path, _against(path, by_path, user, system))
    if system == user:
        return Told(by_path or "user")
    form: Form = "system" if system > user else "user"
    is_sure = form == by_path or max(evidence) == _SURE or form == "user"
    lines = "have a user before the command" if form == "system" else "have no user before the command"
    if by_path not in (None, form):
        return Told(
            form,
            f"{path} looks like the place of a {by_path} crontab, but most of its lines {lines}: it is read "
            f"as a {form} crontab (--system and --user say which)",
        )
    note = (
        f"{path} is read as a system crontab, for its lines seem to {lines} (--user says that they have not)"
    )
    return Told(form, None if is_sure else note)


def spool_user(path: str) -> str | None:
    """Whose crontab it is, of one in the cron's own folder."""
    return PurePath(path).name if _USER_PLACES.search(path) else None


def can_be_user(name: str) -> bool:
    """Whether a user may be called so. Whether there is one is for the machine to say."""
    return not _NO_USER.search(name)


def looks_like_user_column(command: str) -> bool:
    """Whether a user's command begins with what is surely meant as a user."""
    first, _, rest = command.partition(" ")
    return first in ("root", "www-data", "nobody") and bool(rest.strip())


def _by_path(path: str) -> Form | None:
    if _SYSTEM_PLACES.search(path):
        return "system"
    return "user" if _USER_PLACES.search(path) else None


def _against(path: str, by_path: Form, user: int, system: int) -> str | None:
    if by_path == "system" and user > system:
        return f"cron reads {path} with a user in each line, but most lines have none: they never ran"
    if by_path == "user" and system > user:
        return f"cron reads {path} without users, but most lines have one: it takes them for the command"
    return None


def _evidence(command: str) -> int:
    """For a system's form above 0, for a user's below."""
    words = command.split(None, 2)
    if not words:
        return 0
    first, second = words[0], words[1] if len(words) > 1 else ""
    if re.fullmatch(r"<%.*|\{\{.*|@[A-Z_]+@", first):
        return _SURE if re.search(r"(%>|\}\}|@)\s+(/|\S+/)", command) else 0
    if not _USER_NAME.fullmatch(first) or not can_be_user(first):
        return -_SURE
    is_program = _PROGRAMS.fullmatch(first) is not None
    if not second or second.startswith("-"):
        return -_SURE if is_program else -_LIKELY
    if _USERS.fullmatch(first):
        return _SURE if not is_program or _begins_a_command(second) else -_LIKELY
    if is_program:
        return -_SURE
    return _LIKELY if _begins_a_command(second) else -_LIKELY


def _begins_a_command(word: str) -> bool:
    """Rather than an argument."""
    return _PROGRAMS.fullmatch(word) is not None or _COMMAND.match(word) is not None
