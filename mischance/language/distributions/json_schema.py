"""JSON Schema of distributions, generated from the table of parametric distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mischance.language.distributions.laws import ALIASES, LAWS, Arg


def schema(ref: str = "#/$defs/Distribution") -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a distribution; `ref`: its reference, for nested distributions.

    Quantities and expressions are any text; relations between arguments are checked by `parse` only.
    """
    inner = {"$ref": ref}
    number: dict[str, Any] = {"type": ["number", "string"]}
    weight: dict[str, Any] = {"type": ["number", "string"], "exclusiveMinimum": 0}
    text = {"type": "string"}
    how = {"enum": ["linear", "steps"], "default": "linear", "description": "between figures, or one of them"}
    from_file = {"file": text, "column": text, "unit": text, "how": how, "sha256": text}
    pair = {"type": "array", "prefixItems": [weight, inner], "minItems": 2, "maxItems": 2}
    options = {"type": "array", "items": number, "minItems": 1, "uniqueItems": True}
    arguments: dict[str, tuple[str, dict[str, Any]]] = {
        "constant": ("always the same number or word", number),
        "expr": ("calculated from other drawn values", number),
        "choice": (
            "one of a few numbers or words, each with a weight",
            {"anyOf": [{"type": "object", "additionalProperties": weight, "minProperties": 1}, options]},
        ),
        "mixture": ("one of several distributions", {"type": "array", "items": pair, "minItems": 1}),
        "empirical": (
            "figures as they were observed",
            {
                "anyOf": [
                    _object({"values": {"type": "array", "items": number, "minItems": 1}, "how": how}, ["values"]),
                    _object(from_file, ["file", "column"]),
                ]
            },
        ),
    }
    for name, law in LAWS.items():
        first = law.forms[0]
        ways: list[dict[str, Any]] = [
            {"type": "array", "items": inner, "minItems": len(first.needed), "maxItems": len(first.names)}
        ]
        if len(first.names) == 1:
            ways.append(number)
        for form in law.forms:
            properties = {arg.name: {**inner, **_described(arg)} for arg in form.args}
            ways.append(_object(properties, list(form.needed)))
        arguments[name] = (law.about, {"anyOf": ways})
    for alias, name in ALIASES.items():
        arguments[alias] = arguments[name]
    kinds = {kind: {"description": about, **tree} for kind, (about, tree) in sorted(arguments.items())}
    return {
        "description": "a number, a quantity, an expression or a distribution",
        "type": ["number", "string", "object"],
        "properties": {**kinds, "source": {"description": "where the figures come from", **text}},
        "additionalProperties": False,
        # one key names the distribution
        "if": {"required": ["source"]},
        "then": {"minProperties": 2, "maxProperties": 2},
        "else": {"minProperties": 1, "maxProperties": 1},
    }


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _described(arg: Arg) -> dict[str, Any]:
    return {"description": arg.about, **({} if arg.default is None else {"default": arg.default})}
