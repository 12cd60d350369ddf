"""Vandals: an agent, a sensor, a renderer and a writer that write to all they are handed, and a world that keeps what
it handed over. None of them changes a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from mischance.api.protocols import Renderer, declares
from mischance.api.randomness import Streams
from mischance.api.read_only import read_only
from mischance.api.runs import Chunk, Commands, Draw, Reading
from mischance.api.scene import Camera, Frames, Hits, Rays, Scene
from mischance.api.tables import AnyArray, BoolArray, Column, FloatArray, Schema, Signals, Table
from mischance.dataset.digest import RunDigests
from mischance.language.loading import load
from mischance.language.scenario import PlugIn, Scenario
from mischance.play.player import play
from mischance.play.plugins import GuardedRenderer
from mischance.play.sampling import draw
from tests.plugins.drift import Drift
from tests.plugins.probe import Probe
from tests.support import wander


def arrays(thing: Any) -> Iterator[AnyArray]:
    """Yield every array inside something, however deep."""
    if isinstance(thing, np.ndarray):
        yield thing
    elif is_dataclass(thing) and not isinstance(thing, type):
        for each in fields(thing):
            yield from arrays(getattr(thing, each.name))
    elif isinstance(thing, Mapping):
        for value in thing.values():
            yield from arrays(value)
    elif isinstance(thing, (list, tuple)):
        for value in thing:
            yield from arrays(value)


def spoil(thing: Any) -> int:
    """Try to write to every array and to swap every column; return how many arrays there were."""
    count = 0
    for array in arrays(thing):
        count += 1
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array.dtype.type(0) if array.dtype != object else "spoilt"
    return count


class Spoiler:
    """An agent that writes to all that it sees, draws from everybody's streams, and keeps its commands to change."""

    reads: ClassVar[tuple[str, ...]] = ("truth", "meter")
    rate: ClassVar[float] = 30.0
    batch: ClassVar[int] = 16
    spoils: ClassVar[bool] = True

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Change the drawn values, and use up the random numbers of the world and the sensors."""
        if self.spoils:
            for own, stream in zip(draws, streams, strict=True):
                own.values["strength"] = 99.0  # type: ignore[index]
                for name in ("plant", "meter", "slow"):
                    stream(name).normal(size=3)
                stream.rekey("mine")
        self._push = np.zeros(len(draws))

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands:
        """Push a little."""
        mine = np.linspace(-0.1, 0.1, len(live)).copy()  # owns its memory
        table = Table({"push": Column(unit="V/s")}, {"push": mine}, np.arange(len(live) + 1))
        if self.spoils:
            assert spoil(readings) > 5
            assert spoil(live) == 1
            with pytest.raises(TypeError):
                readings["truth"].tables["signal"].columns["x"] = mine  # type: ignore[index]
            readings["truth"].tables.clear()  # type: ignore[attr-defined]  # its own mapping, nobody else's
            with pytest.raises(ValueError, match="read-only"):
                mine[:] = 5.0  # it was handed over
        return Commands(table, live)


class Innocent(Spoiler):
    """The same agent, well behaved."""

    spoils = False


class SpoilingProbe(Probe):
    """A sensor that writes to the chunk, and keeps what it reported to change it later."""

    def read(self, chunk: Chunk, renderer: Renderer | None) -> Reading:
        """Read and spoil."""
        assert spoil(chunk) > 5
        reading = super().read(chunk, renderer)
        buffer = np.array(reading.tables[""].columns["volt"])
        kept = Table({"volt": Column(unit="V")}, {"volt": buffer[:]}, reading.tables[""].offsets)
        before = kept.columns["volt"].copy()
        buffer[:] = -1.0  # a view of it was handed over: that became a copy
        np.testing.assert_array_equal(kept.columns["volt"], before)
        return reading


def cast(agent: type[Any], sensor: type[Any] | None = None, world: type[Any] | None = None) -> Scenario:
    scenario = wander()
    plugin = PlugIn("agents", "spoiler", agent, declares(agent), {}, declares(agent).settings())
    sensors = {name: replace(own, cls=sensor or own.cls) for name, own in scenario.sensors.items()}
    simulator = replace(scenario.simulator, cls=world or scenario.simulator.cls)
    return replace(scenario, agent=plugin, sensors=sensors, simulator=simulator)


def digests(scenario: Scenario, draws: Sequence[Draw], spoils: bool = False) -> list[str]:
    hashes = RunDigests(len(draws))
    for record in play(scenario, draws):
        if spoils:
            assert spoil(record) > 5, "what a writer gets"
        hashes.add(record)
    return hashes.finish()


def test_who_writes_to_what_it_is_handed_changes_no_record() -> None:
    draws = draw(wander(), range(4))
    before = digests(cast(Innocent), draws)
    assert digests(cast(Spoiler), draws) == before
    assert digests(cast(Innocent, SpoilingProbe), draws) == before
    assert digests(cast(Spoiler, SpoilingProbe), draws, spoils=True) == before
    assert draws == draw(wander(), range(4)), "not even a drawn value"


class Keeper(Drift):
    """A world that writes its states into one buffer and hands out views of it."""

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Begin."""
        self._buffer = np.zeros((len(draws), 4000))
        return self._with_views(super().start(draws, streams))

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Go on, in the same buffer as before."""
        return self._with_views(super().advance(until, commands))

    def _with_views(self, chunk: Chunk) -> Chunk:
        table = chunk.tables["signal"]
        n = len(table)
        flat = self._buffer.reshape(-1)
        flat[:n] = table.columns["x"]
        held = Table(table.schema, {**table.columns, "x": flat[:n]}, table.offsets)
        return replace(chunk, tables={"signal": held})


def test_a_world_that_goes_on_writing_into_its_buffer_changes_no_record() -> None:
    draws = draw(wander(), range(4))
    assert digests(cast(Innocent, world=Keeper), draws) == digests(cast(Innocent), draws)


class Scribbler:
    """A renderer that writes to what it is handed, and goes on drawing into the image that it handed over."""

    def __init__(self) -> None:
        self.canvas = np.zeros((8, 4, 6, 3), np.uint8)

    def draw(self, scene: Scene, t: FloatArray, pose: FloatArray, camera: Camera) -> Frames:
        """Draw one tone."""
        assert spoil((t, pose, camera)) == 3
        self.canvas[:] += 1
        return Frames(t, {"rgb": self.canvas[: len(t)]}, np.arange(len(t)))

    def cast(self, scene: Scene, t: FloatArray, pose: FloatArray, rays: Rays) -> Hits:
        """Hit nothing."""
        assert spoil((t, pose, rays)) == 4
        far = np.full(rays.origin.shape[:2], np.inf)
        nothing = np.zeros(far.shape, np.int64)
        return Hits(far, nothing, np.zeros(rays.origin.shape), nothing - 1)

    def close(self) -> None:
        """Nothing is held."""


def test_a_renderer_can_change_neither_times_nor_poses_nor_images_that_it_has_handed_over() -> None:
    renderer = GuardedRenderer(Scribbler())
    t, pose = np.array([0.0, 1.0]), np.zeros((2, 1, 7))
    view = Camera((6, 4), 1.0, np.zeros((2, 7)))
    first = renderer.draw(Scene(()), t, pose, view)
    second = renderer.draw(Scene(()), t, pose, view)
    assert (first.passes["rgb"].max(), second.passes["rgb"].max()) == (1, 2)
    t[0] = 5.0  # the sensor's own array is its own still
    rays = Rays(np.zeros((2, 3, 3)), np.ones((2, 3, 3)))
    assert np.isinf(renderer.cast(Scene(()), t, pose, rays).distance).all()


@pytest.mark.parametrize("name", ["driving/cut_in:crash", "robots/arm_gripper_slip"])
def test_no_array_of_a_record_can_be_written_to(name: str) -> None:
    scenario = load(name, {"duration": "1 s"})
    seen = 0
    for record in play(scenario, draw(scenario, [0])):
        for array in arrays((record.runs, record.tables, record.frames, record.signals)):
            assert not array.flags.writeable
            seen += 1
    assert seen > 100


SCHEMA: Schema = {"x": Column()}


def test_an_array_is_taken_over_or_copied_never_shared() -> None:
    own = np.arange(4.0)
    assert read_only(own) is own, "taken over without a copy"
    assert not own.flags.writeable
    assert read_only(own[1:]).base is own, "a view of what nobody can write to is no danger"
    buffer = np.arange(4.0)
    for view in (buffer[:3], np.broadcast_to(buffer, (2, 4)), buffer.view()):
        kept = read_only(view)
        assert not np.shares_memory(kept, buffer)
        assert not kept.flags.writeable
    hidden = buffer[:2]
    hidden.flags.writeable = False
    kept = read_only(hidden)
    buffer[:] = 9.0
    assert kept.tolist() == [0.0, 1.0], "a view that is read-only itself may have an owner who is not"
    mapped = np.frombuffer(b"12345678", np.int64)
    assert read_only(mapped) is mapped


def test_signals_and_commands_cannot_be_written_to() -> None:
    values = np.zeros((1, 4, 1), np.float32)
    signals = Signals.of(10.0, 0, values, SCHEMA)
    assert spoil(signals) == 2
    assert spoil(Commands(Table.empty(SCHEMA, 1), np.ones(1, np.bool_))) == 3
