"""Runs `python -m mischance …` in forks of a process that has imported everything: a process each, without the imports.

`python -m tests.command_server SOCKET`. A request: a JSON line of arguments, folder and environment, with the
descriptors of stdin, stdout and stderr; the answer: the process's id, and when it has ended, its exit code and the CPU
time of all commands so far. One request at a time; the server ends with the process that started it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import pkgutil
import resource
import runpy
import signal
import socket
import sys
import threading
from multiprocessing import forkserver
from multiprocessing.connection import arbitrary_address  # type: ignore[attr-defined]
from typing import Any

import mischance
from mischance.api import phases
from mischance.sweep.runners import FROZEN

PACKAGES = ("cli", "language", "play", "dataset", "sweep", "estimate", "opening", "reports", "api")
LIBRARIES = (
    "cv2", "jinja2", "numba", "numpy", "pandas", "pebble", "pyarrow.dataset", "pyarrow.parquet", "rich.console",
    "rich.progress", "scipy.special", "scipy.stats", "simpy",
)  # fmt: skip


def warm_up() -> None:
    """Import what commands import."""
    for package in PACKAGES:
        found = importlib.import_module(f"mischance.{package}")
        for module in pkgutil.walk_packages(found.__path__, f"{found.__name__}."):
            if module.name != FROZEN:
                with contextlib.suppress(ImportError):
                    importlib.import_module(module.name)
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    importlib.import_module(FROZEN)  # last


def serve(connection: socket.socket) -> None:
    """Answer requests until the other side is gone."""
    while True:
        text, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if not text:
            return
        while not text.endswith(b"\n"):
            text += connection.recv(1 << 20)
        request = json.loads(text)
        pid = os.fork()
        if pid == 0:
            connection.close()
            command(request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.sendall(b"%d\n" % pid)
        _, status, _ = os.wait4(pid, 0)
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        seconds = sum(each.ru_utime + each.ru_stime for each in used)
        connection.sendall(json.dumps([os.waitstatus_to_exitcode(status), seconds]).encode() + b"\n")


def fork_server(server: Any) -> None:
    """Let the server of which a sweep's workers are forks be a fork of this command; multiprocessing starts it anew."""
    with server._lock:
        if server._forkserver_pid is not None:
            return
        sys.stdout.flush()
        sys.stderr.flush()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(arbitrary_address("AF_UNIX"))
        listener.listen()
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writes)
            atexit._clear()
            phases._listeners.clear()  # the command's own: a server that is started anew has none
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # blocked, as in a server that is started anew
            try:
                forkserver.main(listener.detach(), reads, [])
            finally:
                os._exit(0)
        server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = (
            listener.getsockname(),
            writes,
            pid,
        )
        os.close(reads)
        listener.close()


def command(request: dict[str, Any], descriptors: list[int]) -> None:
    """Become `python -m mischance` with these arguments; this process ends as it does."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(3, 64)
    signal.set_wakeup_fd(-1)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        mode, errors = ("r", "strict") if number == 0 else ("w", "backslashreplace" if number == 2 else "strict")
        buffering = 1 if number == 2 else -1  # as Python has it: lines to stderr
        stream = open(number, mode, buffering, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    start = functools.partial(fork_server, forkserver._forkserver)  # type: ignore[attr-defined]
    forkserver.ensure_running = forkserver._forkserver.ensure_running = start  # type: ignore[attr-defined]
    path = [place for place in request["env"].get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [request["cwd"], *path, *sys.path[1:]]  # as `python -m` has it
    sys.argv = ["mischance", *request["arguments"]]
    code: Any = 0
    try:
        runpy.run_module("mischance", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # and wait for it: its CPU time is this command's
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))  # taking all modules apart takes 0.7 s


if __name__ == "__main__":
    assert mischance.__file__
    warm_up()
    serve(socket.socket(fileno=int(sys.argv[1])))
