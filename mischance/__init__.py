"""mischance: rare events, made to order.

import mischance

scenario = mischance.load("driving/cut_in").set("vary.gap", "6 m").with_agent("idm")
data = scenario.sweep(100)  # a Dataset; mischance.open(path) opens any other
print(data.probability(), data.runs.head(), data.replay(17))

for record in mischance.play(scenario, mischance.draw(scenario, range(8))):
    ...  # the same runs in memory
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mischance.api.runs import Chunk, Draw, Reading, Record
    from mischance.api.tables import Table
    from mischance.errors import MischanceError, ScenarioError
    from mischance.play.player import play
    from mischance.play.sampling import draw, twin
    from mischance.play.twins import play_with_twins
    from mischance.scripting.dataset import Dataset, open  # noqa: A004  # `mischance.open` is how a dataset is opened
    from mischance.scripting.scenario import Scenario, load
    from mischance.sweep.jobs import replay, sweep

__version__ = "0.1.0"

# Names are looked up when first used: `import mischance` costs nothing, and the command line stays quick.
_PLACES = {
    "Chunk": "api.runs", "Dataset": "scripting.dataset", "Draw": "api.runs", "MischanceError": "errors",
    "Reading": "api.runs", "Record": "api.runs", "Scenario": "scripting.scenario", "ScenarioError": "errors",
    "Table": "api.tables", "draw": "play.sampling", "load": "scripting.scenario", "open": "scripting.dataset",
    "play_with_twins": "play.twins", "replay": "sweep.jobs", "twin": "play.sampling",
}  # fmt: skip
# Packages that are called like the function that they are there for; their `__init__` makes them callable.
_CALLABLE = ("play", "sweep")

__all__ = [
    "Chunk", "Dataset", "Draw", "MischanceError", "Reading", "Record", "Scenario", "ScenarioError", "Table", "draw",
    "load", "open", "play", "play_with_twins", "replay", "sweep", "twin",
]  # fmt: skip


class CallablePackage(ModuleType):
    """A package that is also its main function, which its `__init__` names in `MAIN`.

    Python binds an imported package to its name in `mischance`, and so would hide a function of that name.
    """

    MAIN: str

    @property
    def __wrapped__(self) -> Any:
        """The function, for `inspect.signature` and `help`."""
        module, _, function = self.MAIN.rpartition(".")
        return getattr(import_module(module), function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


def __getattr__(name: str) -> Any:
    if name in _CALLABLE:
        return import_module(f"mischance.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'mischance' has no attribute {name!r}")
    return getattr(import_module(f"mischance.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES, *_CALLABLE})
