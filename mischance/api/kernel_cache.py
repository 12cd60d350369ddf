# mypy: disallow-subclassing-any=False
"""Compiled kernels on disk, keyed by all that their machine code depends on.

Numba's own cache looks at the file of the cached function alone: after a change in a function that it calls, in
another file, it goes on with the old code. Its index is also read and rewritten without a lock, so that of two
processes that compile at the same time one may be handed the other's code. Here each compiled signature is a file of
its own, and its name holds the hash of the code of all kernels that are called, of the constants that they read, of
the signature, the versions and the CPU.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, Protocol

import llvmlite
import numba
import numpy as np
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps
from numba.core.types import Type

from mischance.api.phases import phase

FOLDER = "MISCHANCE_KERNELS"  # environment variable: where compiled kernels are kept
FORMAT = b"mischance kernel 1"
KEPT = 90 * 86400.0  # seconds without use after which a file is removed
PATIENCE = 300.0  # seconds to wait for another process that compiles the same
_SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DISABLE_INTEL_SVML")
_LIBRARIES = frozenset({"builtins", "cmath", "math", "numba", "numpy", "operator"})  # the versions stand for them


# -- fingerprint -------------------------------------------------------------------------------------------------------


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def fingerprint(function: FunctionType) -> bytes:
    """Return a hash of a function's code, of all kernels that it calls, and of all constants that they read.

    Kernels read the values that global names have when they are compiled; so does this. Changes of comments and of
    line numbers leave it as it is.

    Raises:
        TypeError: a global name holds something whose value cannot be hashed.
    """
    total = blake2b(digest_size=16)
    _function(function, total, {})
    return total.digest()


def _function(function: FunctionType, total: _Hash, seen: dict[int, int]) -> None:
    if id(function) in seen:
        total.update(b"again %d;" % seen[id(function)])
        return
    seen[id(function)] = len(seen)
    code = function.__code__
    _code(code, total)
    names = _names(code)
    _value("defaults", (function.__defaults__, tuple((function.__kwdefaults__ or {}).items())), names, total, seen)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        _value(name, cell.cell_contents, names, total, seen)
    for name in sorted(names):
        if name in function.__globals__:
            _value(name, function.__globals__[name], names, total, seen)


def _names(code: CodeType) -> frozenset[str]:
    """Return the global names and attributes that a function uses, with those of functions inside it."""
    inside = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(code.co_names).union(*inside)


def _code(code: CodeType, total: _Hash) -> None:
    for part in (code.co_code, code.co_exceptiontable):
        total.update(b"%d:" % len(part) + part)
    shape = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_argcount, code.co_flags)
    total.update(repr((shape, code.co_kwonlyargcount, code.co_posonlyargcount)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _code(constant, total)
        else:
            total.update(_literal(constant))


def _literal(value: object) -> bytes:
    """Return a constant as bytes, the same in every process (a set has no order)."""
    if isinstance(value, frozenset):
        return b"set" + b"".join(sorted(map(_literal, value)))
    if isinstance(value, tuple):
        return b"(" + b",".join(map(_literal, value)) + b")"
    return f"{type(value).__name__} {value!r};".encode()


def _value(name: str, value: object, names: frozenset[str], total: _Hash, seen: dict[int, int]) -> None:
    """Hash what a name holds; `names`: the attributes that may be taken of it where it is a module or a class."""
    total.update(name.encode() + b"=")
    if isinstance(value, Dispatcher):
        total.update(repr(sorted(value.targetoptions.items())).encode())
        _function(value.py_func, total, seen)
    elif isinstance(value, FunctionType):
        _function(value, total, seen)
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | frozenset | enum.Enum):
        total.update(_literal(value))
    elif isinstance(value, tuple):
        total.update(f"{type(value).__name__} of {len(value)}".encode())
        for item in value:
            _value("", item, names, total, seen)
    elif isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        total.update(f"{array.dtype.descr} {array.shape}".encode() + array.tobytes())
    elif isinstance(value, np.dtype | Type):
        total.update(repr(value).encode())
    elif isinstance(value, BuiltinFunctionType | np.ufunc) or _from_library(value):
        total.update(f"{getattr(value, '__module__', '')}.{getattr(value, '__name__', repr(value))};".encode())
    elif isinstance(value, ModuleType):
        for attribute in sorted(names):
            if hasattr(value, attribute):
                _value(attribute, getattr(value, attribute), names, total, seen)
    elif isinstance(value, type) and issubclass(value, enum.Enum):
        for member in value:
            _value(member.name, member.value, names, total, seen)
    elif isinstance(value, type) and issubclass(value, tuple):
        total.update(repr((value.__qualname__, getattr(value, "_fields", ()))).encode())
    else:
        raise TypeError(
            f"a kernel reads the global name {name!r}, a {type(value).__name__}, whose value cannot be told from"
            " another: pass it as an argument, or make it a number, a tuple or an array"
        )


def _from_library(value: object) -> bool:
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return str(module).partition(".")[0] in _LIBRARIES


# -- files -------------------------------------------------------------------------------------------------------------


def folder() -> Path | None:
    """Return the folder for compiled kernels; None where none can be written to.

    The first that can be written to of: $MISCHANCE_KERNELS, $NUMBA_CACHE_DIR/mischance, the user's cache folder, and
    a folder of the user's own among the temporary files.
    """
    places = []
    if os.environ.get(FOLDER):
        places.append(Path(os.environ[FOLDER]))
    elif os.environ.get("NUMBA_CACHE_DIR"):
        places.append(Path(os.environ["NUMBA_CACHE_DIR"]) / "mischance")
    else:
        with contextlib.suppress(RuntimeError):  # no home folder
            places.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mischance" / "kernels")
    places.append(Path(tempfile.gettempdir()) / f"mischance-kernels-{os.getuid()}")
    return next(filter(_is_ours, places), None)


def _is_ours(place: Path) -> bool:
    """Say whether a folder can be written to by this user and by nobody else: what lies in it is run."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = place.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & 0o002 and os.access(place, os.W_OK | os.X_OK)


