"""The gymnasium environment: reset draws a run, step is one turn of the agent, the end brings the outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from mischance.api.observations import observation
from mischance.api.runs import Draw, Reading
from mischance.api.tables import AnyArray, entity_column
from mischance.errors import RunError, suggest
from mischance.gym.loop import Loop, Turn
from mischance.gym.picture import picture
from mischance.gym.spaces import Actors, Controls, Instrument, Rows, actor_table
from mischance.language.distributions import parsing as distributions
from mischance.language.expressions.parsing import Expression, compile_expression
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.sampling import draw, twin

Reward = Callable[[Mapping[str, Any], Mapping[str, Any]], float]
Observe = Callable[[Mapping[str, Any]], Any]
OPTIONS = ("run", "values")
OWN = ("undecided", "event", "margin", "verdict", "reason", "weight")


class ScenarioEnv(gymnasium.Env[Any, Any]):
    """One scenario as an environment; whoever calls `step` is its agent. `mischance.gym.make` says what may be set.

    An observation is what the agent of a run would see at the same turn, and nothing of a run depends on where
    its agent sits. `observation_names` and `action_names` say what the entries of flat observations and actions are.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(
        self,
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
    ) -> None:
        self.scenario = _scenario(scenario, variant, overrides)
        if render_mode not in (None, "rgb_array"):
            raise RunError(f"there is no render mode {render_mode!r}", "known: rgb_array")
        self.render_mode = render_mode
        own = self.scenario.agent
        self.rate = float(rate or (own.declared.rate_with(own.settings) if own is not None else 20.0))
        if not (math.isfinite(self.rate) and self.rate > 0.0):
            raise RunError(f"rate must be above 0 Hz (got {rate!r})")
        self.metadata = {**self.metadata, "render_fps": max(round(self.rate), 1)}
        if not callable(observe) and observe not in ("actors", "dict"):
            raise RunError(f"cannot observe {observe!r}", "known: actors, dict, or a function of the observation")
        if callable(observe) == (observation_space is None):
            raise RunError("`observe` as a function and `observation_space` go together", "give both or neither")
        self._observe = observe
        self._reads = tuple(reads) if reads is not None else ("truth",)
        if reads is None and observe == "dict":
            self._reads = ("truth", *self.scenario.sensors)
        self._reward: Expression | Reward = reward if callable(reward) else compile_expression(reward)
        self._kept: Loop | None = None  # for runs of the scenario as it is
        self._loop: Loop | None = None  # of the run that is going on
        self._draw: Draw | None = None
        self._next = 0
        self._root: int | None = None
        if others is not None and others < 0:
            raise RunError(f"others must be 0 or more (got {others})")
        self._others = others
        first = self._first = self._first_turn()
        tables = first.readings["truth"].tables
        place = actor_table(tables)
        known = tables[place].schema[entity_column(tables[place].schema)].names if place else ()
        self._controls = Controls.of(self.scenario, known, tuple(actors), bounds or {})
        mine = self._controls.actors[0] if self._controls.actors else (known[0] if known else "")
        self._place, self._own = place, mine
        self._begin_views(first)
        self.action_space = spaces.Box(self._controls.low, self._controls.high, dtype=np.float32)
        self.action_names = tuple(self._controls.names())
        self.observation_names = tuple(self._state.names())
        self.observation_space = observation_space or _space(self._look(first))

    # -- gymnasium ------------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin a run: a seed begins with run 0 of that seed, no seed goes on with the next run.

        Args:
            seed: takes the place of the scenario's seed, as in `mischance sweep --seed`.
            options: `run` is the number of the run; `values` are drawn values to hold fixed: name -> value.

        Raises:
            MischanceError: there is no such value, or the run cannot be drawn or started.
        """
        super().reset(seed=seed)
        self._end()
        options = dict(options or {})
        odd = sorted(set(options) - set(OPTIONS))
        if odd:
            raise RunError(
                f"reset knows no option {odd[0]!r}", suggest(odd[0], OPTIONS) or f"known: {', '.join(OPTIONS)}"
            )
        if seed is not None:
            self._root, self._next = int(seed), 0
        run = int(options.get("run", self._next))
        if run < 0:
            raise RunError(f"runs are counted from 0 (got {run})")
        scenario = _with_values(self.scenario, options.get("values") or {})
        self._draw = draw(scenario, [run], self._root)[0]
        self._next = run + 1
        if scenario is self.scenario:
            self._loop = self._own_loop()
        else:
            self._loop = Loop(scenario, self._wanted(), self.rate)
        turn = self._loop.begin(self._draw)
        self._begin_views(turn)
        self._turn = turn
        values = dict(self._draw.values)
        return self._look(turn), {**self._info(turn), "seed": self._draw.seed, "values": values}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do that until the next turn.

        `terminated`: the world ended by itself or the event happened; else, at the scenario's duration, `truncated`.
        In the last info stand `event`, `margin`, `verdict`, `reason`, `weight`, `measures` (drawn values too)
        and `events`.

        Raises:
            RunError: the action is not as the action space says, or no run is going on.
        """
        if self._loop is None or self._draw is None:
            raise RunError("no run is going on", "call reset() first")
        rows = self._controls.answer(action, self._draw.run, self._turn.t)
        try:
            turn = self._turn = self._loop.answer(rows)
        except BaseException:
            self._end()
            raise
        info = self._info(turn)
        terminated = truncated = False
        if turn.outcome is not None:
            terminated = turn.over or bool(turn.outcome["event"])
            truncated = not terminated
            self._end()
        return self._look(turn), self._paid(turn, info), terminated, truncated, info

    def render(self) -> Any:
        """Return a picture from above, uint8 (height, width, 3); of worlds without places, the state as bars."""
        if self.render_mode is None:
            return None
        if self._draw is None:
            raise RunError("there is nothing to see yet", "call reset() first")
        title = f"{self.scenario.name}   run {self._draw.run}   t = {self._turn.t:.2f} s"
        known = self._state.known if isinstance(self._state, Actors) else {}
        state = dict(zip(self.observation_names, map(float, self._seen), strict=True))
        return picture(title, known, self._own, state)

    def close(self) -> None:
        """End the run and close its world; may be called twice."""
        self._end()
        if self._kept is not None:
            self._kept.close()

    def __del__(self) -> None:
        for name in ("_loop", "_kept"):
            loop = getattr(self, name, None)
            if loop is not None:
                loop.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _wanted(self) -> tuple[str, ...]:
        """Return what is read; the picture and the default view need truth in any case."""
        return tuple(dict.fromkeys(("truth", *self._reads)))

    def _first_turn(self) -> Turn:
        """Return run 0 at t = 0, without its faults: what the spaces are made from."""
        loop = Loop(self.scenario, self._wanted(), self.rate)
        turn = loop.begin(twin(draw(self.scenario, [0])[0]))
        loop.close()  # an environment that is made and not yet used holds nothing
        return turn

    def _own_loop(self) -> Loop:
        if self._kept is None:
            self._kept = Loop(self.scenario, self._wanted(), self.rate)
        return self._kept

    def _begin_views(self, first: Turn) -> None:
        """Forget what was seen; sizes stay those of run 0 at t = 0, whatever a later run begins with."""
        tables = first.readings["truth"].tables
        self._state: Actors | Rows
        if self._place:
            self._state = Actors(self._place, tables[self._place].schema, self._own, self._others)
        else:
            self._state = Rows.of(self._first.readings["truth"].tables)
        self._instruments = {
            name: Instrument.of(self._first.readings[name])
            for name in (self._reads if self._observe == "dict" else ())
            if name != "truth"
        }

    def _look(self, turn: Turn) -> Any:
        self._seen = self._state.look(turn.readings["truth"].tables)
        if callable(self._observe):
            return self._observe(self._plain(turn))
        if self._observe == "actors":
            return self._seen.copy()
        seen: dict[str, Any] = {name: view.look(turn.readings[name]) for name, view in self._instruments.items()}
        if "truth" in self._reads:
            seen["truth"] = self._seen.copy()
        return {name: part for name, part in seen.items() if len(part)}

    def _plain(self, turn: Turn) -> dict[str, Any]:
        readings: dict[str, Reading] = {name: turn.readings[name] for name in self._reads}
        return observation(readings, 0)

    def _info(self, turn: Turn) -> dict[str, Any]:
        assert self._draw is not None
        info: dict[str, Any] = {"run": self._draw.run, "t": turn.t}
        if turn.outcome is not None:
            info |= {name: turn.outcome[name] for name in OWN}
            info["measures"] = {name: value for name, value in turn.outcome.items() if name not in OWN}
            info["events"] = [dict(event) for event in turn.events]
        return info

    def _paid(self, turn: Turn, info: Mapping[str, Any]) -> float:
        if not isinstance(self._reward, Expression):
            return float(self._reward(self._plain(turn), info))
        if turn.outcome is None:
            return 0.0
        names = {name: value for name, value in turn.outcome.items() if isinstance(value, (bool, int, float))}
        names["event"] = float(names["event"])
        try:
            return float(np.asarray(self._reward(names)).reshape(()))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"the reward '{self._reward.text}' cannot be computed: {error}") from error

    def _end(self) -> None:
        if self._loop is not None:
            (self._loop.stop if self._loop is self._kept else self._loop.close)()
        self._loop = None


