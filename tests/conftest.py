"""The test run: one folder of compiled kernels for all its processes, and CPU time by folder of tests at its end."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Before any test module imports numba. Workers and the commands that tests start inherit it.
KERNELS = Path(os.environ.setdefault("MISCHANCE_KERNELS", str(Path(__file__).parents[1] / ".pytest_cache" / "kernels")))
SESSION = "MISCHANCE_TEST_SESSION"


def cpu_seconds() -> float:
    """Return the CPU time of this process, of its children that have ended, and of commands that were forked [s]."""
    from tests.shell import SERVERS  # it reads the environment

    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used) + sum(server.cpu for server in SERVERS)


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
    """Begin to count; only the process that started the others makes and removes the folder of claims."""
    KERNELS.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not hasattr(config, "workerinput"):
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
    report.cpu = item.config.stash[COSTS].lap()
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Charge no test with the imports."""
    session.config.stash[COSTS].lap()


class Summary:
    """Adds up, in the process that prints, what the reports say."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a report to its folder."""
        folder = str(Path(report.nodeid.partition("::")[0]).parent)
        self.costs.folders[folder] = self.costs.folders.get(folder, 0.0) + getattr(report, "cpu", 0.0)

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
    """Tell the process that prints what this worker used."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["cpu"] = cpu_seconds()
