"""How a scenario is played again: what is changed in it, what is asked, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mischance.errors import Problem
from mischance.language import catalog
from mischance.language.loading import load_with_warnings
from mischance.language.scenario import Scenario


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
    """What a run came to without something: `word` says how it passed, or why nobody knows.

    `broken`: the default requirements that it broke; where it broke nothing else, `word` says how it passed but for
    them.
    """

    run: int
    left_out: str
    kind: Literal["played", "refused", "failed", "timeout"]
    word: str
    passed: bool = False
    broken: tuple[str, ...] = ()
