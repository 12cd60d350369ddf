"""Reads a column of figures from a CSV or Parquet file in the scenario's folder."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from array import array
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from mischance.errors import MischanceError, suggest

MOST_BYTES = 64 * 2**20
MAX_ROWS = 10_000_000  # of a Parquet file: a small file can declare a huge number of rows
KINDS = (".csv", ".parquet")


def locate(file: str, base: Path | None) -> Path:
    """Return the real path of a file named in a scenario.

    Raises:
        MischanceError: it is absolute, outside `base` (also by a symbolic link), missing, too large or of another type.
    """
    if PurePosixPath(file).is_absolute() or PureWindowsPath(file).anchor or "\0" in file:
        raise MischanceError(f"a file is named relative to the scenario's folder (got {file[:60]!r})")
    if base is None:
        raise MischanceError("a file can only be named in a scenario that is a file itself")
    folder = base.resolve()
    try:
        path = (folder / file).resolve()
    except (OSError, RuntimeError) as error:
        raise MischanceError(f"{file!r} cannot be read: {error}") from error
    if not path.is_relative_to(folder):
        raise MischanceError(f"{file!r} lies outside the scenario's folder", f"copy it into {folder}")
    if path.suffix.lower() not in KINDS:
        raise MischanceError(f"figures come from a .csv or a .parquet file (got {file!r})")
    if not path.is_file():
        raise MischanceError(f"there is no file {file!r} in {folder}")
    if path.stat().st_size > MOST_BYTES:
        raise MischanceError(f"{file!r} is larger than {MOST_BYTES // 2**20} MB", "keep the one column that is needed")
    return path


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MischanceError(f"{path.name!r} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=32)
def column(path: Path, name: str, sha256: str) -> array[float]:
    """Return the finite numbers of one column, sorted; empty cells, nulls and NaN are left out.

    Raises:
        MischanceError: the column is missing, empty or has values that are not finite numbers, or the file
            has changed since it was checked (`sha256`).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MischanceError(f"{path.name!r} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise MischanceError(f"{path.name!r} has changed since the scenario was read")
    values = _csv(path, name, data) if path.suffix.lower() == ".csv" else _parquet(path, name, data)
    if not values:
        raise MischanceError(f"column {name!r} of {path.name!r} holds no numbers")
    return array("d", sorted(values))


def _csv(path: Path, name: str, data: bytes) -> list[float]:
    try:
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = next(rows, [])
        place = _place(path, name, header)
        cells = [(rows.line_num, row[place].strip()) for row in rows if len(row) > place]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MischanceError(f"{path.name!r} is not a CSV file in UTF-8: {error}") from error
    values = []
    for line, cell in cells:
        try:
            value = float(cell or "nan")
        except ValueError:
            value = math.inf
        if math.isinf(value):
            raise MischanceError(f"{path.name!r} line {line}: {cell[:40]!r} is not a number")
        if not math.isnan(value):
            values.append(value)
    return values


def _parquet(path: Path, name: str, data: bytes) -> list[float]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        _place(path, name, list(file.schema_arrow.names))
        if file.metadata.num_rows > MAX_ROWS:
            raise MischanceError(f"{path.name!r} has more than {MAX_ROWS:,} rows")
        numbers = file.read(columns=[name]).column(name).cast(pa.float64()).drop_null().to_pylist()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise MischanceError(f"{path.name!r}: column {name!r} cannot be read as numbers: {reason}") from error
    if any(map(math.isinf, numbers)):
        raise MischanceError(f"column {name!r} of {path.name!r} holds infinite values")
    return [number for number in numbers if not math.isnan(number)]


def _place(path: Path, name: str, header: list[str]) -> int:
    names = [word.strip() for word in header]
    if name not in names:
        known = ", ".join(names[:12]) or "none"
        hint = "  ".join(filter(None, (suggest(name, names), f"it has: {known}")))
        raise MischanceError(f"{path.name!r} has no column {name!r}", hint)
    return names.index(name)
