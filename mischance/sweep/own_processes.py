"""Worker processes that do not run the user's script again.

`multiprocessing` has each new process execute the main script once more, as a module of another name, so that what it
defines can be unpickled there. A script that begins a sweep without `if __name__ == "__main__":` would begin it again
in every worker. Our messages name nothing in that script: the workers of `context()` leave it alone.
"""

from __future__ import annotations

import multiprocessing.context as contexts
import threading
from multiprocessing import popen_forkserver, spawn
from typing import Any

_MAIN = ("init_main_from_name", "init_main_from_path")  # keys of `spawn.get_preparation_data`
_OURS = threading.local()  # `.launching`: whether this thread is starting one of our workers
_prepare = spawn.get_preparation_data


def _without_main(name: str) -> dict[str, Any]:
    found: dict[str, Any] = _prepare(name)
    if getattr(_OURS, "launching", False):
        for key in _MAIN:
            found.pop(key, None)
    return found


class _Popen(popen_forkserver.Popen):
    def _launch(self, process_obj: Any) -> None:
        # The only place where the standard library asks what a new process is to know; other processes of the user's
        # program, and of other threads, get all of it.
        spawn.get_preparation_data = _without_main
        _OURS.launching = True
        try:
            super()._launch(process_obj)  # type: ignore[misc]  # it has no public name
        finally:
            _OURS.launching = False


class _Process(contexts.ForkServerProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  # the standard library's name
        return _Popen(process_obj)


class _Context(contexts.ForkServerContext):
    Process = _Process


def context() -> contexts.ForkServerContext:
    """Return a context of `multiprocessing` whose processes are forks of a server and know no main script."""
    return _Context()


__all__ = ["context"]
