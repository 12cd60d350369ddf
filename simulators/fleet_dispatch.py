"""A dispatcher: sends a message to each of its vehicles again and again, over a radio that loses some of them.

Messages go out at multiples of a period, and each is lost or not by itself: whether it is depends on its number and
its vehicle alone. What a message says is for other worlds: a link from the event `lost` says what its loss leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mischance.api.labels import Row, label_row, table_of_rows
from mischance.api.protocols import FaultKind
from mischance.api.runs import Chunk
from mischance.api.tables import EVENTS, LABELS, Column, Table
from mischance.units import Ratio, Time

if TYPE_CHECKING:
    import simpy

    from mischance.api.randomness import Streams
    from mischance.api.runs import Commands, Draw, Fault
    from mischance.api.tables import Schema

RADIO = "radio"
MESSAGES: Schema = {
    "t": Column(unit="s", role="time"),
    "vehicle": Column("text", about="whom it is for", role="entity"),
    "number": Column("int64", about="of the vehicle's messages, from 0"),
    "lost": Column("bool", about="it did not arrive", role="label"),
}
MEASURES: Schema = {
    "sent": Column("int64", about="messages sent"),
    "lost": Column("int64", about="messages that did not arrive"),
    "longest_silence": Column(
        unit="s",
        role="value",
        about="longest time in which a vehicle heard nothing, from the run's beginning to its end",
    ),
}
OUTCOME: Schema = {
    **MEASURES,
    "event": Column("bool"),
    "margin": Column(unit="s", about="patience less the longest silence"),
    "verdict": Column("text"),
    "reason": Column("text"),
}
MOST = 2**20  # messages of one vehicle in a run, so that keys of two vehicles never meet


class Settings(BaseModel):
    """Whom the dispatcher talks to, and how reliably."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vehicles: tuple[str, ...] = Field(default=("agv1", "agv2"), min_length=1, description="whom it sends messages to")
    period: Time = Field(default=1.0, ge=0.01, description="from one message to a vehicle to the next [s]")
    loss: Ratio = Field(default=0.0, ge=0, le=1, description="chance of each message to be lost without any fault")
    patience: Time = Field(default=5.0, gt=0, description="a vehicle that hears nothing for longer is the event [s]")


class FleetDispatch:
    """Sends messages to vehicles over a radio that loses some; the event is a silence beyond its patience."""

    batch: ClassVar[int] = 16
    max_chunk_seconds: ClassVar[float] = 600.0
    randomness: ClassVar[tuple[str, ...]] = ("message",)
    measures: ClassVar[Schema] = MEASURES
    events: ClassVar[tuple[str, ...]] = ("lost",)
    faults: ClassVar[Mapping[str, FaultKind]] = {
        "message_loss": FaultKind(
            "each message is lost with this chance, beside those lost anyway", "ratio", 1.0, effect="chance"
        )
    }

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._runs: list[_Run] = []
        self._end = 0.0

    @staticmethod
    def targets(settings: Settings) -> Sequence[str]:
        """Return the targets of faults: the radio."""
        return [RADIO]

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return the messages that are sent at t = 0."""
        pairs = zip(draws, streams, strict=True)
        self._runs, self._end = [_Run(draw.settings or self.settings, draw, own) for draw, own in pairs], 0.0
        return self._chunk(0.0)

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return messages in (last end, until]; this world takes no commands."""
        start, self._end = self._end, until
        return self._chunk(start)

    def inject(self, run: int, fault: Fault) -> None:
        """Take one more fault of a run, whose onset is not before the present time, or an earlier end of one."""
        own = self._runs[run].faults
        own[:] = [one for one in own if not one.begins_like(fault)]
        own.append(fault)

    def in_force(self, run: int, target: str, kind: str) -> float:
        """Return the chance that a message is lost which is sent now."""
        return 1.0 - self._runs[run].arrives(self._end)

    def outcome(self) -> tuple[Table, Table]:
        """Return the measures of every run, and the labels of its faults."""
        rows = [{name: [value] for name, value in run.outcome(self._end).items()} for run in self._runs]
        return Table.of(OUTCOME, rows), table_of_rows(LABELS, [run.labels(self._end) for run in self._runs])

    def close(self) -> None:
        """Forget the runs."""
        self._runs = []

    def _chunk(self, start: float) -> Chunk:
        told = [run.advance(self._end) for run in self._runs]
        return Chunk(
            start=start,
            end=self._end,
            ends=np.full(len(told), self._end),
            over=np.zeros(len(told), np.bool_),
            events=table_of_rows(EVENTS, [events for events, _ in told]),
            tables={"messages": table_of_rows(MESSAGES, [messages for _, messages in told])},
        )


