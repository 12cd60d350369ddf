"""The user's own code behind a plug-in: found, loaded anew as often as asked, and told apart from libraries.

A file keeps things in its module (a counter, a controller with a memory), and so do the modules that it imports. What
is shared between two runs makes the one depend on the other, so that every run of a user's plug-in gets a copy: its
class or function, its module and every module of the user's that it imports are loaded anew. Libraries are loaded
once: what lies below the environment's own folders (standard library, site-packages) belongs to nobody's run.

C extensions cannot be loaded twice in one process: they are shared, as libraries are.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache, lru_cache
from operator import attrgetter, itemgetter
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

# Modules of the standard library that keep a state which runs must not share: each copy has its own.
_STATEFUL = ("random",)  # and of libraries numpy.random, whose state is exchanged
_PREFIX = "_mischance_plugin_"  # of the modules of files


@lru_cache(maxsize=1)
def _environment() -> tuple[str, ...]:
    """Return the folders of the standard library and of installed packages, each with a separator at its end."""
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(sorted(f"{Path(folder).resolve()}/" for folder in folders))


def is_own(name: str, module: ModuleType) -> bool:
    """Say whether a module is the user's: Python source outside of the environment, and no part of mischance."""
    if name == "__main__" or name.partition(".")[0] == "mischance":
        return False
    file = getattr(module, "__file__", None)
    if file is None:  # a package without __init__.py is where its folder is
        return any(outside_environment(f"{place}/") for place in getattr(module, "__path__", ()))
    return str(file).endswith(".py") and outside_environment(str(file))


@cache
def outside_environment(path: str) -> bool:
    """Say whether a path is neither of the standard library nor of an installed package."""
    return not f"{Path(path).resolve()}/".startswith(_environment())


_FURTHER: list[str] = []  # folders that are searched after a plug-in's own, for modules that no source speaks of


def search_too(folders: Sequence[str]) -> None:
    """Search these folders, too, for modules of the user's, after the folder that a plug-in's file stands in."""
    _FURTHER[:] = folders


class _Reads:
    """Notes which files are read while user code runs; `files` is None while none does."""

    files: set[str] | None = None
    installed = False

    def install(self) -> None:
        """Begin to listen; a process cannot stop to."""
        if not self.installed:
            self.installed = True
            sys.addaudithook(self)

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "open" and self.files is not None:
            path, mode, flags = given
            reads = not set(mode or "") & set("wax+") and not (flags or 0) & (os.O_WRONLY | os.O_RDWR)
            if isinstance(path, str) and reads and not path.endswith((".py", ".pyc", ".so")):
                self.files.add(os.path.abspath(path))


_READ = _Reads()


class Copy:
    """One copy of a user's plug-in: the class or function, and the modules that belong to it alone.

    Use it as a context around every call into the plug-in: an `import` inside a function finds this copy's modules.
    """

    def __init__(self, code: UserCode, modules: dict[str, ModuleType]) -> None:
        self._code, self._modules = code, modules
        self.plugin: Any = None
        self._aside: dict[str, ModuleType] = {}
        self._size = 0
        self._paths: list[str] = []
        self._numbers: Any = None  # the state of numpy.random while this copy is not entered
        self._outside: Any = None  # that of everybody else while it is

    def __enter__(self) -> Copy:
        loaded = sys.modules
        self._aside = {name: loaded.pop(name) for name in self._code.shared if name in loaded}
        loaded.update(self._modules)
        self._paths = [*([self._code.root] if self._code.root else []), *_FURTHER]
        sys.path[:0] = self._paths
        _READ.files = self._code.opened
        self._size = len(loaded)
        if self._numbers is not None:
            import numpy as np

            self._outside = np.random.get_state(legacy=False)  # noqa: NPY002  # it is the user who uses it
            np.random.set_state(self._numbers)  # noqa: NPY002  # it is the user who uses it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loaded = sys.modules
        if self._outside is not None:
            import numpy as np

            self._numbers = np.random.get_state(legacy=False)  # noqa: NPY002  # it is the user who uses it
            np.random.set_state(self._outside)  # noqa: NPY002  # it is the user who uses it
            self._outside = None
        if len(loaded) != self._size:
            self.gather()
        for name in self._modules:
            loaded.pop(name, None)
        loaded.update(self._aside)
        self._aside = {}
        for path in self._paths:
            if path in sys.path:
                sys.path.remove(path)
        _READ.files = None

    def gather(self) -> None:
        """Take over the user's modules that were imported since this copy was entered."""
        for name, module in self._code.own_modules():
            if name not in self._modules:
                self._modules[name] = module
                self._code.note(name, module)

    def keep(self) -> None:
        """Leave the plug-in's own module where others find it: settings and classes are looked up there."""
        own = self._code.module
        sys.modules.update(
            {name: each for name, each in self._modules.items() if name.startswith(_PREFIX) or name == own}
        )

    def seed(self, seed: int, run: int) -> None:
        """Seed the copy's own `random`, and `numpy.random` where its sources speak of it."""
        self._modules["random"].seed(f"{seed}:{run}")
        if self._code.draws:
            import numpy as np

            self._numbers = np.random.RandomState(
                np.frombuffer(hashlib.blake2b(f"{seed}:{run}".encode(), digest_size=16).digest(), np.uint32)
            ).get_state(legacy=False)


