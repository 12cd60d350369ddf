"""The keyed generator, compiled: Philox 4x32-10 for one key, to be called inside kernels, and over arrays of keys.

Bit for bit what `mischance.api.randomness.keyed_uniform` computes with NumPy. Importing this imports numba.

Source:
    Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.
"""

from __future__ import annotations

import numpy as np

from mischance.api.kernels import kernel
from mischance.api.tables import FloatArray, UIntArray

_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_UP, _DOWN = np.uint64(20), np.uint64(12)


@kernel
def philox_words(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, key0: np.uint64, key1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Encrypt one counter of four words of 32 bits; they are held in uint64, as are the two words of the key."""
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ key0, p1 & _MASK, (p0 >> _HALF) ^ c3 ^ key1, p0 & _MASK
        key0, key1 = (key0 + _W0) & _MASK, (key1 + _W1) & _MASK
    return c0, c1, c2, c3


@kernel
def uniform_at(key0: np.uint64, key1: np.uint64, key: np.uint64, draw: np.uint64) -> float:
    """Return the uniform in (0, 1) of one row.

    Args:
        key0: first word of the stream, as `randomness.key_words` gives it.
        key1: second word.
        key: identity of the row.
        draw: the how-many-th number of that row, below 2**32.
    """
    x0, x1, _, _ = philox_words(key & _MASK, key >> _HALF, draw, np.uint64(0), key0, key1)
    return (np.float64((x0 << _UP) | (x1 >> _DOWN)) + 0.5) * 2.0**-52


@kernel
def uniforms_at(key0: np.uint64, key1: np.uint64, keys: UIntArray, draw: np.uint64, out: FloatArray) -> None:
    """Fill `out` with the uniforms of many rows; shapes (n,)."""
    for i in range(len(keys)):
        out[i] = uniform_at(key0, key1, keys[i], draw)
