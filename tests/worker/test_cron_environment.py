"""Commands with cron's environment, by rules that `make test-cron` compares with the real one."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from beatd.worker import cron_environment
from beatd.worker.shell import Command, CommandError

ME = pwd.getpwuid(os.geteuid())


@pytest.fixture(autouse=True)
def pam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files of variables for sessions, empty ones, instead of the machine's."""
    files = tmp_path / "environment", tmp_path / "locale"
    monkeypatch.setattr(cron_environment, "PAM_FILES", tuple(map(str, files)))
    return files[0]


def run(command: str, **options: object) -> str:
    job = Command(command, environment="cron", **options)  # type: ignore[arg-type]
    job.run(30)
    return job.output


def variables(**options: object) -> dict[str, str]:
    """What a command finds in its environment, but for what its shell adds."""
    lines = run("env", **options).splitlines()
    found = dict(line.split("=", 1) for line in lines)
    found.pop("PWD")
    return found


def test_nothing_of_the_worker_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("PATH", f"/opt/none:{os.environ['PATH']}")
    assert variables() == {
        "SHELL": "/bin/sh",
        "PATH": "/usr/bin:/bin",
        "HOME": ME.pw_dir,
        "LOGNAME": ME.pw_name,
    }


def test_what_the_crontab_set_goes_before_cron_and_that_before_pam(pam: Path) -> None:
    pam.write_text("PATH=/pam\nHOME=/pam\nSHELL=/pam\nLOGNAME=pam\nLANG=first\nZONE=pam\nBOTH=pam\n")
    (pam.parent / "locale").write_text('LANG="en_GB.UTF-8"\n')
    given = {"BOTH": "crontab", "PATH": "/bin", "HOME": "/usr", "LOGNAME": "alice", "USER": "alice"}
    assert variables(env=given) == {
        "SHELL": "/bin/sh",
        "PATH": "/bin",
        "HOME": "/usr",
        "LOGNAME": ME.pw_name,
        "USER": "alice",
        "LANG": "en_GB.UTF-8",
        "ZONE": "pam",
        "BOTH": "crontab",
    }


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("A=b", {"A": "b"}),
        ("  A=b  ", {"A": "b  "}),
        ("A= b", {"A": " b"}),
        ("A = b", {}),
        ("export A=b", {"A": "b"}),
        ("A=", {"A": ""}),
        ('A="b c"', {"A": "b c"}),
        ("A='b c'", {"A": "b c"}),
        ("A=\"b'", {"A": "b"}),
        ('A="b', {"A": "b"}),
        ('A=b"c"d', {"A": 'b"c"d'}),
        ('A=""b""', {"A": '"b"'}),
        ('A="b" c', {"A": 'b" c'}),
        ("A=b # c", {"A": "b "}),
        ('A="b#c"', {"A": "b"}),
        ("# A=b", {}),
        ("A=b\\\n  c", {"A": "b  c"}),
        ("A=b\\ \nc", {"A": "bc"}),
        ("A=b\\\n# c\nd", {"A": "bd"}),
        ("A=b # c\\\nD=e", {"A": "b ", "D": "e"}),
        ("A=b\\", {}),
        (r"A=\$b\n", {"A": r"\$b\n"}),
        ("A=$HOME", {"A": "$HOME"}),
        ("A=b=c", {"A": "b=c"}),
        ("A-B=c", {}),
        ("=b", {}),
        ("A", {}),
        ("A=b\nA=c", {"A": "c"}),
        ("A=\udcff", {"A": "\udcff"}),
    ],
)
def test_what_pam_reads(line: str, found: dict[str, str]) -> None:
    assert dict(cron_environment.assignments(line)) == found


def test_the_shell_is_the_crontab_s() -> None:
    assert run("echo $0 $BASH", env={"SHELL": "/bin/bash"}, shell="/bin/sh") == "/bin/bash /bin/bash\n"