@dataclass(eq=False)
class UserCode:
    """Where a plug-in of the user's stands: an attribute of a file or of a module that can be imported.

    Args:
        attribute: name of the class or function; may have dots.
        file: the file; its folder is searched for modules first, as for a script.
        module: the name of the module, where no file is given.
        adapt: what turns the attribute into a plug-in's class; it raises CatalogError where it is none.
    """

    attribute: str
    file: Path | None = None
    module: str = ""
    adapt: Callable[[Any], Any] = lambda found: found
    files: dict[str, Path] = field(default_factory=dict)
    """Module name -> source file of every module of the user's that was loaded so far, '' for the file itself."""
    shared: tuple[str, ...] = ()
    """Names of modules in this process that a copy must not see: it has its own."""
    opened: set[str] = field(default_factory=set)
    """Files that the code has read, other than its sources."""
    draws: bool = False
    """Whether a source that was loaded speaks of random numbers."""
    root: str = ""
    """The folder that is searched for modules first: by default that of the file; '' = none."""
    _compiled: tuple[str, CodeType] | None = None
    _libraries: set[str] = field(default_factory=set)  # names of loaded modules that are not the user's

    def __post_init__(self) -> None:
        if self.file is not None:
            self.root = str(self.file.parent.resolve())

    def owns(self, name: str, module: ModuleType) -> bool:
        """Say whether each copy has its own of this module: the user's, or of the plug-in's own package."""
        package = self.module.partition(".")[0]
        mine = bool(package) and name.partition(".")[0] == package and package != "mischance"
        return is_own(name, module) or (mine and str(getattr(module, "__file__", "")).endswith(".py"))

    def own_modules(self) -> list[tuple[str, ModuleType]]:
        """Return the modules of this process that a copy has for itself."""
        found = []
        for name in sys.modules.keys() - self._libraries:
            module = sys.modules[name]
            if isinstance(module, ModuleType) and self.owns(name, module):
                found.append((name, module))
            else:
                self._libraries.add(name)
        return sorted(found, key=itemgetter(0))

    def note(self, name: str, module: ModuleType) -> None:
        """Remember the source of a module that belongs to this plug-in."""
        file = getattr(module, "__file__", None)
        if file is not None and name not in self.files:
            self.files[name] = Path(file)
            self.draws = self.draws or b"random" in self.files[name].read_bytes()

    def load(self, pick: Callable[[ModuleType], Any] | None = None) -> Copy:
        """Return a new copy.

        Args:
            pick: returns the plug-in of the module, instead of `attribute` and `adapt`.
        """
        _READ.install()
        self.shared = (*_STATEFUL, *(name for name, _ in self.own_modules()))
        copy = Copy(self, {name: _anew(name) for name in _STATEFUL})
        with copy, redirect_stdout(sys.stderr):  # output of a user's file is for people: stdout is reserved for data
            found: Any = self._own_module() if self.file is not None else importlib.import_module(self.module)
            copy.gather()
            if pick is not None:
                copy.plugin = pick(found)
            else:
                copy.plugin = self.adapt(attrgetter(self.attribute)(found) if self.attribute else found)
        return copy

    def _own_module(self) -> ModuleType:
        """Run the file as a module of its own and return it."""
        assert self.file is not None
        text = self.file.read_bytes()
        stamp = hashlib.blake2b(text, digest_size=8).hexdigest()
        if self._compiled is None or self._compiled[0] != stamp:
            self._compiled = (stamp, compile(text, str(self.file), "exec", dont_inherit=True))
        # The name holds a hash of the file, so that no two files are taken for one another.
        name = f"{_PREFIX}{self.file.stem}_{stamp}"
        spec = importlib.util.spec_from_file_location(name, self.file)
        if spec is None:
            raise ImportError(f"{str(self.file)!r} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # pydantic and dataclasses look the module up while its classes are made
        exec(self._compiled[1], module.__dict__)  # what an import does, compiled once
        self.draws = self.draws or b"random" in text
        self.files[""] = self.file
        return module


def _anew(name: str) -> ModuleType:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def place_of(name: str, file: Path) -> str:
    """Return where a module's source stands below the folder from which it is imported; '' for a plug-in's own file."""
    if not name or name.startswith(_PREFIX):
        return ""
    parts = name.split(".")
    return "/".join([*parts, "__init__.py"] if file.name == "__init__.py" else [*parts[:-1], f"{parts[-1]}.py"])


def is_file(path: Path) -> bool:
    """Say whether there is a file of that name."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, a folder that may not be looked into
        return False


def content_of(file: Path) -> bytes:
    """Return the bytes of a source; none where it is gone."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


__all__ = ["Copy", "UserCode", "content_of", "is_file", "is_own", "outside_environment", "place_of", "search_too"]
