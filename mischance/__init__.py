"""mischance: rare events, made to order.

import mischance

scenario = mischance.load("driving/cut_in:crash")
for record in mischance.play(scenario, mischance.draw(scenario, range(8))):
    ...
result = mischance.sweep(scenario, 100, "outputs/crash", workers=2)
runs = mischance.open("outputs/crash").table("runs")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mischance.drawing import draw, twin
    from mischance.episode import play
    from mischance.errors import MischanceError, ScenarioError
    from mischance.jobs import replay, sweep
    from mischance.loading import load
    from mischance.opening import Dataset, open  # noqa: A004  # `mischance.open` is how a dataset is opened
    from mischance.scenario import Scenario
    from mischance.truth import Chunk, Draw, Reading, Record, Table
    from mischance.twins import play_with_twins

__version__ = "0.1.0"

# Names are looked up when first used: `import mischance` costs nothing, and the command line stays quick.
_PLACES = {
    "Chunk": "truth", "Dataset": "opening", "Draw": "truth", "MischanceError": "errors", "Reading": "truth",
    "Record": "truth", "Scenario": "scenario", "ScenarioError": "errors", "Table": "truth", "draw": "drawing",
    "load": "loading", "open": "opening", "play": "episode", "play_with_twins": "twins", "replay": "jobs",
    "sweep": "jobs", "twin": "drawing",
}  # fmt: skip

__all__ = [
    "Chunk", "Dataset", "Draw", "MischanceError", "Reading", "Record", "Scenario", "ScenarioError", "Table", "draw",
    "load", "open", "play", "play_with_twins", "replay", "sweep", "twin",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'mischance' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mischance.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
