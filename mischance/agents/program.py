"""A program in any language as agent: JSON messages on stdin and stdout in lock-step, with a deadline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from mischance.api.observations import observation
from mischance.api.protocols import AgentFailure
from mischance.errors import CatalogError
from mischance.units import Frequency, Time

if TYPE_CHECKING:
    from mischance.api.randomness import Streams
    from mischance.api.runs import Draw, Reading
    from mischance.api.tables import BoolArray

    from ._process import Process


class Settings(BaseModel, extra="forbid", frozen=True):
    """Command line, message framing and deadline of the program."""

    command: list[str] = Field(min_length=1, description="the program and its arguments; started once a run")
    framing: Literal["lines", "length"] = Field(
        "lines", description="one JSON object a line, or a 4-byte big-endian length before each"
    )
    deadline: Time = Field(10.0, gt=0, description="longest wait for one answer [s of real time]")
    reads: list[str] = Field(["truth"], description="the sensors it looks at; truth is the world's own tables")
    rate: Frequency = Field(20.0, gt=0, description="turns per second of simulated time [Hz]")


class Program:
    """Starts a program for each run and asks it at every step; simulated time does not advance meanwhile.

    The program reads `{"type": "start", "run", "seed", "rate"}`, then at each step `{"type": "observe", "frame", "t",
    "observation"}` and answers `{"frame", "commands"}`, where commands is null, one mapping or a list of mappings. A
    program that ends, sends an invalid answer or misses its deadline is not asked again: the world continues without
    commands, and the run's verdict and label say when and why. Only whether a deadline was missed depends on real
    time, never the physics before it.
    """

    batch: ClassVar[int] = 16

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._processes: list[Process] = []
        self._failures: list[AgentFailure | None] = []

    @staticmethod
    def reads(settings: Settings) -> Sequence[str]:
        """Return the sensors that the settings name."""
        return tuple(settings.reads)

    @staticmethod
    def rate(settings: Settings) -> float:
        """Return the turns per second that the settings ask for [Hz]."""
        return settings.rate

    @staticmethod
    def check(settings: Settings) -> None:
        """Check before any run that the program can be started.

        Raises:
            CatalogError: it does not exist, is not executable, or is a script without an interpreter line.
        """
        from ._process import why_not

        reason, hint = why_not(settings.command[0])
        if reason:
            raise CatalogError(f"the agent's program {settings.command[0]!r} {reason}", hint)

    @staticmethod
    def files(settings: Settings) -> list[Path]:
        """Return the program and those of its arguments that are files, but for what the system brings."""
        from ._process import own_files

        return own_files(settings.command)

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """End the programs of the last runs and start one for each run."""
        from ._process import Process

        self.close()
        self._frame = 0
        self._failures = [None] * len(draws)
        for draw in draws:
            process = Process(self.settings.command, self.settings.framing, self.settings.deadline)
            process.say({"type": "start", "run": draw.run, "seed": draw.seed, "rate": self.settings.rate})
            self._processes.append(process)

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> list[Any]:
        """Ask the program of every live run for commands; one answer per run."""
        from ._process import NoAnswer

        answers: list[Any] = [None] * len(live)
        for run, process in enumerate(self._processes):
            if not live[run] or self._failures[run] is not None:
                continue
            try:
                seen = _listed(observation(readings, run))
                process.say({"type": "observe", "frame": self._frame, "t": t, "observation": seen})
                answers[run] = process.answer(self._frame)
            except NoAnswer as error:
                self._failures[run] = AgentFailure(t, error.kind, f"the program {self.settings.command[0]!r} {error}")
                process.close()
        self._frame += 1
        return answers

    def failures(self) -> Sequence[AgentFailure | None]:
        """Return the failure of each run's program, None if it had none."""
        return self._failures

    def close(self) -> None:
        """End every program."""
        for process in self._processes:
            process.close()
        self._processes = []


def _listed(value: Any) -> Any:
    """Return arrays as lists; JSON has no NaN or infinity: they are null."""
    if isinstance(value, Mapping):
        return {key: _listed(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            plain = value.astype(object)
            plain[~np.isfinite(value)] = None
            return plain.tolist()
        return value.tolist()
    return value
