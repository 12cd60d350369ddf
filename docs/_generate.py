"""Writes the reference pages that follow from the code: keys, distributions, units, scenarios, plug-ins, Python API.

`conf.py` calls `write`; by hand it is `python docs/_generate.py`. The pages land in docs/_generated/,
which git ignores. What a part of the code does not offer yet is left out.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from mischance.api.protocols import declares
from mischance.language import catalog
from mischance.language.distributions import reference as distributions

ROOMS = ("simulators", "sensors", "renderers", "agents", "writers")


# Package -> what its page is about. What people and plug-ins import has a page; everything else may change.
PYTHON = {
    "mischance": "What most programs need: load a scenario, play it, sweep it, open its dataset.",
    "mischance.api": "Everything that a plug-in may import, with `mischance.errors` and `mischance.units`.",
    "mischance.driving": "Measures and rules of driving, as functions of arrays.",
    "mischance.gym": "Scenarios as gymnasium environments.",
    "mischance.opening": "Reading finished datasets.",
}
MORE = {"mischance.api": ("mischance.errors", "mischance.units")}  # modules beside a package, on its page


def names() -> list[str]:
    """Return the file names of all pages, without making them."""
    return [
        *(f"{room}.md" for room in ROOMS),
        *(f"{page}.md" for page in ("scenarios", "keys", "distributions", "units")),
        *(f"{package.replace('.', '_')}.md" for package in PYTHON),
    ]


def write(folder: Path) -> None:
    """Write every generated page into a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{room}.md": "\n".join(_room(room)) for room in ROOMS}
    pages["scenarios.md"] = "\n".join(_scenarios())
    pages["keys.md"] = "\n".join(_keys())
    pages["distributions.md"] = "\n".join(_distributions())
    pages["units.md"] = "\n".join(_units())
    pages |= {f"{package.replace('.', '_')}.md": "\n".join(_python(package)) for package in PYTHON}
    assert sorted(pages) == sorted(names())
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:  # an untouched page is not built again
            path.write_text(text, encoding="utf-8")


def _python(package: str) -> Iterator[str]:
    """Yield a page of Sphinx directives, which take signatures and docstrings from the code."""
    yield f"# `{package}`"
    yield ""
    yield PYTHON[package]
    yield ""
    root = importlib.import_module(package)
    if package == "mischance":
        yield from _directives(*(_directive(package, name, getattr(root, name)) for name in root.__all__))
        return
    inner = [f"{package}.{m.name}" for m in pkgutil.iter_modules(root.__path__) if not m.name.startswith("_")]
    about = (root.__doc__ or "").strip()
    if package == "mischance.gym":
        yield from _directives(_directive(package, "make", root.make))
        inner = [f"{package}.environment"]
    elif about:
        yield _text(about.partition("\n\n")[0])
        yield ""
    for module in (*inner, *MORE.get(package, ())):
        yield f"## `{module}`"
        yield ""
        yield from _directives((f".. automodule:: {module}", "   :members:", "   :undoc-members:"))


def _directive(package: str, name: str, thing: Any) -> tuple[str, ...]:
    """Return the directive that documents one public name."""
    if isinstance(thing, type):
        kind = "autoexception" if issubclass(thing, Exception) else "autoclass"
        # references lead to the page of the module where the class is defined, where that has one
        elsewhere = any(f"{thing.__module__}.".startswith(f"{page}.") for page in [*PYTHON, *MORE["mischance.api"]][1:])
        return (
            f".. {kind}:: {package}.{name}",
            *(["   :no-index:"] if elsewhere else []),
            "   :members:",
            "   :undoc-members:",
        )
    return (f".. autofunction:: {package}.{name}",)


def _directives(*directives: tuple[str, ...]) -> Iterator[str]:
    """Yield directives of reStructuredText inside Markdown."""
    yield "```{eval-rst}"
    for lines in directives:
        yield from (*lines, "")
    yield "```"
    yield ""


def _room(room: str) -> Iterator[str]:
    yield f"# {room.capitalize()}"
    yield ""
    entries = catalog.entries(room)
    if not entries:
        yield "None is installed."
    for entry in entries:
        plugin = catalog.find(room, entry.name)
        declared = declares(plugin)
        yield f"## `{entry.name}`"
        yield ""
        yield entry.about
        yield ""
        yield from _model(declared.settings)
        if declared.faults:
            yield "Faults:"
            yield ""
            rows = (
                (f"`{kind}`", fault.severity, fault.default, fault.about) for kind, fault in declared.faults.items()
            )
            yield from _table(("kind", "severity in", "default", "what it does"), rows)
        if declared.measures:
            yield "Measures of a run:"
            yield ""
            rows = ((f"`{name}`", column.unit, column.about) for name, column in declared.measures.items())
            yield from _table(("name", "unit", "what it is"), rows)
        if declared.commands:
            yield "Commands that it takes:"
            yield ""
            rows = ((f"`{name}`", column.unit, column.about) for name, column in declared.commands.items())
            yield from _table(("name", "unit", "what it is"), rows)


