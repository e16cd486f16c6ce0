"""Mutation testing of the pure layers: `make mutants`, or `python -m tests.mutants FOLDER PATH…`.

mutmut makes the mutants, in a copy of the tree in FOLDER. Each is judged by those tests of its layer that
call its function, quick ones first, in a process forked where pytest has collected them.
A PATH is a file or package of beatd/schedules or beatd/planning. What survives is printed as a difference.
"""

from __future__ import annotations

import ast
import difflib
import gc
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings

LAYERS = ("schedules", "planning")
AT_ONCE = 2

#: With a mutant a test may take this many seconds of processor time, and so many times what it took without.
SECONDS, TIMES = 2, 4
MEMORY = 4 << 30

_NAMES = Path("mutants.json")
_COPIED = ("beatd", "tests", "alembic", "config", "systemd", "pyproject.toml")


def main(folder: str, *paths: str) -> int:
    for layer in LAYERS:
        mine = [path for path in paths or ("beatd",) if f"beatd/{layer}".startswith(path) or layer in path]
        if mine:
            tree = Path(folder) / layer
            _make(tree, layer, mine)
            options = ["-p", "tests.mutants", "-p", "no:cacheprovider", "--tb=native", "-q"]
            environment = {**os.environ, "CI": "", "PYTHONPATH": str(tree)}
            command = [sys.executable, "-m", "pytest", *options, f"tests/{layer}"]
            subprocess.run(command, cwd=tree, env=environment, check=True)
    return 0


# The copy


