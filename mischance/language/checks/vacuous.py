"""Requirements that say nothing: what holds in every run, or in none, whatever happens.

It is judged from the ranges of drawn values alone: a signal can have any value, and what is true or false is either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mischance.language.expressions.ranges import MAYBE, NO, YES, Range, compared, negation, value_range
from mischance.language.temporal.requirement import Requirement
from mischance.language.temporal.tree import Both, Either, Hold, Implies, Leaf, Node, Not, Until, Window


def vacuous(
    requirement: Requirement, ranges: Mapping[str, Range], drawn: Collection[str], duration: float
) -> tuple[str, str]:
    """Return why a requirement says nothing about what it judges, and what to do; ('', '') where it does.

    Args:
        requirement: the requirement.
        ranges: least and largest value of names, as far as they are known.
        drawn: the drawn values: a requirement over them alone is decided before anything happens.
        duration: length of a run [s].
    """
    judge = _Judge(ranges, duration)
    found = judge.truth(requirement.tree)
    if judge.premises:
        return f"its premise can never hold: {judge.premises[0]}", "it holds in every run, whatever happens"
    late = f"; {judge.late[0]}" if judge.late else ""
    if found == YES:
        return f"it holds in every run, whatever happens{late}", "say what the system under test could break"
    if found == NO:
        return f"it can hold in no run, whatever happens{late}", "say what the system under test could keep"
    if set(requirement.names) <= set(drawn):
        return "it speaks of drawn values alone, which no system under test can change", (
            "a condition on what is drawn is one of `constraints`"
        )
    return "", ""


class _Judge:
    """Finds whether formulas hold in every run or in none; collects premises that never hold, and late windows."""

    def __init__(self, ranges: Mapping[str, Range], duration: float) -> None:
        self.ranges, self.duration = ranges, duration
        self.premises: list[str] = []
        self.late: list[str] = []

    def truth(self, node: Node) -> Range:
        """Return YES, NO or MAYBE."""
        match node:
            case Leaf():
                return self._leaf(node)
            case Both(parts=parts) | Either(parts=parts):
                return self._several(parts, every=isinstance(node, Both))
            case Not(body=body):
                return negation(self.truth(body))
            case Implies(when=when, then=then):
                premise, conclusion = self.truth(when), self.truth(then)
                if premise == NO:
                    self.premises.append(when.text)
                return _either([negation(premise), conclusion])
            case Window(every=every, body=body, low=low):
                if low > self.duration:
                    self.late.append(f"`{node.text}` begins after the {self.duration:g} s that a run lasts")
                    return YES if every else NO
                found = self.truth(body)
                # A window that begins later may have no sample: then `always` holds.
                return found if found != (NO if every else YES) or low == 0.0 else MAYBE
            case Hold(duration=lasts, body=body):
                if lasts > self.duration:
                    self.late.append(f"`{node.text}` is longer than the {self.duration:g} s that a run lasts")
                    return NO
                return NO if self.truth(body) == NO else MAYBE
            case Until(goal=goal, low=low):
                reached = self.truth(goal)
                if low > self.duration or reached == NO:
                    return NO
                return YES if reached == YES and low == 0.0 else MAYBE
        return MAYBE

    def _leaf(self, leaf: Leaf) -> Range:
        left = value_range(leaf.left, self.ranges)
        if leaf.right is None:
            found = negation(negation(left))
        elif leaf.left.text.strip() == leaf.right.text.strip():
            found = YES if leaf.sign in (">=", "<=", "==") else NO
        else:
            found = compared(left, leaf.sign, value_range(leaf.right, self.ranges))
        return negation(found) if leaf.negated else found

    def _several(self, parts: tuple[Node, ...], *, every: bool) -> Range:
        leaves = {(part.left.text, part.sign, part.right and part.right.text, part.negated)
                  for part in parts if isinstance(part, Leaf)}  # fmt: skip
        opposite = any((*leaf[:3], not leaf[3]) in leaves for leaf in leaves)
        found = [self.truth(part) for part in parts]
        if every:
            return NO if opposite else negation(_either([negation(one) for one in found]))
        return YES if opposite else _either(found)


def _either(parts: list[Range]) -> Range:
    if YES in parts:
        return YES
    return NO if all(one == NO for one in parts) else MAYBE
