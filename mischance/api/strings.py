"""Arrow string arrays, as columns of type 'utf8' hold them. pyarrow is imported when the first such column is met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mischance.errors import TruthError

if TYPE_CHECKING:
    import pyarrow as pa

    from mischance.api.tables import AnyArray, BoolArray, IntArray


def is_strings(values: Any) -> bool:
    """Return whether values are an Arrow array of strings."""
    if isinstance(values, np.ndarray):
        return False
    import pyarrow as pa

    return isinstance(values, pa.Array) and (pa.types.is_string(values.type) or pa.types.is_large_string(values.type))


def strings(values: Any) -> AnyArray:
    """Return strings (Python's, NumPy's or Arrow's; None is null) as an Arrow string array; shape (n,).

    Raises:
        TruthError: a value is no string, or no UTF-8.
    """
    import pyarrow as pa

    if is_strings(values):
        return cast("AnyArray", values)
    if isinstance(values, pa.ChunkedArray):
        return cast("AnyArray", values.combine_chunks())
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    try:
        return cast("AnyArray", pa.array(listed, pa.string()))
    except pa.ArrowCapacityError:  # above 2 GiB
        return cast("AnyArray", pa.array(listed, pa.large_string()))
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeError, TypeError) as error:
        raise TruthError(f"a column of strings holds what is none: {error}") from error


def joined_strings(parts: Sequence[AnyArray]) -> AnyArray:
    """Return the parts one after the other; above 2 GiB as large strings."""
    import pyarrow as pa

    if not parts:
        return strings([])
    arrays = cast("Sequence[pa.Array]", parts)
    large = sum(_bytes(part) for part in arrays) >= 2**31 or any(pa.types.is_large_string(a.type) for a in arrays)
    if large:
        arrays = [part.cast(pa.large_string()) for part in arrays]
    return cast("AnyArray", pa.concat_arrays(arrays))


def chosen_strings(values: AnyArray, rows: IntArray | BoolArray) -> AnyArray:
    """Return those rows: by number, or where a mask is true."""
    import pyarrow as pa

    array = cast("pa.Array", values)
    found = array.filter(pa.array(rows)) if rows.dtype == np.bool_ else array.take(pa.array(rows))
    if isinstance(found, pa.ChunkedArray):  # what take returns above 2 GiB
        return joined_strings(cast("Sequence[AnyArray]", found.chunks))
    return cast("AnyArray", found)


def _bytes(array: pa.Array) -> int:
    """Return the bytes of the letters that an array refers to."""
    ends = string_offsets(array)
    return int(ends[-1] - ends[0])


def string_offsets(array: pa.Array) -> AnyArray:
    """Return where each string begins in the data buffer, and where the last one ends; shape (n + 1,)."""
    import pyarrow as pa

    kind = np.int64 if pa.types.is_large_string(array.type) else np.int32
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.zeros(len(array) + 1, np.int64)
    offsets: AnyArray = np.frombuffer(buffer, kind)[array.offset : array.offset + len(array) + 1]
    return offsets
