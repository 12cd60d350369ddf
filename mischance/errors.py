"""What can go wrong, as a tree of exceptions that speak to people.

MischanceError                what a user can mend; exit code 2
├── UnitError                 a quantity that cannot be read
├── ExpressionError           an expression that is not allowed or not defined
├── ScenarioError             one or many problems of a scenario file, each with its place
├── CatalogError              an unknown or broken plug-in
├── TruthError                columns that break their contract
├── RunError                  one run cannot go on (bad draw, bad command, broken plug-in)
└── DatasetError              a folder that is missing, foreign, busy, damaged or full
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class MischanceError(Exception):
    """An error with a message for people and, where there is one, the next thing to try."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[MischanceError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


class UnitError(MischanceError):
    """A quantity such as '50 km/h' that cannot be read, or has the wrong dimension."""


class ExpressionError(MischanceError):
    """An expression that is not allowed; `column` is the 1-based place inside it."""

    def __init__(self, message: str, hint: str = "", column: int = 1) -> None:
        super().__init__(message, hint)
        self.column = column

    def __reduce__(self) -> tuple[type[ExpressionError], tuple[str, str, int]]:  # type: ignore[override]
        return type(self), (self.message, self.hint, self.column)


class CatalogError(MischanceError):
    """A plug-in that does not exist, or does not keep its contract."""


class TruthError(MischanceError):
    """Columns, chunks or readings that break their contract."""


class RunError(MischanceError):
    """One run that cannot go on; the sweep does."""


class DatasetError(MischanceError):
    """A dataset folder that is missing, foreign, busy, damaged or full."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a scenario file: `file:line:col: path: message; did you mean 'Y'?`."""

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
    """All problems of a scenario, sorted by place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[ScenarioError], tuple[tuple[Problem, ...]]]:  # type: ignore[override]
        return type(self), (self.problems,)
