"""Verb `show`: the settings of a plug-in, a fault, a distribution, or what a scenario is about, in readable form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mischance.cli.options import json_option
from mischance.cli.output import print_json, terminal
from mischance.errors import MischanceError, suggest

if TYPE_CHECKING:
    from rich.console import Console

KINDS = ("scenario", "simulator", "sensor", "renderer", "agent", "writer", "exporter", "fault", "distribution")


@click.command()
@click.argument("kind", metavar=f"{{{'|'.join(KINDS)}}}")
@click.argument("name", required=False)
@json_option
@click.pass_context
def show(ctx: click.Context, kind: str, name: str | None, as_json: bool) -> None:
    """Show one thing that a scenario can name: its settings with units, ranges, defaults and an example."""
    word = kind.lower().removesuffix("s")
    if word not in KINDS:
        raise MischanceError(f"there is nothing to show called {kind!r}", suggest(kind, KINDS) or _known(KINDS))
    if name is None:
        names = _names(word)
        print_json(names) if as_json else click.echo("\n".join(names))
        return
    facts, paint = _FOUND[word](name) if word in _FOUND else _plugin(f"{word}s", name)
    if as_json:
        print_json(facts)
    else:
        paint(terminal(ctx))


def _names(word: str) -> list[str]:
    from mischance.language import catalog
    from mischance.language.distributions.reference import entries
    from mischance.language.reference import faults

    if word == "distribution":
        return [entry.name for entry in entries()]
    if word == "fault":
        return list(dict.fromkeys(one.kind for one in faults()))
    return [entry.name for entry in catalog.entries(f"{word}s")]


def _known(names: Any) -> str:
    return "known: " + ", ".join(names)


# -- plug-ins ----------------------------------------------------------------------------------------------------------


def _plugin(room: str, name: str) -> tuple[dict[str, Any], Any]:
    from mischance.api.protocols import declares
    from mischance.language import catalog
    from mischance.language.reference import example, sections

    plugin = catalog.find(room, name)
    declared = declares(plugin)
    about = next((entry.about for entry in catalog.entries(room) if entry.name == name), "")
    found = sections(declared.settings)
    line, source = example(room, name)
    facts = {
        "kind": name, "about": about, "settings": [asdict(section) for section in found],
        "faults": {kind: asdict(fault) for kind, fault in declared.faults.items()},
        "measures": {key: {"unit": one.unit, "about": one.about} for key, one in declared.measures.items()},
        "commands": {key: {"unit": one.unit, "about": one.about} for key, one in declared.commands.items()},
        "requirements": {key: {"formula": one.formula, "about": one.about}
                         for key, one in declared.requirements.items()},
        "example": line, "example_from": source,
    }  # fmt: skip

    def paint(paper: Console) -> None:
        _head(paper, name, about)
        for section in found:
            if section.path:
                _note(paper, f"{section.path}: {section.about}" if section.about else section.path)
            if not section.settings:
                _note(paper, "it has no settings")
                continue
            rows = [
                (s.key, f"{s.takes} [{s.unit}]" if s.unit else s.takes, s.default, s.limits,
                 s.about.removesuffix(f"[{s.unit}]").rstrip())
                for s in section.settings
            ]  # fmt: skip
            _table(paper, ("setting", "takes", "default", "range", "what it is"), rows)
        faults = [(kind, one.severity, f"{one.default:g}", one.about) for kind, one in declared.faults.items()]
        _list(paper, "faults", ("fault", "severity in", "default", "what it does"), faults)
        for title, schema in (("measures of a run", declared.measures), ("commands that it takes", declared.commands)):
            _list(paper, title, ("name", "unit", "what it is"), [(k, c.unit, c.about) for k, c in schema.items()])
        asked = [(key, one.about, one.formula) for key, one in declared.requirements.items()]
        _list(paper, "requirements by default, which `require: {NAME: null}` switches off",
              ("name", "what it asks", "formula"), asked)  # fmt: skip
        if line:
            _note(paper, f"example, from {source}")
            paper.print(f"  {line}", markup=False)

    return facts, paint


# -- faults and distributions ------------------------------------------------------------------------------------------


def _fault(name: str) -> tuple[dict[str, Any], Any]:
    from mischance.language.reference import faults

    every = faults()
    found = [one for one in every if one.kind == name]
    if not found:
        kinds = dict.fromkeys(one.kind for one in every)
        raise MischanceError(f"there is no fault called {name!r}", suggest(name, kinds) or _known(kinds))
    target = {"": "agent", "sensors": "sensors.<name>", "simulators": "a part of the world"}
    lines = [f"{{target: {target[one.room]}, kind: {name}, at: 1 s, severity: {one.fault.default:g}}}" for one in found]
    facts = [
        {"of": one.owner, "room": one.room, **asdict(one.fault), "example": line}
        for one, line in zip(found, lines, strict=True)
    ]

    def paint(paper: Console) -> None:
        _head(paper, name, "")
        rows = [(one.owner, one.fault.severity, f"{one.fault.default:g}", one.fault.about) for one in found]
        _table(paper, ("of", "severity in", "default", "what it does"), rows)
        _note(paper, "example")
        for line in dict.fromkeys(lines):
            paper.print(f"  {line}", markup=False)

    return {"kind": name, "faults": facts}, paint


def _distribution(name: str) -> tuple[dict[str, Any], Any]:
    from mischance.language.distributions.reference import entries

    every = {key: entry for entry in entries() for key in (entry.name, *entry.aliases)}
    if name not in every:
        raise MischanceError(f"there is no distribution called {name!r}", suggest(name, every) or _known(every))
    entry = every[name]

    def paint(paper: Console) -> None:
        others = f" (or `{', '.join(entry.aliases)}`)" if entry.aliases else ""
        _head(paper, entry.name + others, entry.about)
        for form in entry.forms:
            rows = [(a.name, a.about, a.measure, a.default or "required") for a in form.arguments]
            _table(paper, ("argument", "what it is", "measured", "default"), rows)
            if form.limits:
                _note(paper, f"limits: {'; '.join(form.limits)}", gap=False)
            paper.print(f"  {form.example}", markup=False)

    return asdict(entry), paint


# -- scenarios ---------------------------------------------------------------------------------------------------------


def _scenario(name: str) -> tuple[dict[str, Any], Any]:
    from mischance.language.loading import load_as_written
    from mischance.language.yaml.writing import inline

    tree = load_as_written(name)

    def paint(paper: Console) -> None:
        _head(paper, str(tree.get("name", name)), str(tree.get("about", "")))
        if tree.get("tags"):
            paper.print(", ".join(tree["tags"]), style="dim", markup=False)
        worlds = tree.get("worlds") or {"": tree.get("simulator") or {}}
        for world, settings in worlds.items():
            named = {key: one for key, one in settings.items() if _is_named(one)}
            plain = [(key, inline(one)) for key, one in settings.items() if key not in named]
            _list(paper, f"world {world}".rstrip(), ("setting", "value"), plain)
            for key, group in named.items():
                _list(paper, key, ("name", "settings"), [(one, _bare(inline(own))) for one, own in group.items()])
        _list(paper, "links", ("from", "to"), [(one["from"], inline(one)) for one in tree.get("links") or ()])
        _list(
            paper, "what varies", ("name", "law"), [(key, _law(one)) for key, one in (tree.get("vary") or {}).items()]
        )
        _list(paper, "constraints", ("name",), [(one,) for one in tree.get("constraints") or ()])
        agent = tree.get("agent")
        _list(paper, "agent", ("setting", "value"), [(key, inline(one)) for key, one in (agent or {}).items()])
        sensors = (tree.get("sensors") or {}).items()
        _list(paper, "sensors", ("name", "settings"), [(key, _bare(inline(one))) for key, one in sensors])
        faults = [(one.get("kind", ""), one.get("target", ""), _rest(one)) for one in tree.get("faults") or ()]
        _list(paper, "faults", ("fault", "of", "when and how much"), faults)
        event = [(key, inline(one)) for key, one in (tree.get("event") or {}).items()]
        _list(paper, "event", ("key", "value"), event)
        _list(paper, "requirements", ("name", "requirement"), list((tree.get("require") or {}).items()))
        variants = [(key, _bare(inline(one))) for key, one in (tree.get("variants") or {}).items()]
        _list(paper, "variants", ("name", "what they change"), variants)

    return tree, paint


def _is_named(value: Any) -> bool:
    """Say whether a setting holds things by name, such as actors."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, Mapping) for one in value.values())


