"""Plays runs otherwise than they were, with a reference agent or without something, and says what each comes to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from mischance.errors import MischanceError, RefusalError, RunError
from mischance.language.scenario import Scenario
from mischance.play.player import Player
from mischance.play.requirements import PREFIX
from mischance.play.sampling import draw, twin
from mischance.sweep.messages import explain
from mischance.sweep.setups import Answer, Setup

if TYPE_CHECKING:
    from mischance.api.runs import Draw
    from mischance.api.tables import Table

NOT_AVOIDED = "not avoided"
Outcome = Literal["passed", "failed", "undecided"]


def outcome_of(scenario: Scenario, broken: Sequence[str], row: Mapping[str, Any]) -> Outcome:
    """Say what a run comes to, from its row of the table `runs`.

    It fails where a requirement is broken or, where the scenario states none itself, the event has happened. It passes
    only where the agent answered to its end: else it is undecided, for nobody knows what would have come.
    """
    if broken or (not scenario.promised and row["event"]):
        return "failed"
    return "undecided" if row["undecided"] or str(row["verdict"]).startswith("agent ") else "passed"


def judge(
    setup: Setup,
    tasks: Sequence[tuple[int, str]],
    clock: Callable[[float], AbstractContextManager[object]],
    limit: float,
) -> list[Answer]:
    """Play the tasks and return an answer to each; this is what a worker does.

    Args:
        setup: the scenario.
        tasks: number of each run, and what is left out.
        clock: seconds -> what ends this process where the block inside takes longer.
        limit: time that one run may take [s].
    """
    try:
        scenario, _ = setup.load()
        own = draw(scenario, [run for run, _ in tasks])
        player = Player(scenario)
    except Exception as error:
        return [_unanswered(*task, error) for task in tasks]
    ready: dict[tuple[int, str], Draw] = {}
    found: dict[tuple[int, str], Answer] = {}
    for task, given in zip(tasks, own, strict=True):
        try:
            one = given if setup.channel else given.without_channel()
            ready[task] = _without(one, task[1]) if task[1] else one
        except Exception as error:
            found[task] = _unanswered(*task, error)
    with player:
        try:
            if len(ready) > 1:
                with clock(limit + min(len(ready) - 1, 2) * limit):
                    found.update(_answers(scenario, player, ready))
        except Exception:
            found = {task: one for task, one in found.items() if task not in ready}  # whose doing it was shows below
        for task in ready.keys() - found.keys():
            try:
                with clock(limit):
                    found.update(_answers(scenario, player, {task: ready[task]}))
            except Exception as error:
                found[task] = _unanswered(*task, error)
    return [found[task] for task in tasks]


def _unanswered(run: int, left_out: str, error: Exception) -> Answer:
    if isinstance(error, MischanceError):
        return Answer(run, left_out, "refused" if isinstance(error, RefusalError) else "failed", error.message)
    return Answer(run, left_out, "failed", explain(error).split("\n")[0])


def _answers(
    scenario: Scenario, player: Player, ready: Mapping[tuple[int, str], Draw]
) -> dict[tuple[int, str], Answer]:
    """Play draws and say what each came to; what only cameras would see is not played."""
    found = {}
    rows = rows_of(player.outcomes(list(ready.values())))
    for task, row in zip(ready, rows, strict=True):
        broken = [name for name in scenario.require if not row[f"{PREFIX}{name}"]]
        stated = [name for name in broken if name not in scenario.by_default]
        if outcome_of(scenario, stated, row) != "passed":
            found[task] = Answer(*task, "played", NOT_AVOIDED)
        else:
            way = str(row.get("avoided_by", "none"))
            word = "avoided" if way == "none" else way
            found[task] = Answer(*task, "played", word, passed=not broken, broken=tuple(broken))
    return found


def rows_of(table: Table) -> list[dict[str, Any]]:
    """Return the rows of a table of runs as plain values, categories by their names."""
    columns = {
        name: [column.names[int(code)] for code in values] if column.names else values.tolist()
        for (name, column), values in zip(table.schema.items(), table.columns.values(), strict=True)
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


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
