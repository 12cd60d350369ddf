"""The compiled keyed generator: the published answers, and the bits of the one in NumPy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mischance.api import randomness
from mischance.api.kernels import kernel
from mischance.api.keyed_kernels import philox_words, uniform_at, uniforms_at
from mischance.api.randomness import Streams, key_words, keyed_uniform

# Random123, tests/kat_vectors: philox4x32 with 10 rounds; counter, key, answer.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[np.uint64]:
    return [np.uint64(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_the_kernel_gives_the_published_known_answers(counter: str, key: str, answer: str):
    assert [int(x) for x in philox_words(*words(counter), *words(key))] == [int(x) for x in words(answer)]


def test_the_kernel_has_the_bits_of_numpy(monkeypatch: pytest.MonkeyPatch):
    keys = np.random.default_rng(1).integers(0, 2**63, 100_000)
    for digest, draw in ((b"12345678", 0), (bytes(range(200, 232)), 3), (b"\xff" * 8, 2**32 - 1)):
        compiled = np.empty(len(keys))
        uniforms_at(*key_words(digest), keys.astype(np.uint64), np.uint64(draw), compiled)
        with monkeypatch.context() as patch:
            patch.setattr(randomness, "_LOADED", 10**9)
            plain = keyed_uniform(digest, keys, draw)
        assert compiled.tobytes() == plain.tobytes()
        assert keyed_uniform(digest, keys, draw).tobytes() == plain.tobytes()


def test_a_kernel_draws_what_the_stream_draws():
    @kernel
    def total(key0, key1, rows):
        found = 0.0
        for row in rows:
            found += uniform_at(key0, key1, row, np.uint64(2))
        return found

    streams = Streams(7, 3)
    rows = np.arange(50, dtype=np.uint64)
    for _ in range(2):
        assert total(*streams.key("shop"), rows) == sum(streams.uniform("shop", rows, 2).tolist())
        streams.rekey("elsewhere")
    assert streams.key("shop") != Streams(7, 3).key("shop")


def test_few_keys_do_not_import_numba():
    code = "import sys; from mischance.api.randomness import run_uniform; run_uniform(1, 'gap', range(5000));"
    subprocess.run([sys.executable, "-c", code + "sys.exit('numba' in sys.modules)"], check=True)