def _bare(text: str) -> str:
    return text[1:-1] if text.startswith("{") and text.endswith("}") else text


def _law(tree: Any) -> str:
    """Return a distribution as it is said: `uniform [60 km/h, 130 km/h]`."""
    from mischance.language.yaml.writing import inline

    if isinstance(tree, Mapping):
        return ", ".join(f"{key} {inline(one)}" if key != "source" else f"source: {one}" for key, one in tree.items())
    return inline(tree)


def _rest(fault: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_law(one)}" for key, one in fault.items() if key not in ("target", "kind"))


# -- on paper ----------------------------------------------------------------------------------------------------------


def _head(paper: Console, name: str, about: str) -> None:
    paper.print(name, style="bold", markup=False)
    if about:
        paper.print(about, markup=False)
    paper.print()


def _note(paper: Console, text: str, *, gap: bool = True) -> None:
    if gap:
        paper.print()
    paper.print(text, style="dim" if not gap else "", markup=False)


def _list(paper: Console, title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if rows:
        paper.print()
        paper.print(title, style="bold", markup=False)
        _table(paper, head, rows)


def _table(paper: Console, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table; columns without anything in them are left out, and on a narrow terminal long cells are folded."""
    from rich.table import Table
    from rich.text import Text

    used = [i for i in range(len(head)) if any(row[i] for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=len(head) > 2)
    for n, i in enumerate(used):
        table.add_column(head[i], overflow="fold", no_wrap=n == 0 and max(len(row[i]) for row in rows) < 28)
    for row in rows:
        table.add_row(*(Text(str(row[i])) for i in used))
    paper.print(table)


_FOUND = {"scenario": _scenario, "fault": _fault, "distribution": _distribution}