def _model(model: type[BaseModel], path: str = "", seen: frozenset[type] = frozenset(), tag: str = "") -> Iterator[str]:
    """Yield a table of a model's fields, then those of the models inside it; `path` is the key that leads to it.

    `tag`: the field whose one word tells this model from others in the same place; it is in the heading.
    """
    fields = model.model_fields
    if not fields:
        if not path:
            yield "It has no settings."
            yield ""
        return
    if tag:
        word = get_args(fields[tag].annotation)[0]
        about = (model.__doc__ or "").strip().partition("\n")[0]
        yield f"**`{path}` with `{tag}: {word}`**" + (f" – {_text(about)}" if about else "")
    else:
        yield f"Inside `{path}`:" if path else "Settings:"
    yield ""
    rows = ((f"`{f.alias or name}`", _default(f), _about(f)) for name, f in fields.items() if name != tag)
    yield from _table(("key", "default", "what it is"), rows)
    known = seen | {model}
    for key, inner, its_tag in _inner_models(model):
        if inner not in known:
            known |= {inner}  # what several kinds share stands once
            yield from _model(inner, f"{path}.{key}".strip("."), known, its_tag)
            if its_tag:
                known |= {deeper for _, deeper, _ in _inner_models(inner)}


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    text = repr(value) if isinstance(value, str | dict | list | tuple) else str(value)
    return f"`{text}`" if len(text) < 60 else "see the source"


def _about(field: Any) -> str:
    """Return what a field is and, where it takes certain words or kinds alone, which."""
    words = [f"`{word}`" for word in dict.fromkeys(_words(field.annotation))]
    if len(words) < 2:
        return field.description or ""
    return "; ".join(part for part in (field.description, f"one of {', '.join(words)}") if part)


def _words(annotation: Any) -> Iterator[str]:
    """Yield the words that an annotation allows, and those that tell apart the models that it allows."""
    if get_origin(annotation) is Literal:
        yield from (str(word) for word in get_args(annotation))
        return
    tag = _tag_of(annotation)
    for argument in get_args(annotation):
        if tag and isinstance(argument, type) and issubclass(argument, BaseModel):
            yield from (str(word) for word in get_args(argument.model_fields[tag].annotation))
        else:
            yield from _words(argument)


def _tag_of(annotation: Any) -> str:
    """Return the field that tells the models of a union apart: `kind`, where each has one word for it."""
    models = [one for one in get_args(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    kinds = [model.model_fields.get("kind") for model in models]
    told = len(kinds) > 1 and all(kind is not None and get_origin(kind.annotation) is Literal for kind in kinds)
    return "kind" if told else ""


def _inner_models(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel], str]]:
    found: dict[type[BaseModel], tuple[str, str]] = {}

    def look(key: str, annotation: Any, tag: str = "") -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.setdefault(annotation, (key, tag))
        for argument in get_args(annotation):
            look(key, argument, _tag_of(annotation))

    for name, field in model.model_fields.items():
        look(field.alias or name, field.annotation)
    yield from ((key, inner, tag) for inner, (key, tag) in found.items())


def _scenarios() -> Iterator[str]:
    yield "# Scenarios of the library"
    yield ""
    rows = (
        (f"`{e.name}`", e.about, " ".join(e.tags), ", ".join(f"`{variant}`" for variant in e.variants))
        for e in catalog.entries("scenarios")
    )
    yield from _table(("name", "about", "tags", "variants"), rows)


def _keys() -> Iterator[str]:
    yield "# Keys of a scenario"
    yield ""
    model = getattr(_module("mischance.language.scenario"), "ScenarioModel", None)
    if model is None:
        yield "`mischance schema` prints the keys."
        return
    yield from _model(model)


def _distributions() -> Iterator[str]:
    yield "# Distributions"
    yield ""
    yield "One key names the distribution: `gap: {normal: [18 m, 3 m]}` or `gap: {normal: {mean: 18 m, sigma: 3 m}}`."
    yield "Where arguments have names, those of the first form may be written as a list, in their order. An argument"
    yield "may be a distribution itself. `source` beside the key says where the figures come from."
    yield ""
    for entry in distributions.entries():
        yield f"## `{entry.name}`"
        yield ""
        yield _text(entry.about) + (f" (also `{'`, `'.join(entry.aliases)}`)" if entry.aliases else "")
        yield ""
        for form in entry.forms:
            rows = (
                (f"`{arg.name}`", arg.about, f"`{arg.default}`" if arg.default else "required")
                for arg in form.arguments
            )
            yield from _table(("argument", "what it is", "default"), rows)
            if form.limits:
                yield "Limits: " + "; ".join(f"`{limit}`" for limit in form.limits) + "."
                yield ""
            yield f"Example: `{form.example}`"
            yield ""


def _units() -> Iterator[str]:
    yield "# Units"
    yield ""
    yield "A quantity is one number and one unit (`50 km/h`); a bare number is SI, the first unit of each line."
    yield "Names are case-sensitive."
    yield ""
    dimensions: dict[str, list[str]] = {}
    for name, scale in getattr(_module("mischance.units"), "UNITS", {}).items():
        dimensions.setdefault(scale.dimension, []).append(name)
    rows = ((dimension, " ".join(f"`{name}`" for name in names)) for dimension, names in dimensions.items())
    yield from _table(("dimension", "units"), rows)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_text(str(cell)) for cell in row)} |"
    yield ""


def _text(text: str | None) -> str:
    """Return one line that no table or markup can trip over; what stands in back quotes stays."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;").replace("$", "\\$")


if __name__ == "__main__":
    write(Path(__file__).parent / "_generated")