def test_a_shell_without_a_slash_is_looked_for_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to("/bin/sh")
    assert run("echo $0", env={"SHELL": "mine", "HOME": str(tmp_path)}) == "mine\n"
    with pytest.raises(CommandError) as raised:
        run("echo $0", env={"SHELL": "bash"})
    assert str(raised.value).endswith("/bash: No such file or directory")


@pytest.mark.parametrize(
    ("home", "folder"),
    [
        ("/usr", "/usr"),
        ("/no/such", "{cron}"),
        ("", "{cron}"),
        ("inside", "{cron}/inside"),
        ("/bin/sh", "{cron}"),
    ],
)
def test_the_folder_is_home_or_where_cron_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, folder: str
) -> None:
    monkeypatch.setattr(cron_environment, "CRON_FOLDER", str(tmp_path))
    (tmp_path / "inside").mkdir()
    assert run("pwd", env={"HOME": home}) == folder.format(cron=tmp_path) + "\n"


def test_where_cron_stands_is_not_there_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cron_environment, "CRON_FOLDER", "/no/such")
    assert run("pwd; echo $HOME", env={"HOME": "/nor/this"}) == "/\n/nor/this\n"


def test_a_folder_of_its_own_goes_before_home() -> None:
    assert run("pwd; echo $HOME", cwd="/usr", env={"HOME": "/"}) == "/usr\n/\n"


def test_standard_input_is_a_pipe() -> None:
    assert run("test -p /dev/stdin && cat && echo end") == "end\n"
    assert run("test -p /dev/stdin && cat", stdin="a\nb") == "a\nb"
    assert run("exec <&-; sleep 0.1; echo went on") == "went on\n"


BYTES = "caf\udce9 \udcff\udc80 ü"


@pytest.mark.parametrize("environment", ["worker", "cron"])
def test_bytes_that_are_not_utf_8(environment: str, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 no Path of bytes
    script = f"""printf %s '{BYTES}' > argument; printf %s "$NAME" > variable
    cat > input; cat /proc/$$/cmdline > line"""
    job = Command(
        script,
        cwd=os.fsdecode(folder),
        env={"NAME": BYTES},
        stdin=BYTES,
        environment=environment,  # type: ignore[arg-type]
    )
    assert job.run(30) == 0, job.output
    told = b"caf\xe9 \xff\x80 \xc3\xbc"
    for name in ("argument", "variable", "input"):
        assert (Path(os.fsdecode(folder)) / name).read_bytes() == told
    line = (Path(os.fsdecode(folder)) / "line").read_bytes()
    assert line == b"/bin/sh\0-c\0" + script.encode("utf-8", "surrogateescape") + b"\0"


def test_a_folder_with_such_bytes_that_is_not_there() -> None:
    with pytest.raises(CommandError, match=r"^could not be started: /caf\\xe9: No such file or directory$"):
        Command("true", cwd="/caf\udce9").run()


def test_bytes_do_not_depend_on_the_locale() -> None:
    script = (
        "from beatd.worker.shell import Command\n"
        r"job = Command('echo \udcff \xfc | od -An -tx1'); job.run(); print(job.output)"
    )
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    output = subprocess.check_output([sys.executable, "-c", script], env=environment, text=True)
    assert output.split() == ["ff", "20", "c3", "bc", "0a"]


@pytest.mark.parametrize("environment", ["worker", "cron"])
def test_no_signal_is_ignored_in_a_command(environment: str) -> None:
    """As in a process of the pool, which ignores SIGINT."""
    script = (
        "import signal, sys; from beatd.worker.shell import Command\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        f"job = Command('grep SigIgn /proc/self/status', environment={environment!r}); job.run()\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN; print(job.output)"
    )
    told = subprocess.check_output([sys.executable, "-c", script], text=True)
    # 32 and 33 are the C library's own, and nobody else can say what becomes of them
    assert int(told.split()[1], 16) & ~(0b11 << 31) == 0
