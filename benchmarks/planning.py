"""What planning a batch costs beside recording it: the passes of a dispatcher, measured from inside.

    python -m benchmarks.planning                       # 10,000 due entries, 300 distinct rules, PostgreSQL
    python -m benchmarks.planning --pair sqlite-embedded --entries 1000 10000

`plan` is the pure part: fires, policies, the next fire. `record` writes runs, suppressions and timers. `read`
is the rest of a pass: what is due, versions, facts, locks, the commit. Exit status 1: a plan cost more than
its recording.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from beatd.dispatch import planner
from beatd.dispatch.dispatcher import Dispatcher
from beatd.store import entries as stored
from beatd.store import schema
from beatd.store.engine import Database
from benchmarks.entries import entries, rules
from benchmarks.places import PAIRS, Corner, private_place


@dataclass
class Meter:
    """Seconds by the wall and of this process, and how often."""

    wall: float = 0.0
    processor: float = 0.0
    calls: int = 0

    def measured(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            wall, processor = time.perf_counter(), time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                self.wall += time.perf_counter() - wall
                self.processor += time.process_time() - processor
                self.calls += 1

        return timed


def main() -> int:
    options = _options()
    logging.getLogger("beatd").setLevel("ERROR")  # that the clock is turned is no news here
    table = Table(title="One batch of due entries, seconds")
    for heading in ("entries", "rules", "round", "plan", "record", "read", "plan / record", "of processor"):
        table.add_column(heading, justify="right")
    worst = 0.0
    with private_place(options.pair) as place:
        for count in options.entries:
            for round_ in range(1, options.repeat + 1):
                plan, record, whole, distinct = _measure(place.corner(), count, options.rules)
                ratio = plan.wall / record.wall
                worst = max(worst, ratio)
                rest = whole.wall - plan.wall - record.wall
                own = plan.processor / record.processor
                figures = (
                    f"{plan.wall:.3f}",
                    f"{record.wall:.3f}",
                    f"{rest:.3f}",
                    f"{ratio:.2f}",
                    f"{own:.2f}",
                )
                table.add_row(f"{count:,}", str(distinct), str(round_), *figures)
    Console(highlight=False, soft_wrap=True).print(table)
    return int(worst >= 1)


def _measure(corner: Corner, count: int, distinct: int) -> tuple[Meter, Meter, Meter, int]:
    """Of the passes that find all of the entries due."""
    database = Database.open(corner.database_url)
    schema.upgrade(database)
    real, ahead = database.now, timedelta()
    database.now = lambda connection: real(connection) + ahead  # type: ignore[method-assign]
    with database.read() as connection:
        now, installation = database.now(connection), schema.installation_id(connection)
    due = now.replace(second=0, microsecond=0) + timedelta(minutes=5)
    pool = rules(due)[:distinct]
    rows = entries(count, due)
    for number, row in enumerate(rows):
        row["cron"], row["timezone"] = pool[number % len(pool)].cron, pool[number % len(pool)].timezone
    for start in range(0, count, 1000):
        with database.write() as transaction:
            stored.add(transaction, rows[start : start + 1000])
    dispatcher = Dispatcher(database, str(uuid4()), installation)
    while dispatcher.run_once().changed:
        pass

    ahead = due + timedelta(seconds=1) - now
    plan, record, whole = Meter(), Meter(), Meter()
    pure, planner.plan = planner.plan, plan.measured(planner.plan)
    dispatcher._record = record.measured(dispatcher._record)  # type: ignore[method-assign]
    run_once = whole.measured(dispatcher.run_once)
    made = 0
    try:
        while (done := run_once()).due or done.wait == 0.0:
            made += done.recorded
    finally:
        planner.plan = pure
        database.close()
    if made != count:
        raise SystemExit(f"{made:,} runs were recorded, {count:,} expected")
    return plan, record, whole, len(pool)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=[10_000], metavar="N", help="due at once")
    parser.add_argument("--rules", type=int, default=300, metavar="N", help="distinct ones among them")
    parser.add_argument("--pair", choices=PAIRS, default="postgresql-rabbitmq", help="private servers")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
