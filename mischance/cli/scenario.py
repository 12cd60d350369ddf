"""Verbs about a scenario file: `init`, `validate`, `schema`."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import click

from mischance.cli.options import json_option, load_with_warnings, scenario_options, show_warnings
from mischance.cli.output import plain_problems, print_json, say
from mischance.errors import MischanceError


@click.command()
@click.argument("file", type=click.Path(dir_okay=False), default="scenario.yaml")
@click.option("--from", "source", metavar="NAME", help="Copy a scenario of the library.")
@click.option("--world", metavar="NAME", help="Write a world of your own to start from, its scenario and its test.")
@click.option("--sensor", metavar="NAME", help="Write a sensor of your own to start from, a scenario and its test.")
@click.option("--writer", metavar="NAME", help="Write a writer of your own to start from, a scenario and its test.")
@json_option
@click.pass_context
def init(
    ctx: click.Context, file: str, source: str | None, world: str | None, sensor: str | None, writer: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Write a scenario to start from, or a world, sensor or writer of your own with its scenario and its test."""
    from mischance.language.template import starter_text

    asked = [
        (kind, name) for kind, name in (("world", world), ("sensor", sensor), ("writer", writer)) if name is not None
    ]
    if len(asked) + (source is not None) > 1:
        raise MischanceError("--from, --world, --sensor and --writer each write something else", "give one of them")
    if asked:
        files = _write_plugin(*asked[0])
        if as_json:
            print_json({"files": files})
            return
        click.echo("\n".join(files))
        say(
            ctx,
            f"next: pytest {files[2]}\n      mischance check {files[1]}\n      mischance sweep {files[1]} --runs 40",
        )
        return
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


def _write_plugin(kind: str, name: str) -> list[str]:
    """Write a plug-in's file, its scenario and its test into this folder; all of them or none."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise MischanceError(f"--{kind} {name}: a {kind} is named as a Python module", "such as car_wash")
    written = {}
    templates = Path(__file__).parent / "templates"
    for file, template in (
        (f"{name}.py", f"{kind}.py"),
        (f"{name}.yaml", f"{kind}.yaml"),
        (f"test_{name}.py", f"{kind}_test.py"),
    ):
        text = (templates / f"{template}.txt").read_text(encoding="utf-8")
        written[file] = text.replace("CLASS", name.title().replace("_", "")).replace("NAME", name)
    there = [file for file in written if Path(file).exists()]
    if there:
        raise MischanceError(f"{there[0]} exists, and nothing is overwritten", "choose another name or folder")
    for file, text in written.items():
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise MischanceError(f"cannot write {file}: {error.strerror}") from error
    return list(written)


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
