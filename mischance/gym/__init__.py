"""Scenarios as gymnasium environments: your own loop is the system under test.

    import gymnasium
    import mischance.gym

    env = gymnasium.make("mischance/driving-cut_in-v0")     # any scenario of the library, `/` written as `-`
    env = mischance.gym.make("my_scenario.yaml:critical")   # any file, with a variant

gymnasium 1.x looks for no plug-ins: whoever wants the names imports this module, or asks for
`gymnasium.make("mischance.gym:mischance/driving-cut_in-v0")`, which does.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance.errors import CatalogError
from mischance.language import catalog

if TYPE_CHECKING:
    from gymnasium import spaces

    from mischance.gym.environment import Observe, Reward, ScenarioEnv
    from mischance.language.scenario import Scenario

NAMESPACE = "mischance"
VERSION = 0


def make(
    scenario: str | Path | Scenario,
    *,
    variant: str = "",
    overrides: Mapping[str, str] | None = None,
    rate: float | None = None,
    observe: str | Observe = "actors",
    observation_space: spaces.Space[Any] | None = None,
    reads: Sequence[str] | None = None,
    others: int | None = None,
    actors: Sequence[str] = (),
    bounds: Mapping[str, tuple[float, float]] | None = None,
    reward: str | Reward = "-event",
    render_mode: str | None = None,
) -> ScenarioEnv:
    """Return one scenario as an environment; its own agent is left out.

    Args:
        scenario: a name of the library, a file, either with `:variant`, or a loaded scenario.
        variant: a variant of it, in another way of saying so.
        overrides: dotted path -> YAML text, as `--set` takes them.
        rate: turns per second of simulated time [Hz]; the rate of the scenario's agent, else 20, where None.
        observe: 'actors', a flat float32 array: the ego's numbers, then each other actor as the ego sees it
            (in a world without actors, the newest rows of its tables); 'dict', that under `truth` and for each
            sensor its newest images (`rgb` uint8, `depth` float32 …) and numbers (`values`); or a function of
            the observation that an agent `f(observation, t)` gets, together with `observation_space`.
        observation_space: what such a function returns.
        reads: the sensors that are read; only truth where None, all of them for 'dict'.
        others: a number of places for other actors, nearest first; where None, each actor has its own.
        actors: who is driven by an action, in that order; where empty, the ego, or the first.
        bounds: command -> (least, most) of the action space; SI.
        reward: an expression over measures, drawn values, `event` and `margin`, paid at the end of the run
            (`-event`: minus one where it happened; `margin`: the further from it, the better), or
            a function of observation and info, called at every turn.
        render_mode: 'rgb_array' for pictures.

    Raises:
        CatalogError: gymnasium is not installed.
        MischanceError: the scenario has a problem, its world takes no commands, or a setting does not fit it.
    """
    _check_there()
    from mischance.gym.environment import ScenarioEnv

    return ScenarioEnv(
        scenario, variant=variant, overrides=overrides, rate=rate, observe=observe,
        observation_space=observation_space, reads=reads, others=others, actors=actors, bounds=bounds,
        reward=reward, render_mode=render_mode,
    )  # fmt: skip


def register() -> list[str]:
    """Tell gymnasium the scenarios of the library and of other packages; return their names there.

    Nothing is read yet: whether a scenario's world takes commands is said when it is made. It may be called again.

    Raises:
        CatalogError: gymnasium is not installed.
    """
    _check_there()
    import gymnasium

    names = []
    for scenario in sorted(catalog.scenario_files()):
        name = environment_id(scenario)
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point="mischance.gym.environment:ScenarioEnv", kwargs={"scenario": scenario})
        names.append(name)
    return names


def environment_id(scenario: str) -> str:
    """Return what gymnasium calls a scenario: 'driving/cut_in' is 'mischance/driving-cut_in-v0'."""
    return f"{NAMESPACE}/{scenario.replace('/', '-')}-v{VERSION}"


def _there() -> bool:
    try:
        return importlib.util.find_spec("gymnasium") is not None
    except (ImportError, ValueError):  # None in sys.modules: somebody took it away
        return False


def _check_there() -> None:
    if not _there():
        raise CatalogError("environments need gymnasium, which is not installed", "pip install 'mischance[gym]'")


if _there():
    register()