class _Run:
    """The messages of one run; SimPy says when they are sent."""

    def __init__(self, settings: Settings, draw: Draw, streams: Streams) -> None:
        import simpy

        self.settings, self.faults = settings, list(draw.faults)
        self._uniform: Callable[..., Any] = streams.uniform
        self._env = simpy.Environment()
        self._events: list[Row] = []
        self._messages: list[Row] = []
        self._sent = self._lost = 0
        self._last = dict.fromkeys(settings.vehicles, 0.0)  # when each heard of the dispatcher
        self._silence = 0.0
        for place, vehicle in enumerate(settings.vehicles):
            self._env.process(self._send(place, vehicle))

    def advance(self, until: float) -> tuple[list[Row], list[Row]]:
        """Advance to `until`, inclusive; return events and messages since the last call."""
        while self._env.peek() <= until:
            self._env.step()
        events, self._events = self._events, []
        messages, self._messages = self._messages, []
        return events, messages

    def _send(self, place: int, vehicle: str) -> Generator[simpy.Event, Any, None]:
        number = 0
        while True:
            now = number * self.settings.period
            self._sent += 1
            acting = [fault for fault in self.faults if fault.share_at(now) > 0.0]
            u = float(self._uniform("message", [place * MOST + number])[0])
            lost = bool(u >= self.arrives(now))
            self._messages.append((now, vehicle, number, lost))
            if lost:
                parent = acting[0].fault_id if acting and u < 1.0 - self.settings.loss else ""
                self._events.append((now, f"event:{self._lost}", parent, "lost", vehicle, f'{{"number": {number}}}'))
                self._lost += 1
            else:
                self._silence = max(self._silence, now - self._last[vehicle])
                self._last[vehicle] = now
            number += 1
            # multiples of the period, not sums of it
            yield self._env.timeout(max(number * self.settings.period - self._env.now, 0.0))

    def arrives(self, t: float) -> float:
        """Return the chance that a message which is sent at t arrives."""
        left = (1.0 - float(fault.severity_at(t)) for fault in self.faults)
        return float((1.0 - self.settings.loss) * np.prod(list(left)))

    def outcome(self, end: float) -> dict[str, Any]:
        """Return the measures and verdict of a run that ended at `end`."""
        silence = max(self._silence, *(end - t for t in self._last.values()))
        event = silence > self.settings.patience
        return {
            "sent": self._sent,
            "lost": self._lost,
            "longest_silence": silence,
            "event": event,
            "margin": self.settings.patience - silence,
            "verdict": "silence" if event else "messages lost" if self._lost else "all heard",
            "reason": f"{self._lost} of {self._sent} messages were lost; the longest silence took {silence:.2f} s",
        }

    def labels(self, end: float) -> list[Row]:
        """Return a label for each fault that began before the end."""
        begun = sorted((f for f in self.faults if f.onset <= end), key=lambda f: (f.onset, f.fault_id))
        return [
            label_row(
                f"{RADIO}:{k}", f"fault/{RADIO}/{fault.kind}", fault.target, cause=fault.onset, end=fault.end,
                severity=fault.severity, causes=[fault.fault_id], role="fault",
            )
            for k, fault in enumerate(begun)
        ]  # fmt: skip
