"""JSON Schema of the scenario language, for editors and external validators.

The schemas of pydantic are shortened: the pattern of a quantity is defined once under `$defs`, as `quantity.speed`,
and once as `setting.speed`, which also accepts a drawn value such as `$ego_speed`; bounds stay next to the reference
and apply to bare numbers. Defaults of nested models are left out, since their keys have defaults.
"""

from __future__ import annotations

from typing import Any

from mischance import units
from mischance.api.protocols import declares
from mischance.language import catalog
from mischance.language.distributions import parsing as distributions
from mischance.language.scenario import LAW_MARK, WORD, WORLD, ScenarioModel

DRAWN = {"type": "string", "pattern": r"^\$[A-Za-z_][A-Za-z0-9_]*$", "description": "a drawn value, as $name"}
FOREIGN = r"[:.]"  # file.py:Class or package.module:Class
STANDS = "in which of several worlds it stands"
DIMENSIONS = {text: name for name in (*units.SI, "ratio", "level") if (text := units.pattern(name))}
PLAIN = ("number", "integer", "boolean")


def scenario_schema() -> dict[str, Any]:
    """Return the schema of a scenario file, with all built-in plug-ins."""
    folding = _Folding()
    schema = folding.fold(ScenarioModel.model_json_schema(by_alias=True), drawn=False)
    definitions: dict[str, Any] = schema.pop("$defs")
    definitions["Distribution"] = distributions.schema(ref="#/$defs/Distribution")
    properties = schema["properties"]
    properties["simulator"], world = folding.choice("simulators", definitions)
    properties["worlds"]["patternProperties"] = {WORLD: properties["simulator"]}
    agent, driver = folding.choice("agents", definitions)
    properties["agents"]["patternProperties"] = {WORLD: agent}
    properties["agent"] = {"anyOf": [agent, {"type": "null"}], "default": None}
    folding.drawer = folding.choice("renderers", definitions)
    instrument, sensor = folding.choice("sensors", definitions)
    properties["sensors"]["patternProperties"] = {WORD: instrument}
    writer, named = folding.choice("writers", definitions)
    properties["write"]["items"] = {"anyOf": [{"type": "string"}, {**writer, **named}]}
    # A file that extends another may omit keys that the other has, in the settings of plug-ins too.
    schema["required"] = ["mischance", "name"]
    alone = {
        "required": ["duration"],
        "oneOf": [{"required": ["simulator"]}, {"required": ["worlds"]}],
        "properties": {
            "simulator": world,
            "worlds": {"additionalProperties": world},
            "agent": driver,
            "agents": {"additionalProperties": driver},
            "sensors": {"additionalProperties": sensor},
        },
    }
    schema["if"], schema["then"] = {"not": {"required": ["extends"]}}, alone
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mischance scenario",
        **schema,
        "$defs": {**definitions, **dict(sorted(folding.shared.items()))},
    }


