"""Compiled kernels: the file on disk follows every kernel and constant below; a damaged one is compiled again."""

from __future__ import annotations

import fcntl
import importlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("numba")
from numba.core import config

from mischance.api import kernel_cache
from mischance.api.kernels import kernel
from mischance.api.phases import Phase, listen

FILES = {
    "top.py": """
from mischance.api.kernels import kernel
from .middle import middle

@kernel
def top(x):
    return 2.0 * middle(x)
""",
    "middle.py": """
import numpy as np
from mischance.api.kernels import kernel
from . import numbers
from .numbers import GAIN, TABLE

MODES = frozenset(("fast", "slow", "idle", "broken"))

@kernel
def middle(x):
    if "idle" in ("fast", "slow"):
        return 0.0
    return GAIN * x + TABLE[1] + numbers.OFFSET
""",
    "numbers.py": """
import numpy as np

GAIN = 3.0
TABLE = np.array([0.0, 0.5])
OFFSET = 0.25
""",
}
PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
from pack.top import top
print(top(1.0), sum(top.stats.cache_hits.values()), sum(top.stats.cache_misses.values()))
"""


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for compiled kernels of a test's own."""
    folder = tmp_path / "kernels"
    monkeypatch.setenv(kernel_cache.FOLDER, str(folder))
    return folder


@pytest.fixture
def pack(tmp_path: Path, kernels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Write the package with some text replaced, import it anew and return its module `top`."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget() -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "pack"]:
            del sys.modules[name]

    def make(old: str = "", new: str = "") -> ModuleType:
        assert any(old in text for text in FILES.values())
        for name, text in FILES.items():
            (tmp_path / "pack" / name).write_text(text.replace(old, new) if old else text)
        forget()
        importlib.invalidate_caches()
        return importlib.import_module("pack.top")

    yield make
    forget()


def hits_and_misses(module: ModuleType) -> tuple[int, int]:
    stats = module.top.stats
    return sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("2.0 * middle", "-2.0 * middle", -7.5),  # the function itself
        ("GAIN * x", "-GAIN * x", -4.5),  # a kernel in another file
        ("GAIN = 3.0", "GAIN = 4.0", 9.5),  # a constant, imported by name into that file
        ("0.5]", "1.5]", 9.5),  # an array
        ("OFFSET = 0.25", "OFFSET = 1.25", 9.5),  # a constant of a module
    ],
)
def test_a_change_in_any_file_below_is_compiled_and_nothing_else_is(
    pack: Callable[..., ModuleType], old: str, new: str, value: float
):
    first = pack()
    assert (first.top(1.0), hits_and_misses(first)) == (7.5, (0, 1))
    changed = pack(old, new)
    assert (changed.top(1.0), hits_and_misses(changed)) == (value, (0, 1))
    back = pack()
    assert (back.top(1.0), hits_and_misses(back)) == (7.5, (1, 0))
    commented = pack("@kernel", "# another line\n\n@kernel")
    assert (commented.top(1.0), hits_and_misses(commented)) == (7.5, (1, 0))


