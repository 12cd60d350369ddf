"""Explanation of a violation: `ego.gap fell to -0.1 m at 2.05 s, worst -0.3 m at 2.1 s`."""

from __future__ import annotations

import math

import numpy as np

from mischance import units
from mischance.api.tables import BoolArray
from mischance.language.temporal.robustness import Trace, margin, robustness, truth, values
from mischance.language.temporal.tree import OPPOSITE, Both, Either, Hold, Implies, Leaf, Node, Not, Until, Window

_MAX_REASONS = 3  # in one line


class Reasons:
    """Finds time and reason of a formula's violation in one run.

    The time is the first at which the violation is certain: a required condition fails, a deadline passes, or the run
    ends.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.t = trace.t
        self._known: dict[int, BoolArray] = {}

    def holds(self, node: Node) -> BoolArray:
        """Return whether a formula holds at each sample, shape (rows,)."""
        if id(node) not in self._known:
            self._known[id(node)] = robustness(node, self.trace, truth) > 0.0
        return self._known[id(node)]

    def why_not(self, node: Node, at: int) -> tuple[float, str]:
        """Return time and reason of the violation of a formula that does not hold at a sample."""
        match node:
            case Leaf():
                return self._leaf(node, at)
            case Both(parts=parts):
                return min((self.why_not(part, at) for part in parts if not self.holds(part)[at]), key=lambda w: w[0])
            case Either(parts=parts):
                found = [self.why_not(part, at) for part in parts]
                rest = f" and {len(found) - _MAX_REASONS} more" if len(found) > _MAX_REASONS else ""
                return max(when for when, _ in found), " and ".join(text for _, text in found[:_MAX_REASONS]) + rest
            case Not(body=body):
                return float(self.t[at]), f"{body.text} held from {_time(self.t[at])} on"
            case Implies(when=when, then=then):
                time, text = self.why_not(then, at)
                return time, f"{text} (while {when.text} at {_time(self.t[at])})"
            case Window(every=True):
                return self._always(node, at)
            case Window():
                return self._never(node, node.body, node.low, node.high, at)
            case Hold():
                return self._hold(node, at)
            case Until():
                return self._until(node, at)

    def _always(self, node: Window, at: int) -> tuple[float, str]:
        first, last = self._window(node.low, node.high, at)
        broken = first + int(np.argmin(self.holds(node.body)[first:last]))
        time, text = self.why_not(node.body, broken)
        if isinstance(node.body, Leaf) and node.body.unit is not None:
            margins = margin(node.body, self.trace)[first:last]
            worst = first + int(np.argmin(margins))
            if margins[worst - first] < margins[broken - first]:
                text += f", worst {self._value(node.body, worst)} at {_time(self.t[worst])}"
        return time, text

    def _hold(self, node: Hold, at: int) -> tuple[float, str]:
        first, last = self._window(0.0, node.duration, at)
        held = self.holds(node.body)[first:last]
        since = f"{node.duration:g} s from {_time(self.t[at])} on"
        if held.all():
            end = float(self.t[-1])
            return end, f"the run ended at {_time(end)}, before {node.body.text} had held for {since}"
        time, text = self.why_not(node.body, first + int(np.argmin(held)))
        return time, f"{text}, within {since}"

    def _until(self, node: Until, at: int) -> tuple[float, str]:
        first, last = self._window(node.low, node.high, at)
        stop = max(last, first, at + 1)
        held = self.holds(node.first)[at:stop]
        if held.all():
            return self._never(node, node.goal, node.low, node.high, at)
        time, text = self.why_not(node.first, at + int(np.argmin(held)))
        return time, f"{text}, before {node.goal.text}"

    def _never(self, node: Node, goal: Node, low: float, high: float, at: int) -> tuple[float, str]:
        """Return the reason for a goal that was never reached in its window."""
        first, last = self._window(low, high, at)
        end = float(self.t[-1])
        if first >= last:
            return end, f"the run ended at {_time(end)}, before {node.text} could be judged"
        since = f" from {_time(self.t[at])} on" if at else ""
        within = f" within {high:g} s{since}" if high < math.inf else since
        text = f"{goal.text} never held{within}"
        if isinstance(goal, Leaf) and goal.unit is not None:
            nearest = first + int(np.argmax(margin(goal, self.trace)[first:last]))
            text += f", nearest {self._value(goal, nearest)} at {_time(self.t[nearest])}"
        return float(self.t[last - 1]), text

    def _window(self, low: float, high: float, at: int) -> tuple[int, int]:
        first, last = self.trace.window(low, high)
        return int(first[at]), int(last[at])

    # -- leaves ---------------------------------------------------------------------------------------------------

    def _leaf(self, leaf: Leaf, at: int) -> tuple[float, str]:
        time = float(self.t[at])
        left = values(leaf.left, self.trace)[at]
        right = None if leaf.right is None else values(leaf.right, self.trace)[at]
        for side, value in ((leaf.left, left), (leaf.right, right)):
            if side is not None and value is not None and np.isnan(value):
                return time, f"{side.text} had no value at {_time(time)}"
        if right is None:
            return time, f"{leaf.left.text} was {'true' if leaf.negated else 'false'} at {_time(time)}"
        if leaf.unit is None:
            return time, f"{leaf.text} failed at {_time(time)} ({left + 0.0:.4g} against {right + 0.0:.4g})"
        before = bool(at and self.holds(leaf)[at - 1])
        sign = OPPOSITE[leaf.sign] if leaf.negated else leaf.sign
        verb = {">": "fell to", "<": "rose to"}.get(sign[0], "was") if before else "was"
        return time, f"{leaf.left.text} {verb} {self._value(leaf, at)} at {_time(time)}"

    def _value(self, leaf: Leaf, at: int) -> str:
        """Format the left side of a comparison, in the unit of its limit."""
        value = float(values(leaf.left, self.trace)[at])
        scale = units.UNITS.get(leaf.unit or "")
        if scale is None or scale.decibel:
            return f"{value + 0.0:.4g}"
        return f"{(value - scale.offset) / scale.factor + 0.0:.4g} {leaf.unit}"


def _time(t: float) -> str:
    return f"{round(float(t), 3) + 0.0:.12g} s"
