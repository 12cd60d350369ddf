"""Streams of random numbers that have names, so that one seed means one story.

A stream is `Generator(PCG64(words))` with the words from a BLAKE2b hash of
`seed/run/component/entity/branch`. Any run can be had alone, at any worker
count, resumed or fresh. A value that belongs to a row, not to a moment, comes
from `Streams.uniform`: a counter-based generator keyed by the row's identity.
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.random import PCG64, Generator
from numpy.random.bit_generator import ISeedSequence

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mischance.api.tables import FloatArray, UIntArray


def _digest(*parts: str | int) -> bytes:
    """Hash a name made of parts; a slash inside a part cannot pass for a border between two."""
    name = "/".join(str(part).replace("%", "%25").replace("/", "%2F") for part in parts)
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=32).digest()


class _Words(ISeedSequence):
    """Hands 256 hashed bits to a bit generator as they are."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> UIntArray:
        """Return the first n_words words of the digest."""
        return cast("UIntArray", np.frombuffer(self._digest, dtype=dtype)[:n_words])  # type: ignore[call-overload]


def generator(seed: int, run: int, component: str, entity: str = "", branch: str = "") -> Generator:
    """Return the stream of that name, from its beginning."""
    words = _Words(_digest(seed, run, component, entity, branch))
    return Generator(PCG64(words))  # type: ignore[arg-type]  # the stubs know SeedSequence alone


class Streams:
    """The random streams of one run.

    Calling it with a component (and an entity) returns that stream: the same
    generator at every call, made when first used. `rekey` starts a branch:
    every stream, handed out or not, goes on under a new name.
    """

    def __init__(self, seed: int, run: int) -> None:
        self.seed = seed
        self.run = run
        self._branch = ""
        self._streams: dict[tuple[str, str], Generator] = {}

    def __call__(self, component: str, entity: str = "") -> Generator:
        """Return the stream of a component and, where it has many, of one entity."""
        name = (component, entity)
        found = self._streams.get(name)
        if found is None:
            found = generator(self.seed, self.run, component, entity, self._branch)
            self._streams[name] = found
        return found

    def uniform(self, component: str, keys: ArrayLike, draw: int = 0) -> FloatArray:
        """Return one uniform in (0, 1) for each row key, whatever rows stand beside it.

        Args:
            component: who asks.
            keys: identities of rows, integers in [0, 2**63); shape (n,).
            draw: the how-many-th number of that row.
        """
        return keyed_uniform(_digest(self.seed, self.run, component, self._branch), keys, draw)

    def key(self, component: str) -> tuple[np.uint64, np.uint64]:
        """Return the key by which a kernel draws what `uniform` returns: `keyed_kernels.uniform_at(*key, row, draw)`.

        A branch changes it.
        """
        return key_words(_digest(self.seed, self.run, component, self._branch))

    def rekey(self, key: str) -> None:
        """Branch: from now on every stream of this run is another one, named after `key`."""
        self._branch = f"{self._branch}>{key}"
        for (component, entity), stream in self._streams.items():
            fresh = generator(self.seed, self.run, component, entity, self._branch)
            stream.bit_generator.state = fresh.bit_generator.state


def run_uniform(seed: int, name: str, runs: ArrayLike, draw: int = 0) -> FloatArray:
    """Return one uniform in (0, 1) for each run, keyed by (seed, name, run, draw); shape (n,)."""
    return keyed_uniform(_digest(seed, "draw", name), runs, draw)


def key_words(digest: bytes) -> tuple[np.uint64, np.uint64]:
    """Return the two words of 32 bits by which `keyed_uniform` and `keyed_kernels.uniform_at` key a stream."""
    first, second = np.frombuffer(digest[:8], dtype="<u4").astype(np.uint64)
    return first, second


def keyed_uniform(digest: bytes, keys: ArrayLike, draw: int = 0) -> FloatArray:
    """Return uniforms in (0, 1) that depend on (digest, key, draw) alone; shape (n,).

    Many keys go through the compiled generator, with the same bits: where it is loaded, from a few hundred on; where
    numba must be imported for it, from as many on as take NumPy that long.

    Source:
        Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011 (Philox 4x32-10).
    """
    counter = np.asarray(keys).astype(np.uint64)
    key0, key1 = key_words(digest)
    if counter.size >= (_LOADED if "mischance.api.keyed_kernels" in sys.modules else _WORTH_LOADING):
        from mischance.api.keyed_kernels import uniforms_at

        found = np.empty(counter.shape)
        uniforms_at(key0, key1, counter.reshape(-1), np.uint64(draw), found.reshape(-1))
        return found
    low, high = counter & _MASK, counter >> _SHIFT
    x0, x1, _, _ = philox(low, high, np.full_like(low, draw), np.zeros_like(low), int(key0), int(key1))
    bits = (x0 << np.uint64(20)) | (x1 >> np.uint64(12))
    return (bits.astype(np.float64) + 0.5) * 2.0**-52


_LOADED, _WORTH_LOADING = 256, 10_000_000
_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox(
    c0: UIntArray, c1: UIntArray, c2: UIntArray, c3: UIntArray, key0: int, key1: int
) -> tuple[UIntArray, UIntArray, UIntArray, UIntArray]:
    """Encrypt counters with Philox 4x32-10; four words of 32 bits in, four out, held in uint64 arrays."""
    m0, m1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    for _ in range(10):
        p0, p1 = c0 * m0, c2 * m1
        k0, k1 = np.uint64(key0), np.uint64(key1)
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _MASK, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _MASK
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3