def _scenario(source: str | Path | Scenario, variant: str, overrides: Mapping[str, str] | None) -> Scenario:
    if isinstance(source, Scenario):
        if variant or overrides:
            raise RunError("a loaded scenario has its variant and its overrides already", "give them to load()")
        return source
    return load(f"{source}:{variant}" if variant else source, overrides)


def _with_values(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """Return the scenario with some drawn values held fixed; what follows from them follows, constraints hold."""
    if not values:
        return scenario
    odd = sorted(set(values) - set(scenario.vary))
    if odd:
        hint = suggest(odd[0], scenario.vary) or f"drawn values: {', '.join(scenario.vary)}"
        raise RunError(f"the scenario draws no {odd[0]!r}", hint)
    fixed = {name: distributions.parse(_tree(value)) for name, value in values.items()}
    plan = scenario.plan
    if plan is not None and plan.axes:  # what is held wins over a grid; its axis keeps its length, so the others stay
        held = {name: (spec.typical(),) for name, spec in fixed.items()}
        axes = {name: held[name] * len(axis) if name in held else axis for name, axis in plan.axes.items()}
        plan = replace(plan, axes=axes)
    return replace(scenario, vary={name: fixed.get(name, spec) for name, spec in scenario.vary.items()}, plan=plan)


def _tree(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _space(seen: Any) -> spaces.Space[Any]:
    """Return the space that an observation lies in."""
    if isinstance(seen, dict):
        return spaces.Dict({name: _space(part) for name, part in seen.items()})
    array: AnyArray = seen
    if array.dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, array.shape, array.dtype.type)
    limits = np.iinfo(array.dtype)
    return spaces.Box(int(limits.min), int(limits.max), array.shape, array.dtype.type)
