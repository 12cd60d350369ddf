"""Tries mutants: each in a copy of the tree, with the tests of its folder, to the first failure.

The tree itself is never touched. A copy is what version control knows of the tree, and an environment in which
`mischance` is imported from the copy. Each mutant has a folder of kernels of its own, which begins as a copy of those
that the unchanged source compiled and is removed after it: a kernel's name holds a hash of its code and of all that it
calls, so a changed kernel is compiled, and no other mutant ever sees it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from tests.mutation.drawing import ROOT, Mutant

SPARE = 30.0  # CPU time that a mutant may take above what the unchanged source takes, compiling included [s]
SUPERVISOR = Path(__file__).with_name("supervising.py")
# Source folder -> folders with further tests of it, and a pattern that is found in those files.
ALSO = {
    "simulators/road": (("tests/simulators", "tests/driving", "tests/agents"), r"\broad\b"),
    "mischance/driving": (("tests/agents",), ""),
}
# `mischance` is installed as a link to the tree; in a copy it is linked to the copy. Python imports this at its start.
SITE = """
import sys
for name, module in list(sys.modules.items()):
    if name.startswith("__editable___mischance"):
        module.MAPPING.update({key: path.replace(%r, %r) for key, path in module.MAPPING.items()})
"""
SHOWN = """
import importlib, sys
names = ("mischance", "mischance.simulators", "mischance.sensors", "mischance.renderers", "mischance.scenarios")
outside = [name for name in names if not importlib.import_module(name).__file__.startswith(sys.argv[1] + "/")]
sys.exit(f"not imported from the copy: {outside}" if outside else 0)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: killed, survived, or killed by a timeout; by which test; CPU and wall time [s].

    `seconds`: test file -> the time that its tests took, of a run without a mutant.
    """

    result: str
    test: str
    cpu: float
    wall: float
    seconds: Mapping[str, float] = field(default_factory=dict)


class BaselineError(Exception):
    """The tests fail, or cannot be run, without any mutant."""


def own_tests(path: str, root: Path = ROOT) -> list[str]:
    """Return the tests of a source file's folder, and those elsewhere that play it (`ALSO`).

    `tests/play` of mischance/play, `tests/simulators/test_road*` of simulators/road.
    """
    parts = Path(path).parts
    own = root / "tests" / parts[1 if parts[0] == "mischance" else 0]
    if parts[0] == "mischance":
        found = set(own.rglob("test_*.py"))
    else:
        world = Path(parts[1]).stem
        found = {*own.glob(f"test_{world}*.py"), *own.glob(f"{world}/**/test_*.py")}
    folders, word = ALSO.get("/".join(parts[:2]), ((), ""))
    for folder in folders:
        found |= {file for file in (root / folder).rglob("test_*.py") if re.search(word, file.read_text())}
    return sorted(str(file.relative_to(root)) for file in found)


def in_order(tests: Sequence[str], path: str, seconds: Mapping[str, float]) -> list[str]:
    """Return test files in the order in which they are run: those with the source's name first, then fast ones.

    Args:
        tests: the files.
        path: the source.
        seconds: what the tests of a file took without a mutant; 0 where it is not known [s].
    """
    stem = Path(path).stem
    return sorted(tests, key=lambda file: (stem not in Path(file).stem, round(seconds.get(file, 0.0), 1), file))


class Copy:
    """A copy of the tree in a scratch folder, in which one mutant after the other is tried."""

    def __init__(self, place: Path, kernels: Path | None = None, root: Path = ROOT) -> None:
        """Make the copy; `kernels`: those of the unchanged source, which several copies may share."""
        self.place, self.root = place.resolve(), root
        self.tree = self.place / "tree"
        self._clock = int(time.time())
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        self.kernels = kernels if kernels is not None else self.place / "kernels"
        self.kernels.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root, capture_output=True, check=True,
        ).stdout.decode()  # fmt: skip
        for name in filter(None, names.split("\0")):
            if (root / name).is_file():
                (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, self.tree / name)
        site = self.place / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(SITE % (str(root), str(self.tree)))
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))},
            "PYTHONPATH": str(site),
        }
        checked = subprocess.run(
            [sys.executable, "-c", SHOWN, str(self.tree)],
            cwd=self.place, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if checked.returncode:
            raise BaselineError(checked.stderr.strip())

    def baseline(self, tests: Sequence[str]) -> Verdict:
        """Run tests on the unchanged source; this fills the folder of kernels.

        Raises:
            BaselineError: they do not pass.
        """
        verdict = self._run(tests, self.kernels, 3600.0, 7200.0, ["--durations=0", "--durations-min=0"])
        if verdict.result != "survived":
            raise BaselineError(f"{verdict.test or verdict.result} fails without any mutant")
        return verdict

    def attempt(self, mutant: Mutant, tests: Sequence[str], usual: Verdict) -> Verdict:
        """Try one mutant; `usual`: what its tests take without it, compiling included. Without any test it survives."""
        if not tests:
            return Verdict("survived", "", 0.0, 0.0)
        file = self.tree / mutant.path
        before = file.read_bytes()
        kernels = self.place / "kernels_of_mutant"
        shutil.copytree(self.kernels, kernels, ignore=lambda _, names: [n for n in names if not n.endswith(".kernel")])
        try:
            self._write(file, mutant.edit.applied(before))
            return self._run(
                in_order(tests, mutant.path, usual.seconds), kernels, usual.cpu + SPARE, 20 * usual.wall + 10 * SPARE
            )
        finally:
            self._write(file, before)
            shutil.rmtree(kernels)

    def _write(self, file: Path, text: bytes) -> None:
        """Write a source, so that no compiled file (known by size and whole second) passes for it."""
        file.write_bytes(text)
        self._clock += 1
        os.utime(file, (self._clock, self._clock))

    def _run(self, tests: Sequence[str], kernels: Path, cpu: float, wall: float, more: Sequence[str] = ()) -> Verdict:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-m", "not slow"]
        command += ["-p", "no:cacheprovider", "-p", "no:randomly", *more, *tests]
        log, result = self.place / "log", self.place / "result.json"
        result.unlink(missing_ok=True)
        with log.open("wb") as out:
            subprocess.run(
                [sys.executable, "-I", str(SUPERVISOR), str(result), str(cpu), str(wall), *command], cwd=self.tree,
                env={**self.environment, "MISCHANCE_KERNELS": str(kernels)}, stdout=out, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True, check=True,
            )  # fmt: skip
        ended = json.loads(result.read_text(encoding="utf-8"))
        said = log.read_text(errors="replace")
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
        name = "timeout" if ended["code"] is None else "survived" if ended["code"] == 0 else "killed"
        return Verdict(name, failed[1] if failed else "", ended["cpu"], ended["wall"], _seconds(said))


def _seconds(said: str) -> dict[str, float]:
    """Return test file -> seconds, of what pytest says about durations."""
    found: dict[str, float] = {}
    for seconds, file in re.findall(r"^([\d.]+)s (?:setup|call|teardown) +([^:\s]+)::", said, re.MULTILINE):
        found[file] = found.get(file, 0.0) + float(seconds)
    return found


def hashes(names: Sequence[str], root: Path = ROOT) -> dict[str, str]:
    """Return file -> a hash of what it holds."""
    return {name: blake2b((root / name).read_bytes(), digest_size=8).hexdigest() for name in names}
