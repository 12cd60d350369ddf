"""What an exporter is handed of a finished dataset, and its protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image of a camera, with what it shows.

    `name` is unique over datasets, sensors and runs; `file` is where it stands. `part` is the part of the dataset that
    it is in, '' = none. `objects` are the rows of `labels/<sensor>/objects` about it: category, tight box x, y, w, h
    [px], visible [px] …
    """

    name: str
    file: Path
    sensor: str
    run: int
    index: int
    t: float
    t_shown: float
    width: int
    height: int
    part: str
    objects: Sequence[Mapping[str, Any]]


@runtime_checkable
class Stored(Protocol):
    """A finished dataset, as an exporter sees it.

    `identity` is its id, `categories` the kinds of objects in the world's fixed order, `parts` the parts that it is
    divided into, in order.
    """

    identity: str
    categories: Sequence[str]
    parts: Sequence[str]

    def cameras(self) -> Sequence[str]:
        """Return the sensors whose images have labels."""
        ...

    def images(self, sensor: str) -> Iterator[LabelledImage]:
        """Yield the images of a sensor, in order of runs and time."""
        ...


@runtime_checkable
class Exporter(Protocol):
    """Writes a finished dataset in another format. Built as `Exporter(settings, folder)`.

    The folder is new and empty; it gets its name when everything in it is whole.
    """

    def export(self, dataset: Stored) -> Mapping[str, int]:
        """Write all files; return how many of each kind, as people are told."""
        ...
