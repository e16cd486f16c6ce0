"""A user's crontab or a system's, told by its place and by what stands in it."""

from __future__ import annotations

from pathlib import Path

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
        ("crontab", b"@reboot www-data A=b /opt/poll\n0 5 * * * nobody x\n0 5 * * * root a\n", "system"),
        ("crontab", b"* * * * *\troot\tpoll x\n0 5 * * *\tanna\t/opt/poll\n", "system"),
        ("crontab", b"0 4 * * * python3 /srv/build.py\n", "user"),
        ("crontab", b"0 4 * * * backup --all\n", "user"),
        ("crontab", b"0 4 * * * poll\n", "user"),
        ("crontab", b"0 4 * * * run.sh /usr/bin/x\n", "user"),
        ("crontab", b"0 4 * * * ~/poll\n0 4 * * * git pull\n", "user"),
        ("crontab", b"0 4 * * * 'my poll' x\n", "user"),
        ("crontab", b"0 4 * * * A=b poll\n", "user"),
        ("crontab", b"0 4 * * * $HOME/poll x\n", "user"),
        ("crontab", b"0 4 * * * /opt/poll\n0 5 * * * builder ./build\n", "user"),
        ("crontab", b"60 4 * * * anna poll\n", "user"),
        ("crontab", b"0 0 6 * * 2 anna poll\n", "user"),
    ],
)
def test_the_form(path: str, data: bytes, form: Form) -> None:
    crontab = read(data, path)

    assert crontab.form == form
    assert "--user or --system" not in " ".join(crontab.notes)


AMBIGUOUS = [
    "puppet agent --test",
    "celery call x.y",
    "ansible all -m ping",
    "deploy prod",
    "backup run /home",
    "app sync",
    "gitlab backup create",
    "git pull",
    "postgres [ -x /opt/poll ] && /opt/poll",
    "builder /usr/local/bin/build all",
    "root",
    "root -v",
    "<%= @user %> /opt/poll",
    "{{ user }} /opt/poll",
]


@pytest.mark.parametrize("command", AMBIGUOUS)
def test_what_may_be_a_user_or_a_command_is_not_guessed(command: str) -> None:
    crontab = read(f"A=b\n*/30 * * * * {command}\n60 * * * * x\n".encode(), "tab", cron="cronie")

    assignment, line, bad = crontab.lines
    assert (assignment.kind, line.kind, bad.kind) == ("environment", "refused", "refused")
    assert "say --user or --system" in str(line.reason)
    assert line.reason is not None
    assert (line.reason.field, line.reason.where) == ("user", "tab:2:14")
    assert line.never_ran is None
    assert any("--user or --system" in note for note in crontab.notes)


@pytest.mark.parametrize("command", AMBIGUOUS)
@pytest.mark.parametrize("place", ["/var/spool/cron/crontabs/root", "crontab"])
def test_a_place_or_a_person_settles_it(command: str, place: str) -> None:
    data = f"*/30 * * * * {command}\n".encode()

    (line,) = read(data, place, form=None if place.startswith("/") else "user").lines
    assert (line.kind, line.command) == ("entry", command.partition("%")[0])


def test_one_doubtful_line_makes_all_of_a_file_doubtful() -> None:
    root, anna = read(b"0 4 * * * root poll\n0 5 * * * anna poll\n", "tab").lines
    assert (root.kind, anna.kind) == ("refused", "refused")


def test_lines_of_both_forms_in_a_file() -> None:
    system, user = read(b"0 4 * * * root poll\n0 5 * * * /opt/poll\n", "tab").lines

    for line in (system, user):
        assert line.kind == "refused"
        assert "some cannot have one: say --user or --system" in str(line.reason)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/etc/crontab", "system"),
        ("mnt/old/etc/crontab", "system"),
        ("/mnt/old/etc/cron.d/poll", "system"),
        ("cron.d/poll", "system"),
        ("/var/spool/cron/crontabs/anna", "user"),
        ("/mnt/old/var/spool/cron/crontabs/root", "user"),
        ("/mnt/old/var/spool/cron/tabs/root", "user"),
        ("old/spool/cron/root", "user"),
        ("/etc/crontabs/root", "user"),
    ],
)
@pytest.mark.parametrize("command", ["puppet agent --test", "/opt/poll", "root /opt/poll", "poll"])
def test_a_place_settles_the_form_wherever_it_lies(path: str, form: Form, command: str) -> None:
    assert read(f"0 4 * * * {command}\n".encode(), path).form == form


def test_a_place_counts_from_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "var/spool/cron"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)

    (line,) = read(b"0 4 * * * puppet agent\n", "crontabs/root").lines
    assert line.command == "puppet agent"
    (line,) = read(b"0 4 * * * puppet agent\n", "stdin").lines
    assert line.kind == "refused", "standard input lies nowhere"


def test_a_file_of_cron_d_without_users_never_ran() -> None:
    data = b"*/5 * * * * /usr/bin/backup\n0 5 * * * puppet agent\n"

    crontab = read(data, "mnt/etc/cron.d/nouser")

    backup, puppet = crontab.lines
    assert "and some lines have none" in crontab.notes[0]
    assert backup.kind == "refused"
    assert backup.reason is not None
    assert (backup.reason.field, backup.reason.where) == ("user", "mnt/etc/cron.d/nouser:1:13")
    assert backup.never_ran is not None
    assert "bad username" in backup.never_ran
    assert "it would have meant: '/usr/bin/backup', every 5 minutes" in backup.never_ran
    assert (puppet.user, puppet.command) == ("puppet", "agent")
    assert puppet.never_ran is not None

    (root,) = read(b"*/5 * * * * root\n", "mnt/etc/cron.d/nouser").lines
    assert root.kind == "refused"
    assert root.never_ran is not None
    assert "it would have meant: 'root', every 5 minutes" in root.never_ran


def test_to_cronie_such_a_line_has_an_unknown_user() -> None:
    (line,) = read(b"*/5 * * * * /usr/bin/backup\n", "/etc/cron.d/nouser", cron="cronie").lines

    assert line.kind == "refused"
    assert line.never_ran is not None
    assert "a user whom the machine does not know" in line.never_ran
    assert "'/usr/bin/backup', every 5 minutes" in line.never_ran


@pytest.mark.parametrize("user", ["root", "www-data", "nobody"])
def test_a_user_in_a_users_crontab_is_a_command(user: str) -> None:
    """As it is to cron, which runs what there is not."""
    crontab = read(f"0 5 * * * {user} /opt/poll\n".encode(), "/var/spool/cron/crontabs/anna")

    (line,) = crontab.lines
    assert (line.kind, line.command, line.user, line.never_ran) == ("entry", f"{user} /opt/poll", None, None)
    assert "(--system)" in line.warnings[0]
    assert "cron takes it for the name of a command" in crontab.notes[0]


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
