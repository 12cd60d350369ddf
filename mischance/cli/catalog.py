"""Verb `list`: scenarios and plug-ins."""

from __future__ import annotations

import click

from mischance.cli.options import json_option
from mischance.cli.output import print_json, say

ROOMS = ["scenarios", "simulators", "sensors", "renderers", "writers", "agents", "exporters", "generators"]


@click.command("list")
@click.argument("room", metavar=f"[{'|'.join(ROOMS)}]", required=False)
@click.option("--tag", multiple=True, help="Only scenarios with this tag.")
@json_option
@click.pass_context
def list_(ctx: click.Context, room: str | None, tag: tuple[str, ...], as_json: bool) -> None:
    """List scenarios and plug-ins."""
    from mischance.language.catalog import entries

    rooms = [room] if room else ["scenarios"] if tag else ROOMS
    found = [entry for name in rooms for entry in entries(name) if set(tag) <= set(entry.tags)]
    if as_json:
        print_json(
            [
                {
                    "room": entry.room, "name": entry.name, "about": entry.about, "tags": list(entry.tags),
                    "origin": entry.origin, "variants": list(entry.variants),
                }
                for entry in found
            ]
        )  # fmt: skip
        return
    width = max((len(entry.name) for entry in found), default=0)
    for name in rooms:
        own = [entry for entry in found if entry.room == name]
        if len(rooms) > 1 and own:
            say(ctx, f"{name}:", err=False, bold=True)
        for entry in own:
            extra = f"  [{', '.join(entry.tags)}]" if entry.tags else ""
            variants = f"  (variants: {', '.join(entry.variants)})" if entry.variants else ""
            click.echo(f"{'  ' if len(rooms) > 1 else ''}{entry.name:<{width}}  {entry.about}{variants}{extra}")
