"""Scenarios in Python: changed by methods that return a new one, given an agent, and swept into a dataset."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, overload

from mischance.dataset.draft import recipe_of
from mischance.errors import MischanceError
from mischance.language import loading
from mischance.language import scenario as language
from mischance.language.inputs import with_inputs
from mischance.scripting.agents import NamedAgent, name_agent
from mischance.scripting.dataset import Dataset
from mischance.scripting.pictures import Picture
from mischance.scripting.plain_errors import plain_errors
from mischance.scripting.progress import notebook_progress

SWEEP_RUNS = 100  # where neither the call nor a plan says how many

Value = str | float | bool | Sequence["Value"] | Mapping[str, "Value"] | None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a scenario came about: what was loaded, and what was changed since. `bound_here`: see `NamedAgent`."""

    source: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    without: tuple[str, ...] = ()
    agent: str = ""
    bound_here: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scenario(language.Scenario):
    """A checked scenario, as `mischance.load` returns it. It never changes: each method returns a new one.

    ```python
    scenario = mischance.load("driving/cut_in").set("vary.gap", "6 m").with_agent(my_function)
    data = scenario.sweep(500)
    ```

    Every change is checked at once, so an error comes from the call that brought it in.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(""))

    def __repr__(self) -> str:
        own = self.recipe
        calls = [
            f".set({path!r}, {text!r})" for path, text in own.overrides.items() if path != "agent" or not own.agent
        ]
        calls += [f".with_seed({own.seed})"] * (own.seed is not None)
        calls += [f".without({', '.join(map(repr, own.without))})"] * bool(own.without)
        calls += [f".with_agent({own.agent})"] * bool(own.agent)
        return f"mischance.load({own.source!r}){''.join(calls)}"

    @overload
    def set(self, path: str, value: Value, /) -> Scenario: ...

    @overload
    def set(self, changes: Mapping[str, Value], /) -> Scenario: ...

    @plain_errors
    def set(self, path: str | Mapping[str, Value], value: Value = None, /) -> Scenario:
        """Return the scenario with another value, or with several at once.

        Args:
            path: where, as on the command line: 'vary.gap', 'simulator.road.lanes', the name of a drawn value, or a
                mapping from paths to values for changes that are right only together.
            value: a number, a text with a unit ('6 m'), a distribution ({'uniform': ['4 m', '9 m']}), a list, …

        Raises:
            ScenarioError: what is wrong with it then, each problem with its place.
            MischanceError: a path denotes nothing that can be changed.
        """
        changes = {path: value} if isinstance(path, str) else path
        texts = {key: _text(key, one) for key, one in changes.items()}
        return _made(replace(self.recipe, overrides={**self.recipe.overrides, **texts}))

    @plain_errors
    def with_seed(self, seed: int) -> Scenario:
        """Return the scenario with another root of all randomness."""
        return _made(replace(self.recipe, seed=seed))

    @plain_errors
    def without(self, *sensors: str) -> Scenario:
        """Return the scenario without sensors that no agent reads: 'cameras', another kind, a name, or 'sensors'."""
        return _made(replace(self.recipe, without=(*self.recipe.without, *sensors)))

    @plain_errors
    def with_agent(self, agent: Callable[..., Any] | str, **settings: Value) -> Scenario:
        """Return the scenario with another system under test.

        A function or class may be defined anywhere: in a module, a notebook, a REPL or a script; closures and lambdas
        too. Each run has a copy of it, which remembers nothing of other runs. Its source is kept in the dataset. Where
        it refers to something that has no source (a trained model, an open file), a warning says so: such runs are
        played in this process alone, and cannot be replayed elsewhere.

        Args:
            agent: a function f(observation, t) that returns commands, a class with `start` and `act`, a name from
                `mischance list agents`, or 'planner.py:drive'.
            settings: of the agent, as in a scenario.

        Raises:
            MischanceError: it is no agent, or it can be neither written down nor copied.
            ScenarioError: a setting is wrong.
        """
        named = NamedAgent(agent) if isinstance(agent, str) else name_agent(agent)
        if named.bound_here:
            warnings.warn(
                f"the agent cannot be kept in a dataset, so that its runs can be replayed in this process alone:"
                f" {named.bound_here}",
                stacklevel=3,
            )
        tree = json.dumps({"kind": named.kind, **settings})
        shown = repr(agent) if isinstance(agent, str) else str(getattr(agent, "__qualname__", agent))
        own = replace(
            self.recipe,
            overrides={**self.recipe.overrides, "agent": tree},
            agent=shown,
            bound_here=named.bound_here,
        )
        return _made(own)

    @plain_errors
    def sweep(
        self,
        runs: int | None = None,
        out: Path | str | None = None,
        *,
        workers: int | None = None,
        twin: bool = False,
        keep_twins: bool = False,
        limit: float = 600.0,
        inputs: Sequence[Path | str] = (),
        quiet: bool = False,
    ) -> Dataset:
        """Play many runs into a dataset and return it, opened; the same call again finds it made, or goes on with it.

        Runs that fail are no error of the sweep: `Dataset.failures` has them, and a warning says so.

        Args:
            runs: how many; 100, or the points of the scenario's plan, where not given.
            out: the dataset's folder; where not given, one of its own below `outputs/` for everything that makes it
                what it is (scenario, agent, seed, runs …).
            workers: processes. Where not given, this process plays, and after 5 seconds of that a process a core goes
                on; 0 plays in this process to the end, without time limits, as a debugger needs it.
            twin: play each run beside its twins, and fill their labels in.
            keep_twins: store the twins' rows too.
            limit: time that one run may take in a worker [s].
            inputs: files that the agent reads: the dataset keeps them, and another content is another dataset.
            quiet: show no progress.

        Raises:
            DatasetError: the folder holds something else; nothing is overwritten.
            StartError: the first runs cannot begin.
            MischanceError: `workers` is asked for, and the agent cannot leave this process.
        """
        from mischance.cli.console import sweep_with_progress
        from mischance.sweep.growing import Growing

        if workers and self.recipe.bound_here:
            raise MischanceError(
                f"the agent cannot leave this process: {self.recipe.bound_here}",
                "leave `workers` out, or load such things inside of the agent",
            )
        _warn_of_unused(self.recipe)
        total = runs if runs is not None else self.plan.size if self.plan else SWEEP_RUNS
        files = [Path(each) for each in inputs]
        folder = Path(out) if out is not None else _folder(self, total, twin, keep_twins, files)
        cores = 1 if self.recipe.bound_here or workers == 0 else os.cpu_count() or 1
        how: dict[str, Any] = {"workers": workers} if workers else {"runner": Growing(cores)}
        show = None if quiet else notebook_progress(self.name)
        result = sweep_with_progress(
            self, total, folder, quiet=quiet, color=None, notes=not quiet, show=show,
            twin=twin, keep_twins=keep_twins, limit=limit, inputs=files, **how,
        )  # fmt: skip
        if result.failures:
            run, reason = next(iter(result.failures.items()))
            many = f"{len(result.failures)} of {result.totals.decided} runs failed"
            warnings.warn(f"{self.name}: {many}, the first of them run {run}: {reason}", stacklevel=3)
        if result.opened:
            names = ", ".join(os.path.relpath(name) for name in result.opened[:3])
            warnings.warn(
                f"the agent read {names}, which the dataset does not keep: a change there goes unnoticed, and a replay"
                f" elsewhere lacks it; inputs=[…] keeps it",
                stacklevel=3,
            )
        return Dataset(folder)

    @plain_errors
    def preview(self, out: Path | str | None = None) -> Picture:
        """Return a picture of how a run begins, as `mischance check --picture` draws it: the first that cannot, if any.

        Args:
            out: file to write, `.png`; a temporary one where not given.

        Raises:
            MischanceError: this world shows no positions as it begins, or no run can be drawn.
        """
        from mischance.play.rehearsal import rehearse
        from mischance.reports.beginning import draw_start, scene_at_start

        seen = rehearse(self, draws=20, begin=4, runs=0)
        for start in [*seen.stuck, *seen.starts]:
            scene = scene_at_start(self, start)
            if scene is not None:
                file = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="mischance-")) / "start.png"
                return Picture(draw_start(scene, file))
        raise MischanceError(
            f"{self.name}: this world shows no positions as it begins",
            "sweep a few runs: the preview of a dataset shows what came of them",
        )


@plain_errors
def load(
    source: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    seed: int | None = None,
    without: Sequence[str] = (),
) -> Scenario:
    """Read a scenario: a file, a name of the library (`driving/cut_in`), a variant (`driving/cut_in:crash`), or '-'.

    Args:
        source: file, name or '-' (standard input).
        overrides: dotted path -> YAML text, as `--set vary.gap=12m` gives them; `Scenario.set` takes Python values.
        seed: replaces the scenario's own seed.
        without: sensors that are left out where no agent reads them: 'cameras', another kind, a name, or 'sensors'.

    Raises:
        ScenarioError: all problems of the text, each with its position.
        MischanceError: there is no such scenario, or it cannot be read.
    """
    return _made(Recipe(str(source), dict(overrides or {}), seed, tuple(without)))


def _made(recipe: Recipe) -> Scenario:
    found = loading.load(recipe.source, recipe.overrides, seed=recipe.seed, without=recipe.without)
    return Scenario(**{each.name: getattr(found, each.name) for each in fields(found)}, recipe=recipe)


def _warn_of_unused(recipe: Recipe) -> None:
    """Warn of what a scenario names and nothing uses, such as a misspelt drawn value."""
    _, found = loading.load_with_warnings(recipe.source, recipe.overrides, seed=recipe.seed, without=recipe.without)
    for problem in found:
        warnings.warn(str(problem), stacklevel=4)


def _text(path: str, value: Value) -> str:
    """Return a value as YAML text, as `--set` takes it."""
    if isinstance(value, str):
        return value
    if callable(value):
        raise MischanceError(f"{path}: a function is no value of a scenario", "with_agent(function) sets an agent")
    try:
        return json.dumps(value, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise MischanceError(
            f"{path}: a scenario takes numbers, texts, lists and mappings (got {value!r})", str(error)
        ) from error


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays, and paths, as plain values."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is none of them")


def _folder(scenario: Scenario, runs: int, twin: bool, keep_twins: bool, files: Sequence[Path]) -> Path:
    """Return a folder below `outputs/` for all that makes a dataset what it is."""
    recipe = recipe_of(with_inputs(scenario, files), runs, twin=twin, keep_twins=keep_twins)
    stamp = hashlib.sha256(json.dumps(recipe.plain(), sort_keys=True).encode()).hexdigest()[:8]
    return Path("outputs") / f"{scenario.name.replace('/', '_').replace(':', '_')}-{stamp}"


__all__ = ["Recipe", "Scenario", "load"]
