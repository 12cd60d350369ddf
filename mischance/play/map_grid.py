"""The grid of a map over two parameters, for scenarios without a plan: levels over the range of what is drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.tables import AnyArray
from mischance.errors import MischanceError, suggest
from mischance.play.sampling import draw

if TYPE_CHECKING:
    from mischance.language.scenario import Scenario

LEVELS = 10
LOOKED_AT = 2000  # draws by which the range of a parameter is known
TAIL = 0.01  # share of them that lies beyond each end of the grid


def map_grid(scenario: Scenario, levels: Mapping[str, int]) -> str:
    """Return a plan `{grid: …}` over these parameters, as a scenario's `plan` takes it.

    The levels of a number are equally spaced between its 1 % and its 99 % quantile, rounded to a hundredth of their
    spacing; a word, or a number that takes no more values than there are levels, has all of its values.

    Args:
        scenario: which parameters it draws.
        levels: how many levels each parameter has.

    Raises:
        MischanceError: a name is not drawn, is computed from others, or has one value only.
        RunError: the scenario's constraints are hardly ever kept.
    """
    for name in levels:
        spec = scenario.vary.get(name)
        if spec is None:
            known = list(scenario.vary)
            hint = suggest(name, known) or (f"it draws: {', '.join(known)}" if known else "add `vary` to it")
            raise MischanceError(f"{scenario.name} draws no {name!r}: there is no map over it", hint)
        if spec.kind == "expr":
            raise MischanceError(
                f"{name!r} is computed from other values: no grid can set it", "name one of those that it depends on"
            )
    draws = draw(scenario, range(LOOKED_AT))
    axes = []
    for name, wanted in levels.items():
        found = np.array([each.values[name] for each in draws])
        values = _levels(found, wanted)
        if len(values) < 2:
            raise MischanceError(f"{name!r} is {values[0]} in every run: there is no map over it", "draw it in `vary`")
        axes.append(f"{name}: {json.dumps(values)}")  # JSON is YAML: words keep their quotes
    return "{grid: {" + ", ".join(axes) + "}}"


def _levels(found: AnyArray, wanted: int) -> list[str] | list[float]:
    distinct = np.unique(found)
    if found.dtype.kind in "US":
        return [str(word) for word in distinct]
    if len(distinct) <= wanted:
        return [float(value) for value in distinct]
    low, high = np.quantile(found, [TAIL, 1 - TAIL], method="inverted_cdf")
    spacing = (high - low) / (wanted - 1)
    digits = 2 - math.floor(math.log10(spacing))
    return [round(float(value), digits) for value in np.linspace(low, high, wanted)]
