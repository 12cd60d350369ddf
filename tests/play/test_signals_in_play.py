"""Uniformly sampled channels on their way: from a world and a sensor to records and to the agent, sample for sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from mischance.api.protocols import Renderer, declares
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Reading, ticks
from mischance.api.tables import BoolArray, Column, Schema, Signals, join_signals
from mischance.language.scenario import PlugIn, Scenario
from mischance.play.player import play
from mischance.play.sampling import draw
from tests.plugins.drift import Drift
from tests.plugins.probe import Probe
from tests.support import wander

RATE = 400.0
CHANNELS: Schema = {"index": Column(), "run": Column()}


def hum(chunk: Chunk, draws: Sequence[Draw], rate: float = RATE) -> Signals:
    """Return the samples of (start, end] whose values are their own numbers: any loss or repetition shows."""
    k = ticks(rate, chunk.start, chunk.end, first=chunk.first)
    first = int(k[0]) if len(k) else int(chunk.end * rate) + 1
    values = np.stack([np.stack([k.astype(np.float64), np.full(len(k), d.run, np.float64)], axis=1) for d in draws])
    counts = np.array([int((k / rate <= end).sum()) for end in chunk.ends])
    return Signals(rate, first, values, CHANNELS, counts)


class Humming(Drift):
    """The wandering signal, with a hum beside it."""

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Begin with sample 0."""
        self._own = draws
        chunk = super().start(draws, streams)
        return replace(chunk, signals={"hum": hum(chunk, draws)})

    def advance(self, until: float, commands: Any) -> Chunk:
        """Go on."""
        chunk = super().advance(until, commands)
        return replace(chunk, signals={"hum": hum(chunk, self._own)})


class Hearing(Probe):
    """A voltmeter that also hears, at half the rate."""

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        super().start(name, draws, streams)
        self._own = draws

    def read(self, chunk: Chunk, renderer: Renderer | None) -> Reading:
        """Return the samples of its own clock."""
        assert chunk.signals["hum"].channels == CHANNELS
        return replace(super().read(chunk, renderer), signals={"": hum(chunk, self._own, RATE / 2)})


def listening(turns: list[tuple[float, Mapping[str, Reading]]], **changes: str) -> Scenario:
    class Listener:
        """Writes down what it hears."""

        reads: ClassVar[tuple[str, ...]] = ("truth", "meter")
        rate: ClassVar[float] = 30.0
        batch: ClassVar[int] = 16

        def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
            """Remember nothing."""

        def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> list[None]:
            """Write down."""
            turns.append((t, readings))
            return [None] * len(live)

    scenario = wander(**{"faults": "[]", **changes})
    agent = PlugIn("agents", "listener", Listener, declares(Listener), {}, declares(Listener).settings())
    sensors = {name: replace(plugin, cls=Hearing) for name, plugin in scenario.sensors.items()}
    return replace(scenario, simulator=replace(scenario.simulator, cls=Humming), agent=agent, sensors=sensors)


def step(t: float) -> float:
    """Return the end of the last step of the world, which makes 100 of them a second, up to t [s]."""
    return float(np.floor(t * 100.0 + 1e-9) / 100.0)


@pytest.mark.parametrize("cuts", [[], [0.3337, 1.0, 2.71828]])
def test_every_sample_stands_in_the_records_and_reaches_the_agent_once(cuts: list[float]) -> None:
    turns: list[tuple[float, Mapping[str, Reading]]] = []
    scenario = listening(turns)
    records = [record for record in play(scenario, draw(scenario, [3, 4]), cuts) if not record.last]
    for path, rate in (("truth/hum", RATE), ("sensors/meter", RATE / 2), ("sensors/slow", RATE / 2)):
        whole = join_signals([record.signals[path] for record in records])
        assert whole.first == 0
        for i, run in enumerate((3, 4)):
            own = whole.run(i)
            lived = float(records[-1].tables["truth/signal"].run(i)["t"][-1])
            np.testing.assert_array_equal(own[:, 0], np.arange(int(lived * rate + 1e-9) + 1))
            assert (own[:, 1] == run).all()
    for name, key, rate in (("truth", "hum", RATE), ("meter", "", RATE / 2)):
        heard = join_signals([readings[name].signals[key] for _, readings in turns])
        last = step(turns[-1][0])
        np.testing.assert_array_equal(heard.values[0, :, 0], np.arange(int(last * rate + 1e-9) + 1))
        for t, readings in turns:
            part = readings[name].signals[key]
            assert part.first + part.values.shape[1] == int(step(t) * rate + 1e-9) + 1, "all up to now, and no more"


def test_late_samples_reach_the_agent_late_and_once() -> None:
    turns: list[tuple[float, Mapping[str, Reading]]] = []
    fault = "[{target: agent, kind: observation_latency, at: 1 s, lasts: 2 s, severity: 0.25 s}]"
    scenario = listening(turns, faults=fault)
    list(play(scenario, draw(scenario, [3])))
    heard = join_signals([readings["meter"].signals[""] for _, readings in turns])
    np.testing.assert_array_equal(heard.values[0, :, 0], np.arange(heard.values.shape[1]))
    for t, readings in turns:
        part = readings["meter"].signals[""]
        stamps = np.arange(1201) / 200.0
        due = np.maximum.accumulate(stamps + np.where((stamps >= 1.0) & (stamps < 3.0), 0.25, 0.0))
        assert part.first + part.values.shape[1] == int(((due <= t + 1e-9) & (stamps <= step(t))).sum())