class _Folding:
    """Rewrites pydantic's schemas; `shared` collects the definitions that they refer to."""

    def __init__(self) -> None:
        self.shared: dict[str, Any] = {}
        self.drawer: tuple[dict[str, Any], dict[str, Any]] = ({}, {})  # what a sensor may say of its renderer

    def choice(self, room: str, definitions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the schema of a plug-in of one kind, and its required keys for a file that extends no other.

        `kind` decides which settings are allowed.
        """
        kinds: list[str] = []
        rules: list[dict[str, Any]] = []
        needs: list[dict[str, Any]] = []
        for entry in catalog.entries(room):
            if entry.origin != "mischance":
                continue  # the committed schema describes built-in plug-ins only
            declared = declares(catalog.find(room, entry.name))
            model = declared.settings
            own = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{room}.{entry.name}.{{model}}")
            for name, definition in own.pop("$defs", {}).items():
                definitions[f"{room}.{entry.name}.{name}"] = self.fold(definition, drawn=True)
            own = self.fold(own, drawn=True)
            stands = {"world": {"type": "string", "description": STANDS}} if room in ("agents", "sensors") else {}
            own["properties"] = {"kind": {"const": entry.name}, **stands, **own.get("properties", {})}
            own["description"] = entry.about
            definitions[f"{room}.{entry.name}"] = own
            kinds.append(entry.name)
            named = {"properties": {"kind": {"const": entry.name}}, "required": ["kind"]}
            rules.append({"if": named, "then": {"$ref": f"#/$defs/{room}.{entry.name}"}})
            needed = _taken_out(own, definitions)
            if declared.renderer:
                name = own["properties"][declared.renderer]
                said = {key: name.pop(key) for key in ("description", "default") if key in name}
                own["properties"][declared.renderer] = {**said, "anyOf": [name, self.drawer[0]]}
                needed.setdefault("properties", {})[declared.renderer] = self.drawer[1]
            if needed:
                needs.append({"if": named, "then": needed})
        kind = {"anyOf": [{"enum": kinds}, {"type": "string", "pattern": FOREIGN}]} if kinds else {"type": "string"}
        required: dict[str, Any] = {"required": ["kind"], **({"allOf": needs} if needs else {})}
        return {"type": "object", "properties": {"kind": kind}, "allOf": rules}, required

    def fold(self, node: dict[str, Any], *, drawn: bool) -> dict[str, Any]:
        """Return a schema in short form; with `drawn`, every scalar in it may also be a drawn value."""
        # For optional quantities pydantic keeps its own names of bounds.
        kept = {
            units.BOUNDS.get(key, key): value
            for key, value in node.items()
            if key not in ("title", "discriminator", LAW_MARK)
        }
        if isinstance(kept.get("default"), dict | list) and kept["default"]:
            del kept["default"]
        if "patternProperties" in kept:  # pydantic omits it, but refuses other names
            kept["additionalProperties"] = False
        if LAW_MARK in node:
            return {**kept, "$ref": "#/$defs/Distribution"}
        found = self._quantity(kept, drawn)
        if found is not None:
            return found
        outer = {key: value for key, value in kept.items() if key in ("description", "default")}
        inner = {key: value for key, value in kept.items() if key not in outer}
        if drawn and kept.get("type") in PLAIN:
            inner["$ref"] = self._setting(inner.pop("type"))
            return {**outer, **inner}
        # Free text already accepts a drawn value.
        if drawn and ("enum" in kept or (kept.get("type") == "string" and len(inner) > 1)):
            self.shared["drawn"] = DRAWN
            return {**outer, "anyOf": [inner, {"$ref": "#/$defs/drawn"}]}
        return {key: self._part(key, part, drawn) for key, part in kept.items()}

    def _part(self, key: str, part: Any, drawn: bool) -> Any:
        if key in ("properties", "$defs", "patternProperties"):
            return {name: self.fold(value, drawn=drawn) for name, value in part.items()}
        if key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            return [self.fold(value, drawn=drawn) for value in part]
        return self.fold(part, drawn=drawn) if isinstance(part, dict) and key != "default" else part

    def _quantity(self, node: dict[str, Any], drawn: bool) -> dict[str, Any] | None:
        """Return the short form of the schema of a `Unit`, or None for any other schema."""
        ways = node.get("anyOf")
        if not isinstance(ways, list) or len(ways) < 2 or ways[1].get("pattern") not in DIMENSIONS:
            return None
        dimension = DIMENSIONS[ways[1]["pattern"]]
        bounds = {key: value for key, value in ways[0].items() if key not in ("type", "description", "title")}
        outer = {key: value for key, value in node.items() if key != "anyOf"}
        short = {**outer, **bounds, "$ref": self._setting(dimension) if drawn else self._plain(dimension)}
        if len(ways) == 2:
            return short
        short = {key: value for key, value in short.items() if key not in outer}
        return {**outer, "anyOf": [short, *(self.fold(way, drawn=drawn) for way in ways[2:])]}

    def _plain(self, dimension: str) -> str:
        name = f"quantity.{dimension.replace(' ', '_')}"
        about = units.wanted(dimension).removeprefix("expected ")
        if units.SI.get(dimension):
            about += f"; a bare number is in {units.SI[dimension]}"
        texts = {"type": "string", "pattern": units.pattern(dimension)}
        self.shared[name] = {"description": about, "anyOf": [{"type": "number"}, texts]}
        return f"#/$defs/{name}"

    def _setting(self, what: str) -> str:
        name = f"setting.{what.replace(' ', '_')}"
        self.shared["drawn"] = DRAWN
        plain = {"type": what} if what in PLAIN else {"$ref": self._plain(what)}
        self.shared[name] = {"anyOf": [plain, {"$ref": "#/$defs/drawn"}]}
        return f"#/$defs/{name}"


def _taken_out(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Remove `required` from a schema and its nested mappings; return it as a separate schema.

    Entries of lists keep theirs, since a list replaces the extended one as a whole.
    """
    found: dict[str, Any] = {"required": schema.pop("required")} if "required" in schema else {}

    def inside(part: Any) -> dict[str, Any]:
        name = str(part.get("$ref", "")).removeprefix("#/$defs/") if isinstance(part, dict) else ""
        own = definitions.get(name)
        return _taken_out(own, definitions) if own is not None else {}

    parts: dict[str, Any] = {}
    for key, part in schema.get("properties", {}).items():
        below = inside(part)
        every = [inside(each) for each in (part.get("patternProperties") or {}).values()]
        every.append(inside(part.get("additionalProperties")))
        for each in filter(None, every):
            below["additionalProperties"] = each
        if below:
            parts[key] = below
    return {**found, "properties": parts} if parts else found
