"""The module that is written for a function of a session does what the function does, and says where it cannot."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mischance.scripting.source import NoSourceError, module_text
from tests.scripting.session import cell, forget


def again(thing: Any) -> Any:
    """Return the thing that the written module defines."""
    text, name = module_text(thing, "About it.")
    space: dict[str, Any] = {"__name__": "written"}
    exec(compile(text, "<written>", "exec", dont_inherit=True), space)
    assert space["__doc__"] == "About it."
    return space[name]


CELLS = {
    "constant": """
GAIN = 2.5
def f(o, t):
    return GAIN * t
""",
    "constant of a constant": """
A = {'k': [1, (2.0,)]}
B = float('inf')
def f(o, t):
    return min(A['k'][1][0] * t, B)
""",
    "helper": """
def g(t):
    return h(t) + 1
def h(t):
    return 2 * t
def f(o, t):
    return g(t)
""",
    "recursion": """
def f(o, t):
    return 0 if t < 1 else 1 + f(o, t - 1)
""",
    "each other": """
def f(o, t):
    return 0 if t < 1 else g(t - 1)
def g(t):
    return 1 + f(None, t)
""",
    "imports": """
import math as m
from math import hypot as far
def f(o, t):
    return far(t, m.pi)
""",
    "import inside": """
def f(o, t):
    import math
    return math.exp(t)
""",
    "closure": """
def make(gain):
    def f(o, t):
        return gain * t
    return f
f = make(3.0)
""",
    "closure over a function": """
def make(g):
    def f(o, t):
        return g(t)
    return f
f = make(lambda t: 7 * t)
""",
    "lambda": """
f = lambda o, t: -t
""",
    "second lambda of a line": """
f, g = (lambda o, t: t + 1), (lambda o, t: t + 2)
f = g
""",
    "lambda over lines": """
f = dict(a=lambda o, t: (
    t
    + 4
))['a']
""",
    "indented": """
if True:
    def f(o, t):
        return t + 5
""",
    "decorated": """
def twice(g):
    return lambda *given: 2 * g(*given)
@twice
def g(t):
    return t * t
def f(o, t):
    @twice
    def inner(t):
        return t + 1
    return inner(t)
""",
    "local of the name of a session's object": """
thing = object()
def f(o, t):
    thing = t
    return thing
""",
    "class": """
class Base:
    k = 3
class C(Base):
    def of(self, t):
        return self.k * t
def f(o, t):
    return C().of(t)
""",
    "alias": """
def g(t):
    return t + 8
plus = g
del g
def f(o, t):
    return plus(t)
""",
}


@pytest.mark.parametrize("text", CELLS.values(), ids=CELLS.keys())
def test_it_returns_the_same(text: str) -> None:
    if "class Base" in text:  # a base without a method of its own shows no place: it gets one
        text = text.replace("    k = 3\n", "    k = 3\n    def nothing(self):\n        pass\n")
    function = cell(text)["f"]
    written = again(function)
    for t in (0.0, 0.5, 3.0):
        assert written(None, t) == function(None, t)


def test_a_class_is_written_with_its_settings() -> None:
    text = """
from __future__ import annotations
from pydantic import BaseModel, Field
import numpy as np

LIMIT = np.float32(0.1)
TABLE = np.arange(6.0).reshape(2, 3)

class Planner:
    class Settings(BaseModel):
        gain: float = Field(2.0, gt=0)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def act(self, t: float) -> float:
        return self.settings.gain * t + LIMIT + TABLE[1, 2]
"""
    planner = cell(text)["Planner"]
    written = again(planner)
    found = written(written.Settings(gain=3)).act(2.0)
    assert found == planner(planner.Settings(gain=3)).act(2.0) == float(np.float32(6.1)) + 5
    with pytest.raises(ValueError, match="greater than 0"):
        written.Settings(gain=0)


def test_attributes_of_a_function_are_kept() -> None:
    written = again(cell("def f(o, t):\n    return None\nf.rate = 5.0\nf.reads = ('truth', 'meter')\n")["f"])
    assert (written.rate, written.reads) == (5.0, ("truth", "meter"))


def test_a_constant_has_the_value_of_now() -> None:
    space = cell("LIST = [1]\ndef f(o, t):\n    return LIST\n")
    space["LIST"].append(math.nan)
    assert str(again(space["f"])(None, 0)) == "[1, nan]"


def test_what_has_no_source_is_named() -> None:
    space = cell("def f(o, t):\n    return model(t)\n", model=np.random.default_rng(1))
    with pytest.raises(NoSourceError, match=r"'model', a numpy\.random\._generator\.Generator, which has no source"):
        module_text(space["f"], "")
    function = cell("def f(o, t):\n    return t\n")["f"]
    forget(function)
    with pytest.raises(NoSourceError, match="the source of 'f' is not kept"):
        module_text(function, "")
    clash = "def make(gain):\n    def f(o, t):\n        return gain * g(t)\n    return f\ndef g(t):\n    return gain\n"
    function = cell(f"{clash}gain = 2.0\nf = make(3.0)\n")["f"]
    with pytest.raises(NoSourceError, match="two different things are called 'gain'"):
        module_text(function, "")
    with pytest.raises(NoSourceError, match="no method that shows where it was defined"):
        module_text(cell("class C:\n    k = 1\n")["C"], "")