class KernelCache(_Cache):
    """The compiled signatures of one kernel on disk."""

    def __init__(self, function: FunctionType, options: dict[str, Any]) -> None:
        self._function = function
        self._options = options
        self._enabled = True
        self._begun = 0.0

    @property
    def cache_path(self) -> Any:
        """The folder."""
        place = folder()
        return str(place) if place else None

    def enable(self) -> None:
        """Read and write files."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write."""
        self._enabled = False

    def flush(self) -> None:
        """Remove every version of this kernel."""
        place = folder()
        for path in place.glob(f"{self._name}-*.kernel") if place else ():
            path.unlink(missing_ok=True)

    def load_overload(self, sig: object, target_context: Any) -> Any:
        """Return a compiled signature, or None: there is none, or its file is damaged."""
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        payload = _read(path) if path else None
        if path is None or payload is None:
            return None
        try:
            found = CompileResult._rebuild(target_context, *pickle.loads(payload))
        except Exception:  # whatever is wrong with a file, there is the source
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # it is in use
        return found

    def save_overload(self, sig: object, data: Any) -> None:
        """Keep a compiled signature; where the disk is full or may not be written to, it is left."""
        path = self._path(sig, data.codegen)
        if path is None or data.library.has_dynamic_globals:
            return
        payload = dumps(data._reduce())
        head = b"%s %s %.2f\n" % (FORMAT, _digest(payload), time.process_time() - self._begun)
        with contextlib.suppress(OSError):
            _write(path, head + payload)
            _tidy(path.parent)

    @contextlib.contextmanager
    def turn(self, sig: object, target_context: Any) -> Iterator[None]:
        """Let one process compile a signature while others that want the same wait for its file."""
        path = self._path(sig, target_context.codegen())
        if path is None or _read(path) is not None:
            yield
            return
        with _locked(path.with_suffix(".lock")):
            if _read(path) is not None:
                yield
                return
            self._begun, begun, before = time.process_time(), time.monotonic(), _SPENT.get(self._group, 0.0)
            with phase(f"compiling the kernels of {self._group}, once", _expected(path.parent, self._group)):
                yield
            _SPENT[self._group] = before + time.monotonic() - begun
            with contextlib.suppress(OSError):
                _write(path.parent / f"{self._group}.seconds", b"%.1f" % _SPENT[self._group])

    @property
    def _name(self) -> str:
        return f"{self._function.__module__}.{self._function.__qualname__}".replace("<locals>", "")

    @property
    def _group(self) -> str:
        """What a person knows the kernel by: `simulators.road`."""
        parts = self._function.__module__.split(".")
        return ".".join(parts[1:3] if parts[0] == "mischance" and len(parts) > 1 else parts[:2])

    def _path(self, sig: object, codegen: Any) -> Path | None:
        place = folder() if self._enabled else None
        signature = repr(sig)
        if place is None or " at 0x" in signature:  # an object by its address: no other process has it
            return None
        key = blake2b(digest_size=16)
        key.update(_environment() + repr((signature, codegen.magic_tuple(), sorted(self._options.items()))).encode())
        key.update(fingerprint(self._function))
        return place / f"{self._name}-{key.hexdigest()}.kernel"


_SPENT: dict[str, float] = {}  # seconds that this process has compiled, by group


def _environment() -> bytes:
    """Return what machine code depends on beside its source: versions, and numba's settings."""
    settings = {name: getattr(config, name, None) for name in _SETTINGS}
    versions = (sys.implementation.cache_tag, numba.__version__, llvmlite.__version__, np.__version__)
    return repr((FORMAT, versions, settings)).encode()


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=16).hexdigest().encode()


def _read(path: Path) -> bytes | None:
    """Return what a file holds, if it is whole."""
    try:
        head, _, payload = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return payload if head.startswith(b"%s %s " % (FORMAT, _digest(payload))) else None


def _write(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _tidy(place: Path) -> None:
    """Remove what nobody has used for a long time."""
    oldest = time.time() - KEPT
    for path in place.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _expected(place: Path, group: str) -> float | None:
    """Return what this machine's last compile of a group took [s]."""
    try:
        return float((place / f"{group}.seconds").read_text())
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; where that does not work, or another process holds it too long, go on without."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            if not _try(descriptor):
                with phase("waiting for another process that compiles the same kernels"):
                    last = time.monotonic() + PATIENCE
                    while not _try(descriptor) and time.monotonic() < last:
                        time.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
