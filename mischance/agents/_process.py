"""A child process that exchanges messages: each answer has a deadline."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LONGEST = 64 * 1024 * 1024  # maximum size of an answer [bytes]


class NoAnswer(Exception):  # noqa: N818  # it is an answer of a kind
    """The program did not answer: `kind` is ended, timeout or nonsense."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def why_not(program: str) -> tuple[str, str]:
    """Return the reason why a program cannot be started and a hint; two empty texts if it can."""
    found = shutil.which(program)
    if found is None:
        if os.path.dirname(program) and os.path.isfile(program):
            return "may not be executed", f"chmod +x {shlex.quote(program)}"
        if os.path.isfile(program):
            return "is not on the PATH", f"a file of the current folder is called ./{program}"
        where = "names start at the current folder" if os.path.dirname(program) else "it is looked for on the PATH"
        return "is not there", f"{where}; `command` is a list: the program, then each argument"
    with contextlib.suppress(OSError), open(found, "rb") as file:
        head = file.read(256)
        if b"\0" not in head and not head.startswith(b"#!") and os.name == "posix":
            return (
                "is a text without a first line that says what runs it",
                "for example #!/bin/sh or #!/usr/bin/env python3",
            )
    return "", ""


def own_files(command: Sequence[str]) -> list[Path]:
    """Return the files of a command that are the user's: the program and arguments, below no folder of the system."""
    found = [shutil.which(command[0]), *command[1:]]
    files = [Path(name) for name in found if name is not None and os.path.isfile(name)]
    system = ("/bin/", "/lib/", "/opt/", "/sbin/", "/usr/", *(f"{place}/" for place in {sys.prefix, sys.base_prefix}))
    return [file for file in dict.fromkeys(files) if not str(file.absolute()).startswith(system)]


class Process:
    """A child process that exchanges JSON objects."""

    def __init__(self, command: Sequence[str], framing: str, deadline: float) -> None:
        self._framing, self._deadline = framing, deadline
        self._buffer = b""
        self._failed = ""
        try:
            # A session of its own, so that processes that the program starts end with it.
            self._child: subprocess.Popen[bytes] | None = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            self._child = None
            self._failed = f"cannot be started: {error.strerror}"
            return
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)

    def say(self, message: dict[str, Any]) -> None:
        """Send one message; that a program has ended is detected when its answer is due."""
        data = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
        data = data + b"\n" if self._framing == "lines" else len(data).to_bytes(4, "big") + data
        if self._child is None or self._child.stdin is None or self._failed:
            return
        end = time.monotonic() + self._deadline
        pipe = self._child.stdin.fileno()
        with selectors.DefaultSelector() as ready:
            ready.register(pipe, selectors.EVENT_WRITE)
            while data:
                left = end - time.monotonic()
                if left <= 0 or not ready.select(left):
                    self._failed = "does not read what it is told"
                    return
                try:
                    data = data[os.write(pipe, data) :]
                except BlockingIOError:
                    continue
                except OSError:
                    return

    def answer(self, frame: int) -> Any:
        """Return the commands of the answer to a frame.

        Raises:
            NoAnswer: the program ended, missed its deadline, or sent something else.
        """
        if self._failed:
            raise NoAnswer("timeout" if "read" in self._failed else "ended", self._failed)
        data = self._message(time.monotonic() + self._deadline)
        try:
            said = json.loads(data)
        except ValueError:
            raise NoAnswer("nonsense", f"answered frame {frame} with no JSON: {data[:60]!r}") from None
        if not isinstance(said, dict) or said.get("frame") != frame:
            got = said.get("frame") if isinstance(said, dict) else said
            raise NoAnswer("nonsense", f"answered frame {frame} with frame {got!r}"[:120])
        return said.get("commands")

    def _message(self, end: float) -> bytes:
        assert self._child is not None
        assert self._child.stdout is not None
        pipe = self._child.stdout.fileno()
        with selectors.DefaultSelector() as ready:
            ready.register(pipe, selectors.EVENT_READ)
            while True:
                found = self._cut()
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0 or not ready.select(left):
                    raise NoAnswer("timeout", f"did not answer within {self._deadline:g} s")
                data = os.read(pipe, 1 << 16)
                if not data:
                    raise NoAnswer("ended", f"ended with exit code {self._exit_code()}")
                self._buffer += data
                if len(self._buffer) > LONGEST:
                    raise NoAnswer("nonsense", f"answered more than {LONGEST} bytes")

    def _cut(self) -> bytes | None:
        """Take one complete message from the buffer; None while it is incomplete."""
        if self._framing == "lines":
            line, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                return None
            self._buffer = rest
            return line
        if len(self._buffer) < 4:
            return None
        size = int.from_bytes(self._buffer[:4], "big")
        if size > LONGEST:
            raise NoAnswer("nonsense", f"announced an answer of {size} bytes")
        if len(self._buffer) < 4 + size:
            return None
        data, self._buffer = self._buffer[4 : 4 + size], self._buffer[4 + size :]
        return data

    def _exit_code(self) -> int | None:
        assert self._child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._child.wait(timeout=1.0)
        return None

    def close(self) -> None:
        """End the program and all processes that it started: first by a request, then by force."""
        child, self._child = self._child, None
        if child is None:
            self._failed = self._failed or "was ended"
            return
        self._failed = self._failed or "was ended"
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            child.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, 9)
            child.wait()
