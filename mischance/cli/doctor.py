"""What is installed, what each extra would add, what is broken."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mischance.api.engines import silenced

CORE = (
    "click", "cloudpickle", "cv2", "embreex", "jinja2", "numba", "numpy", "pandas", "pebble", "pyarrow", "pybullet",
    "pydantic", "rich", "scipy", "simpy", "yaml",
)  # fmt: skip
# What the extras add; which of them there are follows from the code: see `extras`.
ABOUT = {
    "cluster": "sweeps on a Dask cluster",
    "gym": "worlds as gymnasium environments",
    "learn": "training and utility reports",
    "opengl": "the OpenGL renderer",
    "physics": "PyBullet on Pythons for which it has no wheel (needs a C++ compiler)",
    "privacy": "differentially private summaries",
    "robotics": "MCAP, Foxglove, Rerun, OpenSCENARIO",
}
DEVELOPERS = ("dev", "docs", "peers")
NAMES = {"cv2": "opencv-python-headless", "yaml": "pyyaml", "sklearn": "scikit-learn", "imblearn": "imbalanced-learn",
         "foxglove": "foxglove-sdk", "rerun": "rerun-sdk"}  # fmt: skip
HINTS = {
    "libGL": "opencv-python wants a screen: pip uninstall opencv-python; pip install opencv-python-headless "
    "(or install the system packages libgl1 and libglib2.0-0)",
    "pybullet": "PyBullet has wheels up to CPython 3.11; later, with a C++ compiler: pip install 'mischance[physics]'",
}


@dataclass(frozen=True, slots=True)
class LibraryState:
    """One library: whether it is there, in which version, and what importing it said."""

    module: str
    version: str
    error: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Examination:
    """All findings; `broken` are those of the core that do not work and should."""

    core: tuple[LibraryState, ...]
    extras: dict[str, tuple[LibraryState, ...]]
    plugins: tuple[tuple[str, str, str], ...]
    broken: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "core": {f.module: f.version or f.error for f in self.core},
            "extras": {name: all(not f.missing and not f.error for f in found) for name, found in self.extras.items()},
            "plugins": [{"room": room, "name": name, "error": error} for room, name, error in self.plugins],
            "broken": list(self.broken),
        }

    def text(self) -> str:
        """Return the report as lines for people."""
        lines = [f"Python {platform.python_version()} on {platform.system()} {platform.machine()}", "", "core:"]
        for found in self.core:
            state = "ok " if not (found.error or found.missing) else "-- " if found.missing else "!! "
            lines.append(f"  {state} {found.module:<10} {found.version or found.error}")
        lines += ["", "extras:"]
        for name, own in self.extras.items():
            about = ABOUT.get(name, f"what {', '.join(f.module for f in own)} can do")
            there = all(not f.missing and not f.error for f in own)
            how = "" if there else f"   pip install 'mischance[{name}]'"
            lines.append(f"  {'ok ' if there else '-- '} {name:<10} {about}{how}")
        lines += ["", "plug-ins:"]
        bad = [entry for entry in self.plugins if entry[2]]
        lines.append(f"  {len(self.plugins) - len(bad)} of {len(self.plugins)} can be loaded")
        lines += [f"  !!  {room}/{name}: {error}" for room, name, error in bad]
        if self.broken:
            lines += ["", "broken:"] + [f"  {line}" for line in self.broken]
        return "\n".join(lines)


def extras() -> dict[str, tuple[str, ...]]:
    """Return the extras that some code or plug-in imports something of: name -> the modules that it does."""
    try:
        wanted = metadata.requires("mischance") or []
    except metadata.PackageNotFoundError:
        return {}
    used = imported()
    modules = {package: module for module, package in NAMES.items()}
    found: dict[str, list[str]] = {}
    for line in wanted:
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)["']""", line)
        package = re.match(r"[\w.-]+", line)
        if extra is None or package is None or extra[1] in DEVELOPERS:
            continue
        module = modules.get(package[0].lower(), package[0].lower().replace("-", "_"))
        if module in used:
            found.setdefault(extra[1], []).append(module)
    return {name: tuple(sorted(own)) for name, own in sorted(found.items())}


def imported() -> frozenset[str]:
    """Return the first words of all modules that our code imports or a plug-in of it declares to need."""
    from mischance.language.catalog import ROOMS

    found: set[str] = set()
    for package in ("mischance", *(f"mischance.{room}" for room in ROOMS)):
        spec = importlib.util.find_spec(package)
        for place in spec.submodule_search_locations or () if spec else ():
            for path in Path(place).rglob("*.py"):
                text = path.read_text(encoding="utf-8")
                found.update(_IMPORT.findall(text))
                found.update(word for words in _NEEDS.findall(text) for word in re.findall(r"\w+", words))
    return frozenset(found)


_IMPORT = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
_NEEDS = re.compile(r"^\s*needs\b[^=\n]*= \(([^)]*)\)", re.MULTILINE)


def examine() -> Examination:
    """Import what the core and the extras need, load every plug-in, and say what came of it."""
    from mischance.errors import CatalogError
    from mischance.language import catalog

    core = tuple(_look(module) for module in CORE)
    found_extras = {name: tuple(_look(module, load=False) for module in modules) for name, modules in extras().items()}
    plugins = []
    for room in catalog.ROOMS:
        for entry in catalog.entries(room):
            try:
                catalog.find(room, entry.name)
                plugins.append((room, entry.name, ""))
            except CatalogError as error:
                plugins.append((room, entry.name, error.message))
    broken = []
    for found in core:
        if not (found.missing or found.error) or (found.module == "pybullet" and sys.version_info >= (3, 12)):
            continue
        hint = next((text for word, text in HINTS.items() if word in found.error or word == found.module), "")
        package = NAMES.get(found.module, found.module)
        broken.append(f"{found.module}: {found.error or 'not installed'}; {hint or f'pip install {package}'}")
    if {"opencv-python", "opencv-python-headless"} <= {d.name.lower() for d in metadata.distributions() if d.name}:
        broken.append("opencv-python and opencv-python-headless are both installed and own the same folder: remove one")
    broken += [f"{room}/{name}: {error}" for room, name, error in plugins if error]
    return Examination(core, found_extras, tuple(plugins), tuple(broken))


def _look(module: str, *, load: bool = True) -> LibraryState:
    if importlib.util.find_spec(module) is None:
        return LibraryState(module, "", "not installed", missing=True)
    try:
        if load:
            with silenced():
                importlib.import_module(module)
        version = metadata.version(NAMES.get(module, module))
    except metadata.PackageNotFoundError:
        version = "?"
    except Exception as error:
        return LibraryState(module, "", f"{type(error).__name__}: {str(error).splitlines()[0]}", missing=False)
    return LibraryState(module, version, "", missing=False)
