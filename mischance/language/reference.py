"""Reference of the settings of plug-ins and of their faults: units, ranges, defaults and examples.

Settings come from the JSON Schema of the plug-ins' pydantic models, so that they are those that a file is checked by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from mischance import units
from mischance.api.protocols import AGENT_FAULTS, FaultKind, declares
from mischance.language import catalog
from mischance.language.yaml.writing import inline

_LIMITS = (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤"))


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its key, what it takes, its unit where it is a quantity, its default, its range, what it is."""

    key: str
    takes: str
    unit: str
    default: str
    limits: str
    about: str


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that stand together; `path`: the key that leads to them, '' at the top; `about` says which they are."""

    path: str
    about: str
    settings: tuple[Setting, ...]


def sections(model: type[BaseModel]) -> list[Section]:
    """Return all settings of a plug-in's model: its own, then those of the mappings inside it; each model once."""
    schema = model.model_json_schema(by_alias=True)
    return list(_Walk(schema.get("$defs", {})).sections("", "", schema))


@dataclass(frozen=True, slots=True)
class _Value:
    """What a schema accepts: in words, with unit and range, and the mappings inside it as (suffix of the key, name)."""

    takes: str
    unit: str = ""
    limits: str = ""
    inner: tuple[tuple[str, str], ...] = ()


class _Walk:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self.definitions = definitions
        self.known: set[str] = set()

    def sections(self, path: str, about: str, schema: Mapping[str, Any]) -> Iterator[Section]:
        """Yield the section of one mapping and those inside it."""
        rows, inner = [], []
        for key, node in schema.get("properties", {}).items():
            value = self.value(node)
            default = "required"
            if key not in schema.get("required", ()):
                default = _default(node.get("default"), value.unit)
            if "const" not in node:
                rows.append(Setting(key, value.takes, value.unit, default, value.limits, node.get("description", "")))
            inner += [(f"{path}.{key}".strip(".") + suffix, name) for suffix, name in value.inner]
        if rows or not path:
            yield Section(path, about, tuple(rows))
        for where, name in inner:
            if name not in self.known:
                self.known.add(name)
                own = self.definitions[name]
                words = [
                    f"{key}: {part['const']}" for key, part in own.get("properties", {}).items() if "const" in part
                ]
                said = str(own.get("description", "")).partition("\n")[0]
                yield from self.sections(where, ". ".join([*(f"with {word}" for word in words), said]), own)

    def value(self, node: Mapping[str, Any]) -> _Value:
        """Return what one schema accepts."""
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            own = self.definitions[name]
            return _Value("mapping", inner=(("", name),)) if "properties" in own else self.value(own)
        for key in ("anyOf", "oneOf"):
            if key in node:
                return self._either([one for one in node[key] if one.get("type") != "null"])
        if "allOf" in node and len(node["allOf"]) == 1:
            return self.value(node["allOf"][0])
        if "enum" in node or "const" in node:
            return _Value("one of " + ", ".join(map(str, node.get("enum", [node.get("const")]))))
        kind = node.get("type")
        if kind == "array":
            return self._list(node)
        if kind == "object":
            inside = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), None)
            if not isinstance(inside, dict):
                return _Value("mapping")
            one = self.value(inside)
            what = "mappings" if one.takes == "mapping" else one.takes
            return _Value(f"names with {what}", one.unit, one.limits, tuple((f".<name>{s}", n) for s, n in one.inner))
        words = {"number": "number", "integer": "whole number", "boolean": "true or false", "string": "text"}
        return _Value(words.get(str(kind), "any value"), limits=_limits(node))

    def _either(self, ways: list[Mapping[str, Any]]) -> _Value:
        if len(ways) == 2 and ways[0].get("type") == "number" and "pattern" in ways[1]:
            unit = str(ways[0].get("description", "")).removeprefix("in ")
            return _Value("quantity" if unit else "number", unit, _limits(ways[0]))
        found = [self.value(way) for way in ways]
        takes = " or ".join(dict.fromkeys(one.takes for one in found))
        unit = next((one.unit for one in found if one.unit), "")
        limits = found[0].limits if len(found) == 1 else ""
        return _Value(takes, unit, limits, tuple(part for one in found for part in one.inner))

    def _list(self, node: Mapping[str, Any]) -> _Value:
        if "prefixItems" in node:
            parts = [self.value(part) for part in node["prefixItems"]]
            takes = parts[0].takes if len({part.takes for part in parts}) == 1 else "values"
            return _Value(f"{len(parts)} of: {takes}", parts[0].unit, parts[0].limits)
        one = self.value(node["items"]) if node.get("items") else _Value("any value")
        what = "mappings" if one.takes == "mapping" else one.takes
        return _Value(f"a list of: {what}", one.unit, one.limits, tuple((f"[]{s}", name) for s, name in one.inner))


def _limits(node: Mapping[str, Any]) -> str:
    known = {units.BOUNDS.get(key, key): value for key, value in node.items()}
    return ", ".join(f"{sign} {known[key]:g}" for key, sign in _LIMITS if key in known)


def _default(value: Any, unit: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:.6g} {unit}".rstrip()
    text = inline(value)
    return text if text is not None and len(text) <= 60 else "see below"


# -- examples ----------------------------------------------------------------------------------------------------------


def example(room: str, kind: str) -> tuple[str, str]:
    """Return how a scenario of the library uses a plug-in, as one line of YAML, and that scenario; the shortest one.

    ('', '') where none uses it.
    """
    from mischance.language.yaml.document import read

    found: list[tuple[int, str, str]] = []
    for name, path in catalog.scenario_files().items():
        text = path.read_text(encoding="utf-8")
        if kind not in text:
            continue
        for used in _uses(read(text, str(path)).tree, room):
            line = inline(used) if used.get("kind") == kind else None
            if line is not None:
                found.append((len(line), line, name))
    return min(found)[1:] if found else ("", "")


def _uses(tree: Mapping[str, Any], room: str) -> Iterator[Mapping[str, Any]]:
    """Yield the plug-ins of a kind in a scenario's tree."""
    several = {"sensors": "sensors", "simulators": "worlds"}.get(room, "")
    one = {"simulators": "simulator", "agents": "agent"}.get(room, "")
    places = [*(tree.get(several) or {}).values(), tree.get(one)]
    if room == "writers":
        places = [{"kind": each} if isinstance(each, str) else each for each in tree.get("write") or ()]
    if room == "renderers":
        named = [each.get("renderer") for each in (tree.get("sensors") or {}).values()]
        places = [{"kind": each} if isinstance(each, str) else each for each in named]
    yield from (each for each in places if isinstance(each, dict))


# -- faults ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaultPlace:
    """A kind of fault, and whose it is: (kind of plug-in, name); ('', 'agent') is the channel to any agent."""

    room: str
    owner: str
    kind: str
    fault: FaultKind


def faults() -> list[FaultPlace]:
    """Return all kinds of fault that a scenario may plan, by owner."""
    found = [FaultPlace("", "agent", kind, fault) for kind, fault in AGENT_FAULTS.items()]
    for room in ("simulators", "sensors"):
        for entry in catalog.entries(room):
            own = declares(catalog.find(room, entry.name)).faults
            found += [FaultPlace(room, entry.name, kind, fault) for kind, fault in own.items()]
    return found


__all__ = ["FaultPlace", "Section", "Setting", "example", "faults", "sections"]
