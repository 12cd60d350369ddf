"""Plays failed runs of a suite again, otherwise than before: with a reference agent, or without a possible cause.

All of it happens in a process of its own, in which each run has a time limit: a reference agent, or what is left of a
world without one of its manoeuvres, may hang or crash like a system under test. What a run came to says whose doing it
was: played, refused (the agent itself says that it cannot drive here), failed (an error of the library or of a
simulator), or timeout.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mischance.dataset.draft import SCENARIO
from mischance.errors import MischanceError, Problem, RefusalError, RunError
from mischance.language import catalog
from mischance.language.loading import load_with_warnings
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.requirements import PREFIX
from mischance.play.sampling import draw, twin
from mischance.sweep.runners import forks
from mischance.sweep.workers import begin, explain

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mischance.api.runs import Draw

NOT_AVOIDED = "not avoided"
Outcome = Literal["passed", "failed", "undecided"]
MOST = 12  # causes that are tested of one run


@dataclass(frozen=True, slots=True)
class Setup:
    """A scenario as a suite plays it: its name, and what is changed in it; `agent` None = the scenario's own.

    `channel`: whether faults of the agent's channel act.
    """

    name: str
    agent: str | None = None
    overrides: Mapping[str, str] | None = None
    seed: int | None = None
    without: Sequence[str] = ()
    channel: bool = True

    def load(self) -> tuple[Scenario, Sequence[Problem]]:
        """Return the scenario, and what it names and nothing uses."""
        changes = dict(self.overrides or {})
        if self.agent is not None:
            file = catalog.reference_file(self.agent)
            name = self.agent.rpartition(":")[2]
            kind = f"{file.resolve()}:{name}" if file is not None and file.is_file() else self.agent
            changes["agent"] = self.agent if self.agent.lstrip().startswith("{") else json.dumps({"kind": kind})
        return load_with_warnings(self.name, changes, seed=self.seed, without=self.without)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run came to without something: `word` says how it passed, or why nobody knows."""

    run: int
    left_out: str
    kind: Literal["played", "refused", "failed", "timeout"]
    word: str
    passed: bool = False


def outcome_of(scenario: Scenario, broken: Sequence[str], row: Mapping[str, Any]) -> Outcome:
    """Say what a run comes to, from its row of the table `runs`.

    It fails where a requirement is broken or, where there are none, the event has happened. It passes only where the
    agent answered to its end: else it is undecided, for nobody knows what would have come.
    """
    if broken or (not scenario.require and row["event"]):
        return "failed"
    return "undecided" if row["undecided"] or str(row["verdict"]).startswith("agent ") else "passed"


def play_again(setup: Setup, tasks: Sequence[tuple[int, str]], limit: float) -> list[Answer]:
    """Play runs again, each without something; in a process of its own.

    Args:
        setup: the scenario.
        tasks: number of each run, and what is left out: '' nothing, the id of a fault, or the path of a manoeuvre in
            the world's settings.
        limit: time that one run may take [s].
    """
    context = forks()
    waiting, found = deque(tasks), list[Answer]()
    while waiting:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_play, args=(theirs, setup, tuple(waiting), dict(os.environ)), daemon=True)
        process.start()
        theirs.close()
        try:
            while waiting:
                if ours.poll(limit):
                    found.append(ours.recv())
                    waiting.popleft()
                else:
                    found.append(Answer(*waiting.popleft(), "timeout", f"took longer than {limit:g} s"))
                    break
        except EOFError:
            process.join()
            found.append(Answer(*waiting.popleft(), "failed", f"its process ended with exit code {process.exitcode}"))
        finally:
            process.kill()
            process.join()
            ours.close()
    return found


def _play(pipe: Connection, setup: Setup, tasks: Sequence[tuple[int, str]], environment: dict[str, str]) -> None:
    """Play the tasks one after the other and send an answer for each."""
    begin(environment)
    for run, left_out in tasks:
        try:
            scenario, _ = setup.load()
            own = draw(scenario, [run])[0]
            own = own if setup.channel else own.without_channel()
            pipe.send(_judged(scenario, run, left_out, _without(own, left_out) if left_out else own))
        except RefusalError as error:
            pipe.send(Answer(run, left_out, "refused", error.message))
        except MischanceError as error:
            pipe.send(Answer(run, left_out, "failed", error.message))
        except Exception as error:
            pipe.send(Answer(run, left_out, "failed", explain(error).split("\n")[0]))
    pipe.close()


def _judged(scenario: Scenario, run: int, left_out: str, own: Draw) -> Answer:
    *_, record = play(scenario, [own])
    table = record.tables["runs"]
    row = table.run(0)
    ways = table.schema["avoided_by"].names if "avoided_by" in table.schema else ()
    broken = [name for name in scenario.require if not row[f"{PREFIX}{name}"][0]]
    if outcome_of(scenario, broken, {name: values[0] for name, values in row.items()}) != "passed":
        return Answer(run, left_out, "played", NOT_AVOIDED)
    way = ways[int(row["avoided_by"][0])] if ways else "none"
    return Answer(run, left_out, "played", "avoided" if way == "none" else way, passed=True)


