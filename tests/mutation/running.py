"""Tries mutants: each in a copy of the tree, with the tests of its folder, to the first failure.

The tree itself is never touched. A copy is what version control knows of the tree, and an environment in which
`mischance` is imported from the copy. Each mutant begins with its own copy of the kernels that the unchanged source
compiled (by hard links: a kernel's name holds a hash of its code and of all that it calls, and files are replaced,
never written to), so that a changed kernel is compiled and no other mutant sees it.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from tests.mutation.drawing import ROOT, Mutant

SPARE = 30.0  # CPU time that a mutant may take above three times what the unchanged source takes [s]
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
    """What became of a mutant: killed, survived, or killed by a timeout; by which test; CPU and wall time [s]."""

    result: str
    test: str
    cpu: float
    wall: float


class BaselineError(Exception):
    """The tests fail, or cannot be run, without any mutant."""


def own_tests(path: str, root: Path = ROOT) -> list[str]:
    """Return the tests of a source file's folder.

    `tests/play` of mischance/play, `tests/simulators/test_road*` of simulators/road. The test file that has the name
    of the source file comes first.
    """
    parts = Path(path).parts
    if parts[0] == "mischance":
        own = root / "tests" / parts[1]
        found = sorted(own.glob("test_*.py"))
    else:
        own = root / "tests" / parts[0]
        world = Path(parts[1]).stem
        found = sorted({*own.glob(f"test_{world}*.py"), *own.glob(f"{world}/test_*.py")})
    stem = Path(path).stem
    found.sort(key=lambda file: (stem not in file.stem, file))
    return [str(file.relative_to(root)) for file in found]


class Copy:
    """A copy of the tree in a scratch folder, in which one mutant after the other is tried."""

    def __init__(self, place: Path, root: Path = ROOT) -> None:
        self.place, self.root = place.resolve(), root
        self.tree = self.place / "tree"
        self.kernels = self.place / "kernels"
        self._clock = int(time.time())
        shutil.rmtree(self.place, ignore_errors=True)
        self.kernels.mkdir(mode=0o700, parents=True)
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
        verdict = self._run(tests, self.kernels, 3600.0, 7200.0)
        if verdict.result != "survived":
            raise BaselineError(f"{verdict.test or verdict.result} fails without any mutant")
        return verdict

    def attempt(self, mutant: Mutant, tests: Sequence[str], usual: Verdict) -> Verdict:
        """Try one mutant; `usual`: what its tests take without it. Without any test it survives."""
        if not tests:
            return Verdict("survived", "", 0.0, 0.0)
        file = self.tree / mutant.path
        before = file.read_bytes()
        kernels = self.place / "kernels_of_mutant"
        shutil.copytree(self.kernels, kernels, copy_function=os.link)
        try:
            self._write(file, mutant.edit.applied(before))
            return self._run(tests, kernels, 3 * usual.cpu + SPARE, 20 * usual.wall + 10 * SPARE)
        finally:
            self._write(file, before)
            shutil.rmtree(kernels)

    def _write(self, file: Path, text: bytes) -> None:
        """Write a source, so that no compiled file (known by size and whole second) passes for it."""
        file.write_bytes(text)
        self._clock += 1
        os.utime(file, (self._clock, self._clock))

    def _run(self, tests: Sequence[str], kernels: Path, cpu: float, wall: float) -> Verdict:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-m", "not slow"]
        command += ["-p", "no:cacheprovider", "-p", "no:randomly", *tests]
        log = self.place / "log"
        begun, used = time.monotonic(), _cpu()
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=self.tree, env={**self.environment, "MISCHANCE_KERNELS": str(kernels)}, stdout=out,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            code = _ended(process, cpu, begun + wall)
        said = log.read_text(errors="replace")
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
        result = "timeout" if code is None else "survived" if code == 0 else "killed"
        return Verdict(result, failed[1] if failed else "", _cpu() - used, time.monotonic() - begun)


def _cpu() -> float:
    """Return the CPU time of this process's children that have ended [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ended(process: subprocess.Popen[bytes], cpu: float, until: float) -> int | None:
    """Wait for a session of processes and return its exit code; None: it was killed, for it took too long.

    What counts is the CPU time of all its processes, so that a busy machine kills no mutant; `until` ends one that
    waits for ever.
    """
    while True:
        try:
            return process.wait(0.2)
        except subprocess.TimeoutExpired:
            if time.monotonic() < until and _session_cpu(process.pid) < cpu:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None


def _session_cpu(session: int) -> float:
    """Return the CPU time of all living processes of a session, with their ended children [s]."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def fingerprint(mutant: Mutant, tests: Sequence[str], root: Path = ROOT) -> str:
    """Return a hash of a mutant's file and of its tests: while it stays, so does the verdict."""
    total = blake2b(digest_size=8)
    for name in (mutant.path, *sorted(tests)):
        total.update((root / name).read_bytes())
    return total.hexdigest()
