"""A user's crontab or a system's, told by its place and by what stands in it."""

from __future__ import annotations

import pytest

from beatd.migrate.crontab.lines import Form, Line, read

USERS_LINES = (
    b"SHELL=/bin/sh\n17 * * * * /opt/poll --all\n25 6 * * * cd /srv && ./rotate\n@daily curl -s localhost\n"
)
SYSTEM_LINES = b"SHELL=/bin/sh\n17 * * * * root /opt/poll --all\n25 6 * * * www-data cd /srv && ./rotate\n"


@pytest.mark.parametrize(
    ("path", "data", "form"),
    [
        ("crontab.txt", USERS_LINES, "user"),
        ("crontab.txt", SYSTEM_LINES, "system"),
        ("/etc/crontab", SYSTEM_LINES, "system"),
        ("/etc/cron.d/php", SYSTEM_LINES, "system"),
        ("/var/spool/cron/crontabs/anna", USERS_LINES, "user"),
        ("/var/spool/cron/anna", USERS_LINES, "user"),
        ("crontab", b"", "user"),
        ("/etc/cron.d/.placeholder", b"# nothing\n", "system"),
        ("/var/spool/cron/crontabs/anna", b"", "user"),
        ("crontab", b"* * * * * root /opt/poll\n", "system"),
        ("crontab", b"* * * * * postgres [ -x /opt/poll ] && /opt/poll\n", "system"),
        ("crontab", b"@reboot root A=b /opt/poll\n", "system"),
        ("crontab", b"0 4 * * * builder /usr/local/bin/build all\n", "system"),
        ("crontab", b"0 4 * * * builder python3 build.py\n", "system"),
        ("crontab", b"0 4 * * * python3 /srv/build.py\n", "user"),
        ("crontab", b"0 4 * * * backup --all\n", "user"),
        ("crontab", b"0 4 * * * git pull\n", "user"),
        ("crontab", b"0 4 * * * git /usr/bin/git gc\n", "system"),
        ("crontab", b"0 4 * * * pigz /data/dump\n", "user"),
        ("crontab", b"0 4 * * * poll\n", "user"),
        ("crontab", b"0 4 * * * run.sh /usr/bin/x\n", "user"),
        ("crontab", b"0 4 * * * ~/poll\n0 4 * * * [ -x /opt/poll ] && /opt/poll\n", "user"),
        ("crontab", b"0 4 * * * 'my poll' x\n", "user"),
        ("crontab", b"0 4 * * * root Poll it\n0 5 * * * Poll it\n", "system"),
        ("crontab", b"0 4 * * * /opt/poll\n0 5 * * * builder ./build\n", "user"),
        ("cron.erb", b"0 4 * * * <%= @user %> /opt/poll\n", "system"),
        ("cron.j2", b"0 4 * * * {{ user }} /opt/poll\n", "system"),
    ],
)
def test_the_form(path: str, data: bytes, form: Form) -> None:
    assert read(data, path).form == form


@pytest.mark.parametrize(
    ("path", "data", "form", "note"),
    [
        ("srv/etc/crontab", USERS_LINES, "user", "looks like the place of a system crontab"),
        ("srv/etc/cron.d/poll", USERS_LINES, "user", "looks like the place of a system crontab"),
        (
            "srv/var/spool/cron/crontabs/anna",
            SYSTEM_LINES,
            "system",
            "looks like the place of a user crontab",
        ),
        ("tab", b"0 4 * * * builder /usr/local/bin/build\n", "system", "(--user says that they have not)"),
        ("/etc/crontab", USERS_LINES, "system", "most lines have none: they never ran"),
        ("/var/spool/cron/crontabs/anna", SYSTEM_LINES, "user", "it takes them for the command"),
    ],
)
def test_a_place_that_suggests_the_other_form(path: str, data: bytes, form: Form, note: str) -> None:
    crontab = read(data, path)

    assert crontab.form == form
    assert note in crontab.notes[0]


def test_a_person_says_which() -> None:
    assert read(USERS_LINES, "/etc/crontab", form="user").form == "user"
    assert read(SYSTEM_LINES, "crontab", form="user").form == "user"
    assert read(USERS_LINES, "crontab", form="system").form == "system"


def system_line(source: str, **options: str) -> Line:
    return read((source + "\n").encode(), "/etc/cron.d/x", **options).lines[-1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "user", "command"),
    [
        ("0 5 * * * root /opt/poll  x", "root", "/opt/poll  x"),
        ("@daily\twww-data\t\t/opt/poll", "www-data", "/opt/poll"),
        ("0 5 * * * anna.b@ad+x   x", "anna.b@ad+x", "x"),
        ("0 5 * * * root root", "root", "root"),
        ("0 5 * * * root *", "root", "*"),
    ],
)
def test_the_user_stands_before_the_command(source: str, user: str, command: str) -> None:
    for cron in ("debian", "cronie"):
        line = system_line(source, cron=cron)
        assert (line.kind, line.user, line.command) == ("entry", user, command)


def test_debians_cron_leaves_blanks_before_the_command_which_only_shells_skip() -> None:
    lines = read(b"* * * * * root   a\nSHELL=/usr/bin/python3\n* * * * * root   b\n", "/etc/cron.d/x").lines
    assert [line.command for line in lines if line.kind == "entry"] == ["a", "  b"]


@pytest.mark.parametrize(
    ("source", "field", "says"),
    [
        ("0 5 * * * /opt/poll", "user", "cannot be a user's name"),
        ("0 5 * * * root:wheel x", "user", "no group or class"),
        ("0 5 * * * <%= @user %> x", "user", "a template"),
        ("0 5 * * * {{user}} x", "user", "a template"),
        ("0 5 * * *", "user", "no user and no command"),
        ("0 5 * * * root", "command", "there is no command"),
        ("0 5 * * * root ", "command", "there is no command"),
        ("10 4 * * * * root x", "user", "six time fields"),
        ("0 30 6 * * ? root x", "hour", "six time fields"),
        ("0 0 6 * * 1 root x", "user", "six time fields"),
    ],
)
def test_refused_in_a_system_crontab(source: str, field: str, says: str) -> None:
    line = system_line(source)

    assert line.kind == "refused"
    assert line.reason is not None
    assert line.reason.field == field
    assert says in str(line.reason)


@pytest.mark.parametrize("user", ["root", "www-data", "nobody"])
def test_a_users_command_that_looks_like_a_user(user: str) -> None:
    (line,) = read(f"0 5 * * * {user} /opt/poll\n".encode(), "tab", form="user").lines

    assert line.kind == "refused"
    assert "--system" in str(line.reason)
