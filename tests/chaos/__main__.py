"""make chaos ARGS="--seeds 10000 --processes 2": simulated histories by the thousand, each judged.

A history that holds a violation is told with its seed; `--seeds 1 --first SEED --trace` plays it again, step
by step. `--planted` shows how soon bugs that are planted on purpose are found.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context

from tests.chaos.history import Told, play
from tests.chaos.planted import BUGS, planted

#: Seeds within which each planted bug must be found.
PATIENCE = 200


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many histories (default 500)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--processes", type=int, default=2, help="default 2")
    parser.add_argument("--trace", action="store_true", help="tell every step; in one process")
    parser.add_argument("--planted", action="store_true", help="plant each bug in turn, and look for it")
    options = parser.parse_args(arguments)
    _quiet()
    if options.planted:
        return _look_for_planted(options.first)
    seeds = range(options.first, options.first + options.seeds)
    if options.trace:
        return _trace(seeds)
    return _judge(seeds, options.processes)


def _quiet() -> None:
    logging.getLogger("beatd").setLevel(logging.CRITICAL + 1)
    gc.set_threshold(50_000, 50, 50)


def _trace(seeds: Iterable[int]) -> int:
    violated = False
    for seed in seeds:
        told = play(seed, trace=True)
        print(f"seed {seed}")
        print("\n".join(told.lines))
        _show(told)
        violated = violated or bool(told.violations)
    return 1 if violated else 0


def _judge(seeds: range, processes: int) -> int:
    began = time.monotonic()
    faults: Counter[str] = Counter()
    played = fires = runs = executions = explained = violated = 0
    fewest_fires, fewest_faults = sys.maxsize, sys.maxsize
    with _histories(seeds, processes) as histories:
        for told in histories:
            played += 1
            fires, runs, executions = fires + told.fires, runs + told.runs, executions + told.executions
            explained += told.duplicates_explained
            faults += told.faults
            fewest_fires = min(fewest_fires, told.fires)
            fewest_faults = min(fewest_faults, told.faults.total())
            if told.violations:
                violated += 1
                _show(told)
            if played % 500 == 0:
                print(f"{played} histories, {violated} with violations", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    print(f"histories           {played:>12,}   (seeds {seeds.start} to {seeds.stop - 1})")
    print(f"fires               {fires:>12,}   (at least {fewest_fires} in each)")
    print(f"runs                {runs:>12,}")
    print(
        f"executions          {executions:>12,}   ({explained:,} messages and executions doubled, explained)"
    )
    print(f"faults              {faults.total():>12,}   (at least {fewest_faults} in each)")
    for kind, count in sorted(faults.items()):
        print(f"  {kind:<31} {count:>12,}")
    print(f"with violations     {violated:>12,}")
    print(f"histories a minute  {played / seconds * 60:>12,.0f}   ({seconds:.0f} s, {processes} processes)")
    return 1 if violated else 0


@contextmanager
def _histories(seeds: range, processes: int) -> Iterator[Iterable[Told]]:
    if processes < 2:
        yield map(play, seeds)
        return
    with get_context("fork").Pool(processes, initializer=_quiet) as pool:
        yield pool.imap(play, seeds, chunksize=8)


def _show(told: Told) -> None:
    verdict = "no violation" if not told.violations else f"{len(told.violations)} violations"
    print(f"seed {told.seed}: {told.fires} fires, {told.faults.total()} faults, {verdict}")
    for violation in told.violations[:10]:
        print(f"  {violation}")
    if told.violations:
        print(f'  again: make chaos ARGS="--seeds 1 --first {told.seed} --trace"', flush=True)


def _look_for_planted(first: int) -> int:
    play(first)  # what is prepared once is not counted
    missed = 0
    for name in [None, *BUGS]:
        began = time.monotonic()
        found: Told | None = None
        tried = 0
        with planted(name) if name else nullcontext():
            for seed in range(first, first + (PATIENCE if name else 10)):
                tried += 1
                told = play(seed)
                if told.violations:
                    found = told
                    break
        seconds = time.monotonic() - began
        if name is None:
            if found is not None:
                _show(found)
                return 1
            print(f"no bug planted: {tried} histories without a violation")
        elif found is None:
            missed += 1
            print(f"{name:<34} NOT FOUND in {tried} histories, {seconds:.1f} s")
        else:
            print(f"{name:<34} found in history {tried}, after {seconds:.1f} s: {found.violations[0]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