def _without(own: Draw, left_out: str) -> Draw:
    """Return a draw without one of its faults, or without one manoeuvre in the settings of its world.

    Raises:
        RunError: the world's settings are not valid without it.
    """
    if any(fault.fault_id == left_out for fault in own.faults):
        return twin(own, left_out)
    *path, last = (int(word) if word.isdigit() else word for word in re.findall(r"[^.\[\]]+", left_out))
    tree = _dropped(own.settings.model_dump(exclude_unset=True), [*path, last])
    try:
        return replace(own, settings=type(own.settings).model_validate(tree))
    except ValueError as error:
        raise RunError(f"the world cannot be played without {left_out}: {error}") from error


def _dropped(tree: Any, path: Sequence[str | int]) -> Any:
    """Return plain values without what stands at a path."""
    here, *rest = path
    items: dict[Any, Any] = dict(tree) if isinstance(tree, dict) else dict(enumerate(tree))
    if rest:
        items[here] = _dropped(items[here], rest)
    else:
        del items[here]
    return items if isinstance(tree, dict) else list(items.values())


# -- what may be a cause ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tested:
    """A possible cause of a failure, replayed without it: `cause` is None where nobody knows, `word` says what came."""

    what: str
    left_out: str
    cause: bool | None
    word: str

    def text(self) -> str:
        """Return it as a line for people."""
        kinds = {True: "a cause", False: "no cause", None: "not known"}
        return f"{self.what}: {kinds[self.cause]} ({self.word})"


def candidates(scenario: Scenario, run: int, begun: Sequence[tuple[float, str, str]]) -> list[tuple[str, str]]:
    """Return what may be a cause of what a run came to: (words, what to leave out), in order of time, at most MOST.

    Args:
        scenario: what was played.
        run: its number.
        begun: events of the run: time [s], kind and subject.
    """
    own = draw(scenario, [run])[0]
    found = [(fault.onset, f"{fault.kind} of {fault.target} from {fault.onset:.2f} s", fault.fault_id)
             for fault in own.faults]  # fmt: skip
    triggers = scenario.simulator.declared.triggers
    seen: dict[tuple[str, str], list[float]] = {}
    for t, kind, subject in begun:
        seen.setdefault((kind, subject), []).append(t)
    for one in triggers(own.settings) if triggers is not None and own.settings is not None else ():
        times = seen.get((one.event, one.subject))
        if times:
            t = times.pop(0)
            found.append((t, f"{one.event.replace('_', ' ')} of {one.subject} at {t:.2f} s", one.path))
    return [(words, left_out) for _, words, left_out in sorted(found)][:MOST]


def tested(
    setup: Setup, runs: Mapping[int, Sequence[tuple[str, str]]], limit: float
) -> tuple[dict[int, list[Tested]], float]:
    """Replay runs without each of their candidates; return run -> results, and the seconds that it took."""
    begun = time.monotonic()
    words = {(run, left_out): what for run, own in runs.items() for what, left_out in own}
    found: dict[int, list[Tested]] = {run: [] for run in runs}
    for answer in play_again(setup, list(words), limit):
        known = answer.kind == "played"
        said = ("passes without it" if answer.passed else "fails without it too") if known else answer.word
        what = words[answer.run, answer.left_out]
        found[answer.run].append(Tested(what, answer.left_out, answer.passed if known else None, said))
    return found, time.monotonic() - begun


def causes_of(
    setup: Setup, scenario: Scenario, dataset: Path, runs: Sequence[int], limit: float
) -> tuple[dict[int, list[Tested]], float]:
    """Replay runs of a dataset without each of their possible causes; return run -> results, and the seconds.

    Args:
        setup: how the scenario is loaded.
        scenario: the scenario.
        dataset: its folder.
        runs: which.
        limit: time that one replay may take [s].
    """
    import pyarrow.parquet as pq

    begun: dict[int, list[tuple[float, str, str]]] = {run: [] for run in runs}
    for file in sorted((dataset / "events").glob("*.parquet")) if runs else ():
        for row in pq.read_table(file, columns=["run", "t", "kind", "subject"]).to_pylist():
            if row["run"] in begun:
                begun[row["run"]].append((row["t"], row["kind"], row["subject"]))
    return tested(setup, {run: candidates(scenario, run, events) for run, events in begun.items()}, limit)


def causes_in(dataset: Path, run: int, limit: float) -> list[Tested]:
    """Replay one run of a dataset without each of its possible causes, by what the dataset itself holds.

    Raises:
        MischanceError: its scenario cannot be loaded.
    """
    setup = Setup(str(dataset / SCENARIO))
    found, _ = causes_of(setup, setup.load()[0], dataset, [run], limit)
    return found[run]
