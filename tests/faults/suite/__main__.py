"""`python -m tests.faults.suite --seconds 600 --seed 7`: the table; status 1 if anything was violated.

Lateness is told and never judged: machines are shared. Ctrl-C ends the faults early; what happened until then
is settled and judged as ever.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
import tempfile
from pathlib import Path

from tests.faults.injectors import INJECTORS
from tests.faults.suite.drive import Options, drive
from tests.faults.suite.report import table
from tests.faults.suite.world import PAIRS

_SHOWN = 10


def main(arguments: list[str]) -> int:
    parsed = _parser().parse_args(arguments)
    seed = parsed.seed if parsed.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder = parsed.folder or Path(tempfile.mkdtemp(prefix=f"beatd-faults-{seed}-"))
    folder.mkdir(exist_ok=True, parents=True)
    folder.chmod(0o755)
    rate = parsed.rate or (1000 if parsed.publish_only else 150)
    command = ["python", "-m", "tests.faults.suite", "--pair", parsed.pair, "--seed", str(seed)]
    command += ["--seconds", str(parsed.seconds), "--rate", str(rate), "--faults", parsed.faults]
    command += ["--publish-only"] if parsed.publish_only else ["--worked", str(parsed.worked)]
    options = Options(
        pair=parsed.pair,
        seed=seed,
        seconds=parsed.seconds,
        rate=rate,
        worked=0 if parsed.publish_only else parsed.worked,
        faults=parsed.faults,
        nodes=parsed.nodes,
        workers=0 if parsed.publish_only else parsed.workers,
        folder=folder,
        log_level=parsed.log_level,
        command=shlex.join(command),
    )
    try:
        result = drive(options, INJECTORS, say=lambda text: print(text, flush=True))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(table(result))
    for told in result.first_findings(_SHOWN, folder):
        print(told)
    if parsed.json:
        parsed.json.write_text(json.dumps(result.as_json(), indent=2))
    if result.ok:
        print("nothing missed, nothing doubled")
        if parsed.folder is None and not parsed.keep:
            _remove(folder)
        return 0
    print(f"logs and ledgers: {folder}")
    return 1


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.suite", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long faults come (600)")
    parser.add_argument("--seed", type=int, help="which faults, when, on what; a chance one where not given")
    parser.add_argument("--pair", choices=PAIRS, default="servers", help="servers: PostgreSQL and RabbitMQ")
    parser.add_argument("--rate", type=int, help="fires a second (150; publishing only 1000)")
    parser.add_argument("--worked", type=int, default=40, help="how many of them real workers run (40)")
    parser.add_argument("--publish-only", action="store_true", help="no workers; the audit alone reads")
    parser.add_argument("--faults", default="all", help="all, none, or names between commas")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table and all findings as JSON")
    parser.add_argument("--folder", type=Path, help="for logs and ledgers; kept")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a good run, too")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning"))
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
