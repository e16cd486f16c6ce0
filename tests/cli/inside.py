"""The command line inside the test's own process: the same calls, without half a second of imports each."""

from __future__ import annotations

import io
import os
import subprocess
from contextlib import chdir, redirect_stderr, redirect_stdout
from unittest.mock import patch

import tzlocal

from beatd import cli
from tests.cli.program import PROGRAM, Beatd


class InProcess(Beatd):
    def __call__(
        self, *arguments: str, status: int | None = 0, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.env, clear=True),
            patch("sys.argv", [str(PROGRAM), *arguments]),
            patch("sys.stdin", io.StringIO(input or "")),
            chdir(self.home),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            tzlocal.reload_localzone()  # which is kept from the command before, perhaps of another TZ
            code = _run()
        told = f"beatd {' '.join(arguments)}: exit status {code}\n{out.getvalue()}{err.getvalue()}"
        assert status is None or code == status, told
        assert "Traceback" not in err.getvalue(), told
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def _run() -> int:
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0
