"""Reference of every distribution: what it is, its arguments by form, and an example."""

from __future__ import annotations

from dataclasses import dataclass

from mischance.language.distributions.laws import ALIASES, LAWS


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: name, meaning, default ('' = required), and what it is measured in."""

    name: str
    about: str
    default: str = ""
    measure: str = ""


@dataclass(frozen=True, slots=True)
class DistributionForm:
    """One way to write a distribution: its arguments, the limits on them, and an example."""

    arguments: tuple[Argument, ...]
    limits: tuple[str, ...]
    example: str


@dataclass(frozen=True, slots=True)
class DistributionEntry:
    """One distribution: the key that names it, what it is, other keys for it, and its forms."""

    name: str
    about: str
    aliases: tuple[str, ...]
    forms: tuple[DistributionForm, ...]


_MEASURES = {"value": "as the drawn value", "spread": "as the drawn value", "pure": "a plain number", "per": "a rate"}

# What no law of `laws.py` is: key -> what it is, and (arguments, limits, example) of each form.
SPECIAL: dict[str, tuple[str, tuple[tuple[tuple[Argument, ...], tuple[str, ...], str], ...]]] = {
    "constant": (
        "always the same number or word",
        (((Argument("value", "a number, a quantity or a word"),), (), "{constant: 18 m}"),),
    ),
    "expr": (
        "calculated from other drawn values; `expr` may be left out",
        (((Argument("text", "an expression over other names of `vary`"),), (), "{expr: speed - closing}"),),
    ),
    "choice": (
        "one of a few numbers or words, each with a weight",
        (
            (
                (Argument("value: weight", "a mapping; the weights need not add up to 1"),),
                ("weights > 0",), "{choice: {0.8: 0.90, 0.4: 0.08, 0.1: 0.02}}",
            ),
            ((Argument("values", "a list; all are equally likely"),), (), "{choice: [dry, rain, snow]}"),
        ),
    ),
    "mixture": (
        "one of several distributions, each with a weight",
        (
            (
                (Argument("[weight, distribution]", "a list of such pairs; the weights need not add up to 1"),),
                ("weights > 0", "numbers, no words"),
                "{mixture: [[0.9, {normal: [18 m, 3 m]}], [0.1, {uniform: [4 m, 8 m]}]]}",
            ),
        ),
    ),
    "empirical": (
        "figures as they were observed: in the scenario itself, or a column of a CSV or Parquet file beside it",
        (
            (
                (
                    Argument("values", "the figures"),
                    Argument("how", "linear: between neighbouring figures too; steps: one of them", "linear"),
                ),
                (), "{empirical: {values: [12 m, 14 m, 19 m, 31 m]}}",
            ),
            (
                (
                    Argument("file", "path from the scenario; a dataset keeps a copy"),
                    Argument("column", "name of the column"),
                    Argument("unit", "unit of the figures; SI where not given", "SI"),
                    Argument("how", "linear or steps", "linear"),
                    Argument("sha256", "hash that the file must have", "not checked"),
                ),
                (), "{empirical: {file: gaps.csv, column: gap, unit: m}}",
            ),
        ),
    ),
}  # fmt: skip

_EXAMPLES = {  # plain arguments of the first form
    "uniform": "[60 km/h, 130 km/h]", "loguniform": "[0.1 s, 10 s]", "normal": "[18 m, 3 m]",
}  # fmt: skip


def entries() -> list[DistributionEntry]:
    """Return every distribution, those of `laws.py` first."""
    found = []
    for name, law in LAWS.items():
        forms = []
        for i, form in enumerate(law.forms):
            own = tuple(
                Argument(a.name, a.about, "" if a.default is None else f"{a.default:g}", _MEASURES[a.measure])
                for a in form.args
            )
            numbers = _fitting(name, i)
            text = "{" + ", ".join(f"{key}: {value:g}" for key, value in numbers.items()) + "}"
            shown = _EXAMPLES[name] if name in _EXAMPLES and not i else text
            forms.append(DistributionForm(own, tuple(map(str, form.rules)), f"{{{name}: {shown}}}"))
        others = tuple(alias for alias, of in ALIASES.items() if of == name)
        found.append(DistributionEntry(name, law.about, others, tuple(forms)))
    for name, (about, ways) in SPECIAL.items():
        others = tuple(alias for alias, of in ALIASES.items() if of == name)
        found.append(DistributionEntry(name, about, others, tuple(DistributionForm(*way) for way in ways)))
    return found


def _fitting(name: str, form: int) -> dict[str, float]:
    """Return plain numbers that keep the limits on a form's arguments."""
    from itertools import product

    own = LAWS[name].forms[form]
    for values in product((1.0, 2.0, 3.0, 0.5, 4.0), repeat=len(own.args)):
        args = dict(zip(own.names, values, strict=True))
        if all(rule.holds(args) for rule in own.rules):
            return args
    raise AssertionError(f"no plain numbers fit {name}")


__all__ = ["SPECIAL", "Argument", "DistributionEntry", "DistributionForm", "entries"]
