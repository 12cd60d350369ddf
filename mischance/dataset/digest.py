"""The digest of a run: one SHA-256 over all of its rows, samples and images, however time was cut into records.

For every table of a run its rows are packed into bytes, block by block, and fed to one hasher: numbers as they are,
a category as a hash of its name (so the order of names does not matter), a string as its length. The letters of its
strings, row by row, go to a second one. Samples of signals are fed as they lie in memory, images one after the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mischance.api.arrow import with_arrow_strings
from mischance.api.runs import Record
from mischance.api.scene import Frames
from mischance.api.strings import string_offsets
from mischance.api.tables import AnyArray, Column, IntArray, Schema, Signals, Table
from mischance.errors import TruthError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 1 << 18  # bytes that are packed at a time: they stay in the cache until they are hashed
NULL = -1  # length of a string that is none


class RunDigests:
    """Collects the digests of a batch of runs, record by record."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._hashers: dict[tuple[str, str], list[Any]] = {}  # path and what -> a hasher a run, or None
        self._samples: dict[str, IntArray] = {}  # path -> the sample that each run has next

    def add(self, record: Record) -> None:
        """Take the rows, samples and images of a record.

        Raises:
            TruthError: a value is not what its column declares, or a sample is missing.
        """
        for path, table in record.tables.items():
            if len(table):
                self._add_table(path, with_arrow_strings(table))
        for path, signals in record.signals.items():
            self._add_signals(path, signals)
        for path, frames in record.frames.items():
            for i, images in enumerate(frames):
                self._add_frames(i, path, images)

    def finish(self) -> list[str]:
        """Return the digest of each run, in hexadecimal."""
        parts: list[list[bytes]] = [[] for _ in range(self._runs)]
        for (path, what), hashers in sorted(self._hashers.items()):
            head = f"{len(path)}:{path}{len(what)}:{what}".encode()
            for part, hasher in zip(parts, hashers, strict=True):
                if hasher is not None:
                    part.extend((head, hasher.digest()))
        return [hashlib.sha256(b"".join(part)).hexdigest() for part in parts]

    def _of_runs(self, path: str, what: str) -> list[Any]:
        key = path, what
        if key not in self._hashers:
            self._hashers[key] = [None] * self._runs
        return self._hashers[key]

    def _add_table(self, path: str, table: Table) -> None:
        head, width, pack = _packer(table)
        bounds = table.offsets.tolist()
        _feed(self._of_runs(path, "rows"), hashlib.sha256(head), bounds, width, pack)
        text = [table.columns[name] for name, column in table.schema.items() if column.dtype == "utf8"]
        if text:
            letters, ends = _letters(cast("Sequence[pa.Array]", text))
            at = ends[table.offsets].tolist()
            _feed(self._of_runs(path, "letters"), hashlib.sha256(), at, 1, lambda low, high: letters[low:high])

    def _add_signals(self, path: str, signals: Signals) -> None:
        if path not in self._samples:
            self._samples[path] = np.full(self._runs, signals.first, np.int64)
        expected = self._samples[path]
        hashers = self._of_runs(path, "samples")
        kinds = [(name, signals.values.dtype.str, column.unit) for name, column in signals.channels.items()]
        head = repr((float(signals.rate), kinds)).encode()
        for i, count in enumerate(signals.counts.tolist()):
            if not count:
                continue
            if expected[i] != signals.first:
                raise TruthError(f"signals {path!r} go on at sample {signals.first} where {expected[i]} comes next")
            expected[i] += count
            if hashers[i] is None:
                hashers[i] = hashlib.sha256(head + f" {signals.first}".encode())
            hashers[i].update(np.ascontiguousarray(signals.run(i)))

    def _add_frames(self, i: int, path: str, frames: Frames) -> None:
        for name, images in frames.passes.items():
            if not len(images):
                continue
            hashers = self._of_runs(path, f"frames {name}")
            if hashers[i] is None:
                hashers[i] = hashlib.sha256(f"{name} {images.dtype.str} {images.shape[1:]}".encode())
            for t, index, image in zip(frames.t, frame_index(frames), images, strict=True):
                hashers[i].update(np.float64(t).tobytes() + np.int64(index).tobytes())
                hashers[i].update(np.ascontiguousarray(image))


