"""Real commands in real processes, and what a folder holds before and after them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if key not in ("PYTHONHASHSEED", "NPY_DISABLE_CPU_FEATURES")},
    "NO_COLOR": "1",
    "COLUMNS": "200",
    "PYTHONDONTWRITEBYTECODE": "1",
}
MISCHANCE = (sys.executable, "-m", "mischance")
SMALL_CAMERA = ("--set", "sensors.front.size=[64,48]", "--set", "sensors.front.rate=2")


FRESH = ("PYTHON", "NPY_", "NUMBA_", "LC_", "LANG", "TZ", "LD_")  # what only a process that is started anew heeds


def mischance(
    *arguments: str | Path,
    cwd: Path | None = None,
    stdin: str = "",
    env: dict[str, str] | None = None,
    timeout: float = 250.0,
    merged: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run one command in a process of its own to its end and return what it said; its standard input is `stdin`.

    The process is a fork of one that has imported everything, unless `env` holds what only a fresh one heeds. With
    `merged`, its stderr goes to where its stdout goes, as in a terminal.
    """
    words = [*map(str, arguments)]
    environment = {**ENVIRONMENT, **(env or {})}
    if any(name.startswith(FRESH) and name != "PYTHONPATH" for name in env or {}):
        return subprocess.run(
            [*MISCHANCE, *words], cwd=cwd, input=stdin, stdout=subprocess.PIPE, text=True, env=environment, check=False,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE, timeout=timeout,
        )  # fmt: skip
    return _server().run(words, cwd or Path.cwd(), stdin, environment, timeout, merged=merged)


class _Server:
    """The process that forks; see `command_server`."""

    def __init__(self) -> None:
        self.connection, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.command_server", str(theirs.fileno())]
        self.process = subprocess.Popen(
            command, cwd=Path(__file__).parents[1], env=ENVIRONMENT, pass_fds=[theirs.fileno()]
        )  # fmt: skip
        theirs.close()
        self.lines = self.connection.makefile("r", encoding="utf-8")
        self.cpu = 0.0

    def run(
        self, words: list[str], cwd: Path, stdin: str, env: dict[str, str], timeout: float, *, merged: bool
    ) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        with contextlib.ExitStack() as stack:
            said, complaints, given = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            given.write(stdin.encode())
            given.seek(0)
            request = json.dumps({"arguments": words, "cwd": str(cwd), "env": env}).encode() + b"\n"
            files = [given.fileno(), said.fileno(), (said if merged else complaints).fileno()]
            sent = socket.send_fds(self.connection, [request], files)
            self.connection.sendall(request[sent:])
            pid = int(self.lines.readline())
            watch = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
            watch.start()
            code, self.cpu = json.loads(self.lines.readline())
            watch.cancel()
            for file in (said, complaints):
                file.seek(0)
            return subprocess.CompletedProcess(
                [*MISCHANCE, *words], code, said.read().decode(), complaints.read().decode()
            )  # fmt: skip


@cache
def _server() -> _Server:
    server = _Server()
    SERVERS.append(server)
    return server


SERVERS: list[_Server] = []  # the one of this process, once there is one


def content(folder: Path) -> dict[str, str]:
    """Return path -> hash of every file of a folder, but for what a reader of its ledger may touch."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("ledger.sqlite-")
    }


def refused(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """Check that a command ended in one line for people and a hint, and return both; no traceback, clean stdout."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines[-2:]] == ["error", "hint"], done.stderr
    assert sum(line.startswith("error:") for line in lines) == 1, done.stderr
    return "\n".join(lines[-2:])
