"""Runs a command and adds up the CPU time of all processes that come of it: `supervising.py RESULT CPU WALL COMMAND…`.

The CPU time that the system gives for a child holds those of its children that it waited for, and no others: a worker
whose parent died, a server that was forked off and a program in a session of its own are missing. This process adopts
all of them (a child subreaper, prctl(2)), ends what is left when the command has ended, and waits for each; then the
system's total is the whole.

Writes `{"code": …, "cpu": …, "wall": …}` into the file RESULT; the code is null where the command took more than CPU
seconds of CPU time or WALL seconds in all. It imports nothing of the tree, which may hold a mutant.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
GRACE = 1.0  # time that processes have to end by themselves after the command [s]
TICKS = os.sysconf("SC_CLK_TCK")


def main(result: str, cpu: float, wall: float, command: list[str]) -> None:
    """Run the command and write what became of it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    parent, begun = os.getppid(), time.monotonic()
    process = subprocess.Popen(command)
    code = None
    while code is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(0.2)
        if code is None and (time.monotonic() > begun + wall or used() > cpu or os.getppid() != parent):
            break
    end_all(GRACE if code is not None else 0.0)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {"code": code, "cpu": spent.ru_utime + spent.ru_stime, "wall": time.monotonic() - begun}
    Path(result).write_text(json.dumps(found), encoding="utf-8")


def used() -> float:
    """Return the CPU time of all descendants so far [s]: of those waited for, and of the others."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(descendants().values())


def descendants() -> dict[int, float]:
    """Return process -> its CPU time with that of its children that it waited for [s], of all that are there."""
    children: dict[int, list[tuple[int, float]]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            seconds = sum(map(int, fields[11:15])) / TICKS
            children.setdefault(int(fields[1]), []).append((int(stat.parent.name), seconds))
    found: dict[int, float] = {}
    waiting = [os.getpid()]
    while waiting:
        for process, seconds in children.get(waiting.pop(), ()):
            found[process] = seconds
            waiting.append(process)
    return found


def end_all(grace: float) -> None:
    """Wait for all descendants; those that are there after `grace` seconds are killed."""
    until = time.monotonic() + grace
    while True:
        try:
            waited, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return  # an orphan would be a child of this process: nobody is left
        if waited:
            continue
        if time.monotonic() >= until:
            for process in descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
