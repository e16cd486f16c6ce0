"""What came out at the other end: messages at the broker, executions in the workers' own log, claims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from beatd.checker.evidence import Evidence, Execution, Message, Run
from beatd.checker.runs import CLOCKS, started_again
from beatd.checker.verdict import Finding, Kind
from beatd.planning.definition import Definition
from beatd.planning.policies import RERUNS

#: How long after its claim a run-once task may begin.
_BEGINS_WITHIN = timedelta(seconds=10)

#: How long a run that was executed may go on as if nobody had begun it.
_TOLD_WITHIN = timedelta(minutes=5)

#: Runs in these states have come to the broker.
_SENT = frozenset({"published", "started", "retrying", "succeeded", "failed", "lost"})


class _OfRun(Protocol):
    @property
    def run_id(self) -> str: ...
    @property
    def entry(self) -> str: ...
    @property
    def fire_time(self) -> datetime: ...


A = TypeVar("A", bound=_OfRun)


class Arrivals:
    """Held against the runs of the same window. `explained` counts what came more than once for a reason."""

    def __init__(
        self, evidence: Evidence, names: Mapping[int, str], definitions: Mapping[tuple[int, int], Definition]
    ) -> None:
        self._evidence = evidence
        self._names = names
        self._definitions = definitions
        self._claims = {claim.run_id: claim for claim in evidence.claims}
        self._runs = {run.id: run for run in evidence.runs}
        self.explained = 0

    def findings(self) -> Iterator[Finding]:
        messages, executions = self._evidence.messages, self._evidence.executions
        sent = _by_run(messages or ())
        done = _by_run(executions or ())
        yield from self._orphans("a message of a run", sent)
        yield from self._orphans("an execution of a run", done)
        yield from self._claims_without_runs()
        for run in self._evidence.runs:
            if messages is not None:
                for kind, text in self._messages(run, sent.get(run.id, ())):
                    yield self._finding(run, kind, text)
            if executions is not None:
                for kind, text in self._executions(run, done.get(run.id, ()), len(sent.get(run.id, ()))):
                    yield self._finding(run, kind, text)

    def _finding(self, run: Run, kind: Kind, text: str) -> Finding:
        name = self._names.get(run.entry_id, f"entry {run.entry_id}")
        return Finding(kind, name, run.fire_time, run.id, text)

    def _orphans(self, what: str, arrived: Mapping[str, Sequence[_OfRun]]) -> Iterator[Finding]:
        since, until = self._evidence.since, self._evidence.until
        for run_id, some in arrived.items():
            first = some[0]
            if run_id not in self._runs and since < first.fire_time <= until:
                text = f"{what} that the database does not hold"
                yield Finding("orphan", first.entry, first.fire_time, run_id, text)

    def _claims_without_runs(self) -> Iterator[Finding]:
        for run_id in self._claims.keys() - self._runs.keys():
            yield Finding("orphan", "?", None, run_id, "a claim of a run that the database does not hold")

    def _messages(self, run: Run, messages: Sequence[Message]) -> Iterator[tuple[Kind, str]]:
        count = len(messages)
        if run.state in ("held", "shadow") and count:
            yield "unexpected", f"a message of a run that is {run.state}"
        elif count > max(run.attempt, 1):
            yield "doubled", f"{count} messages, and the run was published {run.attempt} times at the most"
        else:
            self.explained += max(count - 1, 0)
        if not count and run.published_at is not None and run.state in _SENT:
            yield "missed", f"is {run.state}, and no message of it came to the broker"
        early = [message.at for message in messages if message.at is not None]
        if early and min(early) < run.due_time - CLOCKS:
            yield "unexpected", "a message before it was due"

    def _executions(
        self, run: Run, executions: Sequence[Execution], messages: int
    ) -> Iterator[tuple[Kind, str]]:
        count = len(executions)
        if not count:
            if run.state == "succeeded":
                yield "state", "succeeded, and no worker's own log has it"
            return
        if run.state in ("held", "shadow"):
            yield "unexpected", f"was executed, and is {run.state}"
        if count > 1:
            yield from self._several(run, count, messages)
        yield from self._after_expiry(run, executions)
        first = min(execution.started_at for execution in executions)
        if run.run_once:
            if self._claims and run.id not in self._claims and not self._may_start_again(run):
                yield "state", "was executed without a claim"
            if run.state == "expired":
                yield "state", "was executed, and is expired"
        if run.state == "pending" and self._evidence.now - first > _TOLD_WITHIN and not started_again(run):
            yield "state", "was executed long ago, and is pending"

    def _several(self, run: Run, count: int, messages: int) -> Iterator[tuple[Kind, str]]:
        allowed = 1 + run.retries + (RERUNS if self._may_start_again(run) else 0)
        if run.run_once:
            if count > allowed:
                yield "doubled", f"a run-once run was executed {count} times"
            else:
                self.explained += count - 1
        elif run.attempt > 1 or messages > 1 or count <= allowed:
            self.explained += count - 1
        else:
            yield "doubled", f"was executed {count} times, and nothing tells why"

    def _after_expiry(self, run: Run, executions: Iterable[Execution]) -> Iterator[tuple[Kind, str]]:
        if run.expires_at is None or run.retries or started_again(run):
            return
        claim = self._claims.get(run.id)
        tolerated = timedelta(0) if run.run_once else CLOCKS
        if claim is not None and claim.claimed_at < run.expires_at:
            # it was begun in time
            tolerated = _BEGINS_WITHIN
        late = [one.started_at for one in executions if one.started_at >= run.expires_at + tolerated]
        if late:
            by = (min(late) - run.expires_at).total_seconds()
            yield "expired-yet-executed", f"was executed {by:.3f} s after its expiry"

    def _may_start_again(self, run: Run) -> bool:
        definition = self._definitions.get((run.entry_id, run.version))
        return definition is not None and definition.policies.on_lost == "rerun"


def _by_run(arrived: Iterable[A]) -> dict[str, list[A]]:
    found: dict[str, list[A]] = defaultdict(list)
    for one in arrived:
        found[one.run_id].append(one)
    return found
