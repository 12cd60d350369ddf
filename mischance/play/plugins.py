"""The plug-ins of a scenario: what they need, how many runs they take at once, and their instances, built once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mischance.api.protocols import MANY, declares
from mischance.api.read_only import read_only_view
from mischance.api.runs import Draw
from mischance.api.scene import Camera, Frames, Hits, Rays, Scene
from mischance.api.tables import FloatArray
from mischance.errors import RunError
from mischance.language import catalog
from mischance.language.scenario import PlugIn, Scenario
from mischance.play.agents import Agents
from mischance.play.anew import SIDE_BY_SIDE, Sensors, built_anew, built_world
from mischance.play.channel import plays_alone
from mischance.play.composite import world_class
from mischance.play.constructing import construct
from mischance.play.crew import Crew


def check_needs(scenario: Scenario) -> None:
    """Say in one line which library a scenario's plug-ins lack, or which program its agent does.

    Raises:
        CatalogError: a module that one of them needs is not installed, or the agent cannot be started.
    """
    check_agent(scenario)
    for plugin in scenario.plugins():
        catalog.check_needs(plugin.room, plugin.kind, plugin.declared.needs)


def check_agent(scenario: Scenario) -> None:
    """Ask the agent's class, where it has a `check` of its settings, whether it can be started at all.

    Raises:
        CatalogError: it cannot.
    """
    agent = scenario.agent
    if agent and agent.declared.check is not None and not agent.drawn:
        agent.declared.check(agent.settings)


def batch_size(scenario: Scenario) -> int:
    """Return the most runs that are played together; 1 where a drawn value sits in a sensor's or agent's settings."""
    return _limit(scenario, scenario.simulator.settings)


def _limit(scenario: Scenario, settings: Any) -> int:
    """Return the most runs of one batch, whose world has those settings."""
    others = [*scenario.sensors.values(), *([scenario.agent] if scenario.agent else [])]
    if any(each.drawn for each in others):
        return 1
    limits = [SIDE_BY_SIDE if built_anew(each) else each.declared.batch_with(each.settings, MANY) for each in others]
    return min([scenario.simulator.declared.batch_with(settings, 1), *limits])


def batches(scenario: Scenario, draws: Sequence[Draw]) -> Iterator[list[int]]:
    """Yield the places of the draws in batches that can be played, any draws together.

    `batch_size` draws that follow each other are looked at together. Of these, draws share a batch where their worlds'
    batch keys are equal; batches come in the order of their first draws, and keep the order of theirs. A draw that
    must be played alone (its agent's clock is skewed) is a batch of its own.
    """
    declared = scenario.simulator.declared
    size = batch_size(scenario)
    for first in range(0, len(draws), size):
        groups: dict[Hashable, list[int]] = {}
        limits: dict[Hashable, int] = {}
        for i, draw in enumerate(draws[first : first + size], first):
            settings = draw.settings
            if settings is None:
                settings = scenario.simulator.settings_for(draw.values)
            shared = declared.batch_key(settings) if declared.batch_key else None
            key: Hashable = (i,) if plays_alone(draw) else (None, shared)
            groups.setdefault(key, []).append(i)
            limits[key] = min(limits.get(key, size), _limit(scenario, settings))
        for key, group in groups.items():
            limit = limits[key]
            yield from (group[k : k + limit] for k in range(0, len(group), limit))


@dataclass(slots=True)
class Plugins:
    """Instances of a scenario's plug-ins, built when first asked for and kept.

    A plug-in with a drawn value in its settings is built anew for each batch. `built` counts what was constructed:
    'simulator', 'agent', 'sensors.front', 'renderers.raster' … -> times.
    """

    scenario: Scenario
    built: Counter[str] = field(default_factory=Counter)
    holder: object = None
    _instances: dict[str, Any] = field(default_factory=dict)
    _renderers: dict[tuple[type[Any], str], GuardedRenderer] = field(default_factory=dict)
    _asked: dict[str, tuple[type[Any], str]] = field(default_factory=dict)

    def get(self, key: str, plugin: PlugIn, draws: Sequence[Draw]) -> Any:
        """Return the plug-in's instance for these draws."""
        # A world that holds many runs reads the settings of each from its draw.
        anew = plugin.drawn and not (key == "simulator" and plugin.declared.batch_with(plugin.settings, 1) > 1)
        if anew or key not in self._instances:
            _close(self._instances.pop(key, None))
            settings = plugin.settings_for(draws[0].values) if plugin.drawn else plugin.settings
            self._instances[key] = self._built(key, plugin, settings)
        return self._instances[key]

    def _built(self, key: str, plugin: PlugIn, settings: Any) -> Any:
        if plugin.room == "agents":
            if plugin.parts:
                return Crew(plugin, self.scenario.simulator, settings, self.built)
            return Agents(plugin, settings, self.built)
        self.built[key] += 1
        if plugin.parts:
            return construct(world_class(plugin), settings)
        if plugin.room == "simulators":
            return built_world(plugin, settings)
        return Sensors(plugin, settings) if built_anew(plugin) else construct(plugin.cls, settings)

    def renderer(self, name: str, draws: Sequence[Draw]) -> GuardedRenderer | None:
        """Return the renderer that a sensor asks for, or None; sensors that ask for equal settings share one."""
        plugin = self.scenario.sensors[name].renderer
        if plugin is None:
            return None
        settings = plugin.settings_for(draws[0].values) if plugin.drawn else plugin.settings
        key = self._asked[name] = plugin.cls, settings.model_dump_json()
        found = self._renderers.get(key)
        if found is None:
            found = self._renderers[key] = GuardedRenderer(construct(plugin.cls, settings))
            self.built[f"renderers.{plugin.cls.__name__}"] += 1
            for unused in self._renderers.keys() - self._asked.values():  # those of the last draws
                _close(self._renderers.pop(unused).renderer)
        return found

    def close(self) -> None:
        """Close worlds, agents, sensors and renderers; what is asked for later is built anew."""
        instances, renderers = list(self._instances.values()), list(self._renderers.values())
        self._instances.clear()
        self._renderers.clear()
        self._asked.clear()
        for plugin in instances:
            _close(plugin)
        for renderer in renderers:
            _close(renderer.renderer)


class GuardedRenderer:
    """A renderer that is handed views which it cannot write to."""

    def __init__(self, renderer: Any) -> None:
        self.renderer = renderer

    def draw(self, scene: Scene, t: FloatArray, pose: FloatArray, camera: Camera) -> Frames:
        """Return the frames, one for each time."""
        frames: Frames = self.renderer.draw(scene, read_only_view(t), read_only_view(pose), camera)
        return frames

    def cast(self, scene: Scene, t: FloatArray, pose: FloatArray, rays: Rays) -> Hits:
        """Return the first hit of each ray.

        Raises:
            RunError: the renderer casts no rays.
        """
        cast = getattr(self.renderer, "cast", None)
        if cast is None:
            raise RunError(f"the renderer {type(self.renderer).__name__} casts no rays", "choose another `renderer`")
        hits: Hits = cast(scene, read_only_view(t), read_only_view(pose), rays)
        return hits

    def close(self) -> None:
        """Give back what the renderer holds."""
        self.renderer.close()


def _close(plugin: Any) -> None:
    close = declares(type(plugin)).close if plugin is not None else None
    if close is not None:
        close(plugin)
