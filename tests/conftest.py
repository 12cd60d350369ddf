"""The test run: compiled once for all its processes (kernels, bytecode); at its end CPU time by folder and by world.

A world's contract and library tests may take `BUDGET` seconds of CPU time without compiling. A run in which they take
more says so; it fails only where `$MISCHANCE_TEST_BUDGET` is `enforced`: on a busy machine CPU time goes less far.
"""

from __future__ import annotations

import compileall
import fcntl
import gc
import os
import re
import resource
import shutil
import sys
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
# Before any test module imports numba. Workers and the commands that tests start inherit it.
KERNELS = Path(os.environ.setdefault("MISCHANCE_KERNELS", str(ROOT / ".pytest_cache" / "kernels")))
SOURCES = ("mischance", "renderers", "sensors", "simulators")  # what a hundred processes of a test run import
SESSION = "MISCHANCE_TEST_SESSION"
ENFORCED = "MISCHANCE_TEST_BUDGET"
BUDGET = 20.0  # [s]
OF_WORLDS = ("tests/test_contracts.py", "tests/simulators/test_library.py")  # their parameters name scenarios


def cpu_seconds() -> float:
    """Return the CPU time of this process, of its children that have ended, and of forks of others so far [s]."""
    from tests.shell import SERVERS  # it reads the environment

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    forked = sum(server.cpu for server in SERVERS) + of_living(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
    return sum(each.ru_utime + each.ru_stime for each in used) + forked


def of_living(pid: int | None) -> float:
    """Return the CPU time of a process and of its children that have ended [s]; 0 where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def world_of(item: pytest.Item) -> str:
    """Return the family of scenarios that a world's contract or library test plays; empty for any other test.

    As in `test_contracts.few`: what a robot's scenarios have in common stands before the first `_` of their names.
    """
    if not item.nodeid.startswith(OF_WORLDS) or item.get_closest_marker("slow"):
        return ""
    for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
        if isinstance(value, str) and re.match(r"[a-z]+/[a-z0-9_]+(:|$)", value):
            return value.partition("_" if value.startswith("robots/") else "/")[0]
    return ""


def compiled() -> dict[str, float]:
    """Return the CPU time that each compiled kernel took [s]: it stands in the first line of its file."""
    found = {}
    for path in KERNELS.glob("*.kernel"):
        with path.open("rb") as file:
            words = file.readline(200).split()
        if len(words) > 1:
            found[path.name] = float(words[-1])
    return found


class Costs:
    """CPU time of each test, without what it spent on compiling kernels for all tests."""

    def __init__(self, claims: Path) -> None:
        self.claims = claims
        self.known = set(compiled())
        self.mark = cpu_seconds()
        self.folders: dict[str, float] = {}
        self.worlds: dict[str, float] = {}
        self.workers = 0.0

    def lap(self) -> float:
        """Return the CPU time since the last lap [s]."""
        now = cpu_seconds()
        spent, self.mark = now - self.mark, now
        for name, seconds in compiled().items():
            if name not in self.known and seconds <= spent:  # else another worker compiled it
                self.known.add(name)
                spent -= seconds * self._is_mine(name)
        return spent

    def _is_mine(self, name: str) -> bool:
        try:
            (self.claims / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


COSTS = pytest.StashKey[Costs]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count; only the process that started the others makes and removes the folder of claims.

    It compiles the sources to bytecode too: where $PYTHONDONTWRITEBYTECODE is set, each process would do that anew.
    """
    KERNELS.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not hasattr(config, "workerinput"):
        for folder in SOURCES:
            compileall.compile_dir(ROOT / folder, quiet=2)
        os.environ[SESSION] = str(KERNELS.parent / f"claims-{os.getpid()}")
        Path(os.environ[SESSION]).mkdir(exist_ok=True)
    config.stash[COSTS] = Costs(Path(os.environ[SESSION]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder of claims."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[SESSION], ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Write the CPU time of a test's set-up, call and tear-down into its report; xdist passes it on."""
    report: Any = yield
    report.cpu, report.world = item.config.stash[COSTS].lap(), world_of(item)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    """Let one worker rewrite the assertions of a module and keep them; the others, which come behind, read that."""
    if not isinstance(collector, pytest.Module):
        return (yield)
    forbidden, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    with collector.path.open("rb") as source:
        fcntl.flock(source, fcntl.LOCK_EX)
        try:
            return (yield)
        finally:
            sys.dont_write_bytecode = forbidden


def pytest_collection_finish(session: pytest.Session) -> None:
    """Charge no test with the imports, and no collection of garbage with going through what they made."""
    gc.collect()
    gc.freeze()
    session.config.stash[COSTS].lap()


class Summary:
    """Adds up, in the process that prints, what the reports say."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a report to its folder and its world."""
        folder, world = str(Path(report.nodeid.partition("::")[0]).parent), getattr(report, "world", "")
        for total, name in ((self.costs.folders, folder), (self.costs.worlds, world)):
            if name:
                total[name] = total.get(name, 0.0) + getattr(report, "cpu", 0.0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run with a world over its budget, where that is asked for."""
        if os.environ.get(ENFORCED) == "enforced" and max(self.costs.worlds.values(), default=0.0) > BUDGET:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what a worker used beside its tests."""
        self.costs.workers += getattr(node, "workeroutput", {}).get("cpu", 0.0)

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """Print CPU seconds by folder."""
        costs = self.costs
        if not costs.folders:
            return
        once = sum(compiled()[path.name] for path in costs.claims.iterdir())
        total = max(costs.workers + resource.getrusage(resource.RUSAGE_SELF).ru_utime, cpu_seconds())
        terminalreporter.section("CPU time")
        for folder, seconds in sorted(costs.folders.items(), key=lambda item: -item[1]):
            terminalreporter.write_line(f"{seconds:8.1f} s  {folder}")
        for world, seconds in sorted(costs.worlds.items(), key=lambda item: -item[1]):
            over = f"   OVER its budget of {BUDGET:g} s" if seconds > BUDGET else ""
            terminalreporter.write_line(
                f"{seconds:8.1f} s  of that: contract and library of {world}{over}", red=bool(over)
            )
        rest = max(total - once - sum(costs.folders.values()), 0.0)
        terminalreporter.write_line(f"{rest:8.1f} s  imports, collection, workers")
        terminalreporter.write_line(f"{once:8.1f} s  compiling kernels, once")
        terminalreporter.write_line(f"{total:8.1f} s  in all")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Let the process that prints add up, and a worker tell its own total."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Summary(session.config.stash[COSTS]), "cpu-time")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Wait for the process of which sweeps' workers were forks, and tell the process that prints what all used."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["cpu"] = cpu_seconds()