def _make(tree: Path, layer: str, paths: list[str]) -> None:
    from mutmut.mutation.file_mutation import mutate_file_contents

    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in _COPIED:
        if Path(name).is_dir():
            shutil.copytree(name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(name, tree / name)
    with (tree / "pyproject.toml").open("a") as settings:
        settings.write('\n[tool.mutmut]\nsource_paths = ["beatd"]\n')
    names = []
    here = Path.cwd()
    os.chdir(tree)  # mutmut reads its settings there
    for source in sorted(Path("beatd", layer).rglob("*.py")):
        if any(str(source).startswith(path) for path in paths):
            mutated = mutate_file_contents(str(source), _undecorated(source.read_text()))
            source.write_text(mutated.code)
            names += [f"{_module(source)}.{name}" for name in mutated.mutant_names]
    _NAMES.write_text(json.dumps(names))
    os.chdir(here)


def _module(source: Path) -> str:
    return ".".join(source.with_suffix("").parts).removesuffix(".__init__")


def _undecorated(source: str) -> str:
    """mutmut passes over what is decorated: `@property def f` becomes `def f` and `f = property(f)`."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and len(node.decorator_list) == 1:
            decorator = ast.unparse(node.decorator_list[0])
            if decorator == "property" or decorator.startswith("lru_cache"):
                lines[node.decorator_list[0].lineno - 1] = ""
                assert node.end_lineno is not None
                lines[node.end_lineno - 1] += (
                    f"\n{' ' * node.col_offset}{node.name} = {decorator}({node.name})"
                )
    return "\n".join(lines) + "\n"


# The run: a pytest plugin


def pytest_configure() -> None:
    """The same examples each time; which one fails does not matter."""
    settings.register_profile(
        "mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")


def pytest_runtestloop(session: Any) -> bool:
    gc.freeze()
    calls, seconds = _in_child(lambda: _calls(session.items))
    items = sorted(session.items, key=lambda item: seconds[item.nodeid])
    outcomes: dict[str, str] = {}
    running: dict[int, str] = {}
    names = json.loads(_NAMES.read_text())
    for number, name in enumerate(names):
        function = name.partition("__mutmut_")[0]
        mine = [item for item in items if function in calls[item.nodeid]]
        outcomes[name] = "survived"
        if mine:
            running[_judge(name, mine, seconds)] = name
        while running and (len(running) == AT_ONCE or number == len(names) - 1):
            pid, status = os.wait()
            outcomes[running.pop(pid)] = _OUTCOMES.get(os.waitstatus_to_exitcode(status), "other")
        if number % 100 == 0:
            print(f"\r{number} of {len(names)}", Counter(outcomes.values()), file=sys.stderr, flush=True)
    Path("outcomes.json").write_text(json.dumps(outcomes))
    _report(outcomes)
    return True


_OUTCOMES = {0: "survived", 1: "killed", -signal.SIGPROF: "timeout"}


def _calls(items: list[Any]) -> tuple[dict[str, list[str]], dict[str, float]]:
    """For each test which functions it calls, and how long it takes; all must pass."""
    from mutmut.state import state

    os.environ["MUTANT_UNDER_TEST"] = "stats"
    calls, seconds = {}, {}
    for item in items:
        _forget()
        state()._stats.clear()
        started = time.process_time()
        if not _passes(item):
            raise SystemExit(f"{item.nodeid} fails without any mutant")
        seconds[item.nodeid] = time.process_time() - started
        calls[item.nodeid] = list(state()._stats)
    return calls, seconds


def _forget() -> None:
    """What collecting or an earlier test left in a cache would hide calls."""
    for module in [module for name, module in sys.modules.items() if name.startswith("beatd.")]:
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def _judge(name: str, items: list[Any], seconds: dict[str, float]) -> int:
    pid = os.fork()
    if not pid:
        os.environ["MUTANT_UNDER_TEST"] = name
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        _forget()
        try:
            for item in items:
                signal.setitimer(signal.ITIMER_PROF, SECONDS + TIMES * seconds[item.nodeid])
                if not _passes(item):
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def _passes(item: Any) -> bool:
    from _pytest.runner import runtestprotocol

    reports = runtestprotocol(item, log=False, nextitem=None)
    failed = [report for report in reports if not report.passed]
    if failed and os.environ["MUTANT_UNDER_TEST"] == "stats":
        print(failed[0].longreprtext, file=sys.__stderr__)
    return not failed


def _in_child(work: Any) -> Any:
    """Calls it in a process of its own, so that nothing of it is left in this one."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            with os.fdopen(writing, "w") as pipe:
                json.dump(work(), pipe)
        except SystemExit as problem:
            print(problem, file=sys.__stderr__)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    if not told:
        raise SystemExit("the tests must pass without any mutant")
    return json.loads(told)


# What came of it


def _report(outcomes: dict[str, str]) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, outcome in outcomes.items():
        for group in (name.rpartition(".")[0], "all"):
            counts[group][outcome] += 1
    lines = []
    for name, outcome in outcomes.items():
        if outcome not in ("killed", "timeout"):
            lines += ["", f"{name}: {outcome}", *_difference(name)]
    lines.append("")
    for group, number in sorted(counts.items(), key=lambda one: (one[0] == "all", one)):
        told = ", ".join(f"{number[word]} {word}" for word in ("killed", "timeout", "survived", "other"))
        found = 100 * (number["killed"] + number["timeout"]) / number.total()
        lines.append(f"{group}: {number.total()} mutants: {told}; {found:.1f} % found")
    Path("report.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), f"\n\nin {Path.cwd()}/report.txt", file=sys.stderr)


def _difference(name: str) -> list[str]:
    module, _, mutant = name.rpartition(".")
    bodies = _bodies(module)
    before, after = bodies[f"{mutant.partition('__mutmut_')[0]}__mutmut_orig"], bodies[mutant]
    lines = [*difflib.unified_diff(before, after, n=0, lineterm="")][2:]
    lines = [line for line in lines if not line.startswith("@@")]
    if len(lines) == 2:
        old, new = (f"{line[1:]} " for line in lines)
        here = next(n for n in range(len(new)) if old[: n + 1] != new[: n + 1])
        lines = [f"{line[0]} {line[max(1, here - 60) : here + 60].strip()}" for line in lines]
    return [f"    {line}" for line in lines]


@cache
def _bodies(module: str) -> dict[str, list[str]]:
    source = Path(*module.split("."))
    source = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
    functions = (
        node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.FunctionDef)
    )
    return {node.name: ast.unparse(node).splitlines()[1:] for node in functions}


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
