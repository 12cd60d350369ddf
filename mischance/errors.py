"""Exceptions with messages for users, as a tree.

MischanceError                base of all errors that a user can mend; exit code 2
├── UnitError                 a quantity that cannot be read
├── ExpressionError           an expression that is not allowed or not defined
├── ScenarioError             one or more problems of a scenario file, each with its position
├── CatalogError              an unknown or broken plug-in
├── TruthError                columns, chunks or readings that break their contract
├── RunError                  one run cannot continue (bad draw, bad command, broken plug-in)
│   └── StartError            it cannot begin; a world may show how it would
└── DatasetError              a dataset folder that is missing, foreign, busy, damaged or full
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class MischanceError(Exception):
    """An error with a message for users and, if there is one, a hint for the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"    {hint}")  # Python shows it below the message

    def __reduce__(self) -> tuple[type[MischanceError], tuple[str, str]]:
        return type(self), (self.message, self.hint)

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows instead of a traceback."""
        return [f"{type(self).__name__}: {self.message}", *([f"    {self.hint}"] if self.hint else [])]


class UnitError(MischanceError):
    """A quantity such as '50 km/h' that cannot be read or has the wrong dimension."""


class ExpressionError(MischanceError):
    """An expression that is not allowed or not defined; `column` is the 1-based position of the error in it."""

    def __init__(self, message: str, hint: str = "", column: int = 1) -> None:
        super().__init__(message, hint)
        self.column = column

    def __reduce__(self) -> tuple[type[ExpressionError], tuple[str, str, int]]:  # type: ignore[override]
        return type(self), (self.message, self.hint, self.column)


class CatalogError(MischanceError):
    """A plug-in that does not exist or breaks its contract."""


class TruthError(MischanceError):
    """Columns, chunks or readings that break their contract."""


class RunError(MischanceError):
    """One run that cannot continue; the sweep continues."""


class StartError(RunError):
    """A run that cannot begin; `truth` is the chunk at t = 0 as the world would show it, or None."""

    def __init__(self, message: str, hint: str = "", truth: object = None) -> None:
        super().__init__(message, hint)
        self.truth = truth  # for a picture in the same process: it is not pickled


class RefusalError(RunError):
    """A run that an agent cannot take part in, as the agent itself says: the world is not its own."""


class DatasetError(MischanceError):
    """A dataset folder that is missing, foreign, busy, damaged or full."""


class OtherDatasetError(DatasetError):
    """A dataset folder that holds what another scenario, seed, plan or code, or another version, has made."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem of a scenario file: `file:line:col: path: message; did you mean 'Y'?`."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {path}{self.message}{hint}"


class ScenarioError(MischanceError):
    """All problems of a scenario, sorted by position."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[ScenarioError], tuple[tuple[Problem, ...]]]:  # type: ignore[override]
        return type(self), (self.problems,)


def suggest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "did you mean 'Y'?" for the known name closest to `word`, or "" if none is close."""
    import difflib

    words = [str(name) for name in known]
    lowered = {name.lower(): name for name in reversed(words)}
    near = difflib.get_close_matches(word[:80].lower(), lowered, n=1, cutoff=cutoff)
    return f"did you mean '{lowered[near[0]]}'?" if near else ""


def shorten(value: object) -> str:
    """Return a value for an error message, after "got": text is quoted, at most 40 characters."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict | list | tuple):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}" if value else repr(value)
    if isinstance(value, int) and abs(value) >= 10**40:  # Python limits the conversion of long integers to text
        return "a very large number"
    if isinstance(value, float):
        value = float(value)
    text = repr(value[:41] if isinstance(value, str) else value)
    return text if len(text) <= 42 else f"{text[:39]}…{text[0] if isinstance(value, str) else ''}"
