"""Verbs about a scenario file: `init`, `validate`, `schema`."""

from __future__ import annotations

from pathlib import Path

import click

from mischance.cli.options import json_option, load_with_warnings, scenario_options, show_warnings
from mischance.cli.output import plain_problems, print_json, say
from mischance.errors import MischanceError


@click.command()
@click.argument("file", type=click.Path(dir_okay=False), default="scenario.yaml")
@click.option("--from", "source", metavar="NAME", help="Copy a scenario of the library.")
@json_option
@click.pass_context
def init(ctx: click.Context, file: str, source: str | None, as_json: bool) -> None:
    """Write a scenario to start from."""
    from mischance.language.template import starter_text

    path = Path(file)
    text = starter_text(source)
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise MischanceError(f"{file} exists, and nothing is overwritten", "name another file") from None
    except OSError as error:
        raise MischanceError(f"cannot write {file}: {error.strerror}") from error
    if as_json:
        print_json({"file": file})
        return
    click.echo(file)
    say(ctx, f"next: mischance validate {file}")


@click.command()
@click.argument("scenario")
@scenario_options
@json_option
@click.pass_context
def validate(
    ctx: click.Context, scenario: str, overrides: tuple[str, ...], seed: int | None, without: tuple[str, ...],
    strict: bool, as_json: bool,
) -> None:  # fmt: skip
    """Check a scenario; print every problem with its place, and what nothing uses as warnings."""
    loaded, found = load_with_warnings(scenario, overrides, seed, without, strict=strict)
    if as_json:
        print_json({"valid": True, "name": loaded.name, "warnings": plain_problems(found)})
        return
    show_warnings(found)
    click.echo(f"{loaded.name}: valid")


@click.command()
@json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of the scenario language."""
    from mischance.language.json_schema import scenario_schema

    del as_json  # it is JSON with and without
    print_json(scenario_schema())
