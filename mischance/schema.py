"""The JSON Schema of the scenario language, for editors and independent judges."""

from __future__ import annotations

from typing import Any

from mischance import catalog, distributions
from mischance.scenario import LAW_MARK, ScenarioModel
from mischance.sockets import declares

REFERENCE = {"type": "string", "pattern": r"^\$[A-Za-z_][A-Za-z0-9_]*$", "description": "a drawn value"}
FOREIGN = r"[:.]"  # file.py:Class or package.module:Class


def scenario_schema() -> dict[str, Any]:
    """Return the schema of a scenario file; every plug-in that the rooms hold is described in it."""
    schema = _with_laws(ScenarioModel.model_json_schema(by_alias=True))
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    definitions["Distribution"] = distributions.schema(ref="#/$defs/Distribution")
    properties = schema["properties"]
    properties["simulator"] = _choice("simulators", definitions)
    properties["agent"] = {"anyOf": [_choice("agents", definitions), {"type": "null"}], "default": None}
    properties["sensors"]["additionalProperties"] = _choice("sensors", definitions)
    properties["sensors"].pop("patternProperties", None)
    writer = _choice("writers", definitions)
    properties["write"]["items"] = {"anyOf": [{"type": "string"}, writer]}
    # A file that extends another may leave out what the other says.
    schema["required"] = ["mischance", "name"]
    schema["allOf"] = [{"if": {"not": {"required": ["extends"]}}, "then": {"required": ["duration", "simulator"]}}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mischance scenario",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _choice(room: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one plug-in of a room: `kind` decides which settings are allowed."""
    kinds: list[str] = []
    rules: list[dict[str, Any]] = []
    for entry in catalog.entries(room):
        if entry.origin != "mischance":
            continue  # the committed schema describes what the package itself holds
        model = declares(catalog.find(room, entry.name)).settings
        own = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{room}.{entry.name}.{{model}}")
        for name, definition in own.pop("$defs", {}).items():
            definitions[f"{room}.{entry.name}.{name}"] = _with_references(definition)
        own = _with_references(own)
        own["properties"] = {"kind": {"const": entry.name}, **own.get("properties", {})}
        own["description"] = entry.about
        own.pop("title", None)
        definitions[f"{room}.{entry.name}"] = own
        kinds.append(entry.name)
        rules.append(
            {
                "if": {"properties": {"kind": {"const": entry.name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{room}.{entry.name}"},
            }
        )
    kind = {"anyOf": [{"enum": kinds}, {"type": "string", "pattern": FOREIGN}]} if kinds else {"type": "string"}
    return {"type": "object", "properties": {"kind": kind}, "required": ["kind"], "allOf": rules}


def _with_laws(node: Any) -> Any:
    """Put the schema of distributions where the models have left a mark for it."""
    if isinstance(node, list):
        return [_with_laws(value) for value in node]
    if not isinstance(node, dict):
        return node
    if LAW_MARK in node:
        rest = {key: value for key, value in node.items() if key not in (LAW_MARK, "title")}
        return {**rest, "$ref": "#/$defs/Distribution"}
    return {key: _with_laws(value) for key, value in node.items()}


def _with_references(node: Any) -> Any:
    """Let every scalar of a plug-in's settings be a drawn value as well."""
    if isinstance(node, list):
        return [_with_references(value) for value in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") in ("number", "integer", "boolean", "string") or "enum" in node or "const" in node:
        outer = {key: node[key] for key in ("title", "description", "default") if key in node}
        inner = {key: value for key, value in node.items() if key not in outer}
        return {**outer, "anyOf": [inner, REFERENCE]}
    return {
        key: {name: _with_references(value) for name, value in part.items()}
        if key in ("properties", "$defs", "patternProperties")
        else _with_references(part)
        if key in ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "prefixItems")
        else part
        for key, part in node.items()
    }
