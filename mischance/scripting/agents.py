"""Functions and classes of a Python program as agents: how a scenario names them.

Where one stands in a module, the scenario names that. Where it was typed into a notebook, a REPL or a script, a module
is written that holds its source (see `source`). What has no source is kept in this process alone, under a hash of its
content: a small module takes its place, which hands out a new copy for each run here, and says elsewhere why it cannot.
"""

from __future__ import annotations

import atexit
import hashlib
import inspect
import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from mischance.errors import MischanceError, RunError
from mischance.language.user_code import is_own
from mischance.scripting.source import NoSourceError, module_text

_LIVE: dict[str, bytes] = {}  # hash -> pickled agent, of this process


class NamedAgent(NamedTuple):
    """How a scenario names an agent. `bound_here`: why only this process can play it; '' where any can."""

    kind: str
    bound_here: str = ""


def name_agent(agent: Callable[..., Any]) -> NamedAgent:
    """Return how a scenario names a function, a class, or anything else that can be called as `f(observation, t)`.

    Raises:
        MischanceError: it can be neither written down nor copied.
    """
    if not callable(agent):
        raise MischanceError(
            f"an agent is a function, a class or a name, not {agent!r}",
            "a function f(observation, t), a class with start and act, 'planner.py:drive', or a name that"
            " `mischance list agents` shows",
        )
    if isinstance(agent, FunctionType) or inspect.isclass(agent):
        place = _in_module(agent)
        if place:
            return NamedAgent(place)
    if isinstance(agent, FunctionType):
        takes = len(inspect.signature(agent).parameters)
        if takes < 2:
            raise MischanceError(
                f"{agent.__qualname__} takes {takes} arguments; an agent is asked as f(observation, t)",
                "see the page about agents in the docs",
            )
    try:
        if not (isinstance(agent, FunctionType) or inspect.isclass(agent)):
            raise NoSourceError(f"it is a {type(agent).__qualname__}, whose state has no source text")
        about = "Agent of a Python session, written down by mischance with what it refers to."
        text, name = module_text(agent, about)
    except NoSourceError as error:
        return _live(agent, str(error))
    return NamedAgent(f"{_written(text, name)}:{name}")


def _in_module(agent: Any) -> str:
    """Return where an agent stands in a module that can be loaded again; '' where it stands in none."""
    module, name = sys.modules.get(agent.__module__), agent.__qualname__
    if module is None or agent.__module__ in ("__main__", "__mp_main__") or not name.isidentifier():
        return ""
    if getattr(module, name, None) is not agent or getattr(module, "__spec__", None) is None:
        return ""
    file = str(getattr(module, "__file__", ""))
    if is_own(agent.__module__, module) and "." not in agent.__module__ and file.endswith(".py"):
        return f"{Path(file).resolve()}:{name}"
    return f"{agent.__module__}:{name}"


def _live(agent: Any, why: str) -> NamedAgent:
    import cloudpickle

    if not (isinstance(agent, FunctionType) or inspect.isclass(agent)):
        agent = _as_function(agent)
    try:
        pickled = cloudpickle.dumps(agent)
    except Exception as error:
        raise MischanceError(
            f"the agent {agent.__qualname__} can be neither written down nor copied: {why};"
            f" {type(error).__name__}: {error}",
            "load or open such things inside of the agent, or put it into a file: with_agent('planner.py:drive')",
        ) from error
    token = hashlib.sha256(pickled).hexdigest()
    _LIVE[token] = pickled
    name = _identifier(agent.__name__)
    from mischance.api.protocols import declares

    declared = declares(agent)
    given: dict[str, object] = {"rate": declared.rate, "reads": declared.reads, "batch": declared.batch}
    attributes = "".join(
        f", {key}={value!r}" for key, value in given.items() if isinstance(value, (int, float, tuple, list))
    )
    text = (
        f'"""Stands for an agent of a Python session that cannot be kept: {_one_line(why)}.\n\n'
        'Its runs can be read, but not be replayed, outside of the process that made them.\n"""\n\n'
        "from mischance.scripting.agents import session_agent\n\n"
        f"{name} = session_agent(\n    {token!r},\n    {name!r},\n    {_one_line(why)!r},\n"
        f"    is_class={inspect.isclass(agent)}{attributes},\n)\n"
    )
    return NamedAgent(f"{_written(text, name)}:{name}", why)


def session_agent(token: str, name: str, why: str, *, is_class: bool, **declared: Any) -> Any:
    """Return a new copy of an agent of this process or, in another one, a stand-in that says why it cannot act.

    Args:
        token: SHA-256 of the agent.
        name: of the function or class.
        why: why it was not written down.
        is_class: whether it is a class.
        declared: what it declares: rate, reads, batch.
    """
    pickled = _LIVE.get(token)
    if pickled is not None:
        import pickle

        return pickle.loads(pickled)  # bytes of this very process, never of a file

    def refuse(*given: Any) -> None:
        raise RunError(
            f"the agent {name!r} belongs to the Python session that made this dataset: {why}",
            "play the scenario again with an agent whose source can be kept; what is stored can be read all the same",
        )

    if is_class:
        from pydantic import create_model

        settings = create_model("Settings", __config__={"extra": "allow", "frozen": True})  # nobody knows them here
        return type(name, (), {**declared, "Settings": settings, "start": refuse, "act": refuse})

    def stand_in(observation: Any, t: float) -> None:
        refuse(observation, t)

    stand_in.__name__ = stand_in.__qualname__ = name
    vars(stand_in).update(declared)
    return stand_in


def _as_function(agent: Any) -> Callable[..., Any]:
    """Return a function that asks something else that can be called, such as a bound method or an object."""

    def ask(observation: Any, t: float) -> Any:
        return agent(observation, t)

    inner = agent.__func__ if isinstance(agent, MethodType) else agent
    ask.__name__ = ask.__qualname__ = _identifier(str(getattr(inner, "__name__", type(agent).__name__)))
    ask.__module__ = "__main__"  # so that it is copied as a whole
    for key in ("rate", "reads", "batch"):
        if hasattr(agent, key):
            setattr(ask, key, getattr(agent, key))
    return ask


@lru_cache(maxsize=1)
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mischance-agents-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _written(text: str, name: str) -> Path:
    """Write a module into a folder of this process, and return its file; equal texts have one file."""
    place = _folder() / hashlib.sha256(text.encode()).hexdigest()[:16]
    place.mkdir(exist_ok=True)
    file = place / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    return file


def _identifier(name: str) -> str:
    found = re.sub(r"\W", "_", name).strip("_") or "agent"
    return found if found.isidentifier() and not keyword.iskeyword(found) else f"agent_{found}"


def _one_line(text: str) -> str:
    return re.sub(r"[\\\"\n]+", "'", text).rstrip(".")


__all__ = ["NamedAgent", "name_agent", "session_agent"]