def test_another_process_loads_what_this_one_compiled(pack: Callable[..., ModuleType], tmp_path: Path):
    assert pack().top(1.0) == 7.5
    environment = {**os.environ, "PYTHONHASHSEED": "7"}  # a set's order is another one there
    command = [sys.executable, "-c", PROBE, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7.5", "1", "0"]


@pytest.mark.parametrize("damage", ["a flipped bit", "a cut end", "nothing in it", "a part of another format"])
def test_a_damaged_file_is_compiled_again(pack: Callable[..., ModuleType], kernels: Path, damage: str):
    pack().top(1.0)
    (path,) = kernels.glob("*.kernel")
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    path.write_bytes(
        {"a flipped bit": bytes(flipped), "a cut end": data[:-100], "nothing in it": b""}.get(damage, b"\x80" + data)
    )
    again = pack()
    assert (again.top(1.0), hits_and_misses(again)) == (7.5, (0, 1))
    mended = pack()
    assert (mended.top(1.0), hits_and_misses(mended)) == (7.5, (1, 0))


def test_a_whole_file_that_numba_cannot_read_is_compiled_again(pack: Callable[..., ModuleType], kernels: Path):
    pack().top(1.0)
    (path,) = kernels.glob("*.kernel")
    payload = b"not a pickle"
    path.write_bytes(b"%s %s 0.0\n" % (kernel_cache.FORMAT, kernel_cache._digest(payload)) + payload)
    again = pack()
    assert (again.top(1.0), hits_and_misses(again)) == (7.5, (0, 1))


def test_where_nothing_can_be_written_kernels_are_compiled_in_memory(
    pack: Callable[..., ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "a file"
    file.write_text("")
    monkeypatch.setenv(kernel_cache.FOLDER, str(file / "below"))
    monkeypatch.setattr(tempfile, "tempdir", str(file))
    assert kernel_cache.folder() is None
    assert pack().top(1.0) == 7.5


def test_a_folder_that_others_may_write_to_is_not_used(kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert kernel_cache.folder() == kernels
    kernels.chmod(0o777)
    assert kernel_cache.folder() == tmp_path / "temporary" / f"mischance-kernels-{os.getuid()}"


def test_one_process_compiles_while_others_wait(pack: Callable[..., ModuleType], kernels: Path):
    module = pack()
    heard: list[Phase | None] = []
    path = module.top._cache._path((kernel_cache.numba.float64,), module.top.targetctx.codegen())
    kernels.mkdir(exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:  # as another process does that compiles
        fcntl.flock(file, fcntl.LOCK_EX)
        with listen(heard.append):
            waits = threading.Thread(target=module.top, args=(1.0,))
            waits.start()
            time.sleep(0.3)
            assert waits.is_alive()
            assert not list(kernels.glob("*.kernel"))
            assert [each.name for each in heard if each] == [
                "waiting for another process that compiles the same kernels"
            ]
            fcntl.flock(file, fcntl.LOCK_UN)
            waits.join(timeout=60)
    assert not waits.is_alive()
    assert len(list(kernels.glob("*.kernel"))) == 1


def test_a_compile_says_what_it_is_and_what_it_took_the_last_time(pack: Callable[..., ModuleType], kernels: Path):
    heard: list[Phase | None] = []
    with listen(heard.append):
        pack().top(1.0)
        pack("GAIN = 3.0", "GAIN = 5.0").top(1.0)
        loaded = pack()
        loaded.top(1.0)
    assert hits_and_misses(loaded) == (1, 0)
    first, end, second, last = heard
    assert first == Phase("compiling the kernels of pack.top, once")
    assert end is last is None
    assert second is not None
    assert second.seconds is not None
    assert 0.0 <= second.seconds < 60.0


def test_settings_that_change_the_code_have_files_of_their_own(pack: Callable[..., ModuleType], monkeypatch):
    top = pack().top
    place = top._cache._path((kernel_cache.numba.float64,), top.targetctx.codegen())
    for name, value in (("BOUNDSCHECK", 1), ("OPT", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(config, name, value)
            assert top._cache._path((kernel_cache.numba.float64,), top.targetctx.codegen()) != place


def test_old_files_go(kernels: Path, pack: Callable[..., ModuleType]):
    kernels.mkdir()
    old, new = kernels / "old.kernel", kernels / "new.kernel"
    for path in (old, new):
        path.write_text("")
    os.utime(old, (0, time.time() - kernel_cache.KEPT - 60.0))
    pack().top(1.0)
    assert (old.exists(), new.exists()) == (False, True)


class Odd:
    """Something that no kernel can read."""


ODD = Odd()


def test_a_constant_whose_value_cannot_be_told_is_refused(kernels: Path):
    @kernel
    def reads(x):
        return x + (ODD is None)

    with pytest.raises(TypeError, match="'ODD', a Odd, whose value cannot be told"):
        reads(1.0)


# -- what numba must make of them --------------------------------------------------------------------------------------


@kernel
def factorial(n):
    if n <= 1:
        return 1
    return n * factorial(n - 1)


@kernel
def part(values, first, last):
    return values[first:last]


@kernel
def total(values):
    found = 0.0
    for value in values[1:3]:
        found += value
    return found


@kernel(allocates=True)
def doubled(values):
    new = 2.0 * values
    return part(new, 0, 2), total(new)


@kernel
def ratio(a, b):
    return a / b


def test_kernels_call_themselves_take_slices_and_make_arrays(kernels: Path):
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert factorial(10) == 3628800
    assert total(values) == 5.0
    for _ in range(3):  # an array that is freed too early holds something else
        slice_, sum_ = doubled(values)
        np.full(4, np.nan)
        assert slice_.tolist() == [2.0, 4.0]
        assert sum_ == 10.0
    assert ratio(1.0, 0.0) == np.inf


def test_a_kernel_frees_the_gil():
    assert factorial.targetoptions["nogil"]