def _feed(
    hashers: list[Any], fresh: Any, bounds: Sequence[int], width: int, pack: Callable[[int, int], memoryview]
) -> None:
    """Feed each run's hasher with its rows, a block of all runs' rows at a time.

    Args:
        hashers: one a run; None where the run had no row yet.
        fresh: what a new hasher is a copy of.
        bounds: rows of run i are bounds[i] to bounds[i + 1].
        width: bytes of a row.
        pack: returns the bytes of a range of rows.
    """
    step = max(BLOCK // max(width, 1), 1)
    run, runs = 0, len(hashers)
    for low in range(bounds[0], bounds[-1], step):
        high = min(low + step, bounds[-1])
        data = pack(low, high)
        while run < runs:
            first, last = max(bounds[run], low), min(bounds[run + 1], high)
            if last > first:
                hasher = hashers[run]
                if hasher is None:
                    hasher = hashers[run] = fresh.copy()
                hasher.update(data[(first - low) * width : (last - low) * width])
            if bounds[run + 1] > high:
                break
            run += 1


def _packer(table: Table) -> tuple[bytes, int, Callable[[int, int], memoryview]]:
    """Return a table's declaration as bytes, the bytes of a row, and a function that packs a range of rows."""
    columns = [_as_numbers(column, table.columns[name]) for name, column in table.schema.items()]
    kinds = [values.dtype if names is None else names.dtype for values, names in columns]
    fields = np.dtype([(f"f{i}", kind.newbyteorder("<")) for i, kind in enumerate(kinds)])
    scratch = np.empty(min(max(BLOCK // max(fields.itemsize, 1), 1), len(table)), fields)
    places = [scratch[f"f{i}"] for i in range(len(columns))]
    data = memoryview(scratch.view(np.uint8))  # type: ignore[arg-type]

    def pack(low: int, high: int) -> memoryview:
        for place, (values, names) in zip(places, columns, strict=True):
            part = values[low:high] if names is None else names[values[low:high]]
            place[: high - low] = part
        return data[: (high - low) * fields.itemsize]

    return _head(table.schema), fields.itemsize, pack


def _as_numbers(column: Column, values: AnyArray) -> tuple[AnyArray, AnyArray | None]:
    """Return what is packed of a column: its numbers, and for a category what they are looked up in."""
    if column.dtype == "category":
        return values, _named(column.names)
    if column.dtype != "utf8":
        return values, None
    array = cast("pa.Array", values)
    lengths: AnyArray = np.diff(string_offsets(array)).astype(np.int32)
    if array.null_count:
        lengths[array.is_null().to_numpy(zero_copy_only=False)] = NULL
    return lengths, None


def _letters(columns: Sequence[pa.Array]) -> tuple[memoryview, AnyArray]:
    """Return the letters of columns of strings, row by row, and where each row begins; shape (rows + 1,)."""
    import pyarrow as pa

    compute: Any = import_module("pyarrow.compute")  # its functions are made when it is imported: no stub knows them
    if len(columns) == 1 and not columns[0].null_count:
        whole = columns[0]
    else:
        kind = pa.large_string()
        parts = [column.cast(kind) for column in columns]
        empty = pa.scalar("", kind)
        whole = compute.binary_join_element_wise(*parts, empty, null_handling="replace", null_replacement="")
    buffer = whole.buffers()[2]
    return memoryview(b"" if buffer is None else buffer), string_offsets(whole)


@lru_cache(maxsize=256)
def _named(names: tuple[str, ...]) -> AnyArray:
    """Return a number for each name, and 0 at the end, where code -1 finds it; shape (names + 1,)."""
    numbers = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") for name in names]
    return np.array([*numbers, 0], np.uint64)


def _head(schema: Schema) -> bytes:
    """Return what a table declares, as bytes; Python's strings and Arrow's are the same."""
    kinds = [(name, "text" if column.dtype == "utf8" else column.dtype) for name, column in schema.items()]
    return repr(kinds).encode()


def frame_index(frames: Frames) -> IntArray:
    """Return the tick of each image; images without ticks are a mistake of the sensor.

    Raises:
        TruthError: there is not one tick for each time.
    """
    if len(frames.index) != len(frames.t):
        raise TruthError(f"{len(frames.t)} images came with {len(frames.index)} indices")
    return frames.index
