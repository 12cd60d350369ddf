"""The digest of a run: one SHA-256 over all of its rows and images, however time was cut into records.

For every table the rows are packed into bytes and fed to one hasher, text columns to one each, images to
one a pass. A category counts by its name, so the order of names does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mischance.api.runs import Record
from mischance.api.scene import Frames
from mischance.api.tables import AnyArray, IntArray, Schema, Table
from mischance.errors import TruthError

_Key = tuple[int, str, str]


class RunDigests:
    """Collects the digests of a batch of runs, record by record."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._hashers: dict[_Key, Any] = {}

    def add(self, record: Record) -> None:
        """Take the rows and images of a record."""
        for path, table in record.tables.items():
            self._add_table(path, table)
        for path, frames in record.frames.items():
            for i, images in enumerate(frames):
                self._add_frames(i, path, images)

    def finish(self) -> list[str]:
        """Return the digest of each run, in hexadecimal."""
        parts: list[list[tuple[str, str, bytes]]] = [[] for _ in range(self._runs)]
        for (i, path, column), hasher in self._hashers.items():
            parts[i].append((path, column, hasher.digest()))
        return [_combine(sorted(part)) for part in parts]

    def _hasher(self, i: int, path: str, column: str, head: bytes) -> Any:
        key = (i, path, column)
        found = self._hashers.get(key)
        if found is None:
            found = self._hashers[key] = hashlib.sha256(head)
        return found

    def _add_table(self, path: str, table: Table) -> None:
        bounds: list[int] = table.offsets.tolist()
        packed = _pack(table)
        width = packed.dtype.itemsize
        data = packed.view(np.uint8) if width else np.zeros(0, np.uint8)
        head = _head(table.schema)
        texts = [(name, table.columns[name]) for name, column in table.schema.items() if column.dtype == "text"]
        for i in range(table.runs):
            low, high = bounds[i], bounds[i + 1]
            if low == high:
                continue
            self._hasher(i, path, "", head).update(data[low * width : high * width])
            for name, values in texts:
                self._hasher(i, path, name, b"").update(_text(values[low:high]))

    def _add_frames(self, i: int, path: str, frames: Frames) -> None:
        for name, images in frames.passes.items():
            if not len(images):
                continue
            head = f"{name} {images.dtype.str} {images.shape[1:]}".encode()
            hasher = self._hasher(i, path, f"frames {name}", head)
            for t, index, image in zip(frames.t, frame_index(frames), images, strict=True):
                hasher.update(np.float64(t).tobytes() + np.int64(index).tobytes())
                hasher.update(np.ascontiguousarray(image))


def frame_index(frames: Frames) -> IntArray:
    """Return the tick of each image; images without ticks are a mistake of the sensor.

    Raises:
        TruthError: there is not one tick for each time.
    """
    if len(frames.index) != len(frames.t):
        raise TruthError(f"{len(frames.t)} images came with {len(frames.index)} indices")
    return frames.index


def _pack(table: Table) -> AnyArray:
    """Return the rows as packed records, without the text columns; shape (rows,)."""
    kept = {name: column for name, column in table.schema.items() if column.dtype != "text"}
    storage = [
        (f"f{i}", np.dtype(np.uint64) if column.dtype == "category" else column.storage)
        for i, column in enumerate(kept.values())
    ]
    packed = np.empty(len(table), np.dtype([(name, dtype.newbyteorder("<")) for name, dtype in storage]))
    for i, (name, column) in enumerate(kept.items()):
        values = table.columns[name]
        packed[f"f{i}"] = _named(column.names)[values] if column.dtype == "category" else values
    return packed


@lru_cache(maxsize=256)
def _named(names: tuple[str, ...]) -> AnyArray:
    """Return a number for each name, and 0 at the end, where code -1 finds it; shape (names + 1,)."""
    numbers = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") for name in names]
    return np.array([*numbers, 0], np.uint64)


def _head(schema: Schema) -> bytes:
    return repr([(name, column.dtype) for name, column in schema.items()]).encode()


def _text(values: AnyArray) -> bytes:
    """Return strings as bytes that cannot be cut in another way; None is its own value."""
    strings = values.tolist()
    joined = ""
    try:
        joined = "\0e".join(strings)
        plain = joined.count("\0") == len(strings) - 1
    except TypeError:
        plain = False
    if not plain:
        joined = "\0e".join("\0n" if text is None else str(text).replace("\0", "\0z") for text in strings)
    return (joined + "\0e").encode("utf-8", "surrogatepass")


def _combine(parts: Sequence[tuple[str, str, bytes]]) -> str:
    whole = hashlib.sha256()
    for path, column, digest in parts:
        whole.update(f"{len(path)}:{path}{len(column)}:{column}".encode() + digest)
    return whole.hexdigest()
