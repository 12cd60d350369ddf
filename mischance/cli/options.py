"""Options that several verbs share, and reading the scenario that they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from mischance.errors import MischanceError, Problem, ScenarioError

LIMIT = click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    help="Time limit of one run [s].",
)


INPUT = click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that the agent reads: the dataset keeps it, and is another one where it changes.",
)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def scenario_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --set, --without, --seed and --strict as arguments; see `load_with_warnings`."""
    options = [
        click.option(
            "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value: --set vary.gap=12m."
        ),
        click.option(
            "--without",
            multiple=True,
            metavar="WHAT",
            help="Leave sensors out that no agent reads: cameras, another kind, a name, or sensors; and their faults."
            " Or switch off a default requirement of the world, by name, or all of them: requirements.",
        ),
        click.option("--seed", type=click.IntRange(0), help="Replace the scenario's seed."),
        click.option("--strict", is_flag=True, help="What nothing uses is an error, not a warning."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def load_with_warnings(
    source: str, overrides: tuple[str, ...], seed: int | None, without: tuple[str, ...], *, strict: bool
) -> tuple[Any, tuple[Problem, ...]]:
    """Return a scenario with the values of --set, --seed and --without, and what it names and nothing uses.

    Raises:
        ScenarioError: everything that is wrong with it; with `strict`, what nothing uses too.
        MischanceError: there is none of that name, or an override has no form.
    """
    import gc

    # Reading builds many small things that all stay: looking for garbage among them is a tenth of `validate`.
    gc.disable()
    try:
        from mischance.language.loading import load_with_warnings as load

        loaded, found = load(source, changes_of(overrides), seed=seed, without=without)
    finally:
        gc.enable()
    if strict and found:
        raise ScenarioError(found)
    return loaded, found


def show_warnings(found: Iterable[Problem]) -> None:
    """Print warnings on stderr, a line each."""
    for problem in found:
        click.echo(f"warning: {problem}", err=True)


def changes_of(overrides: tuple[str, ...]) -> dict[str, str]:
    """Return path -> value of --set options.

    Raises:
        MischanceError: one is not of the form PATH=VALUE.
    """
    changes = {}
    for text in overrides:
        path, sign, value = text.partition("=")
        if not sign or not path.strip():
            raise MischanceError(f"--set {text}: write it as PATH=VALUE", "for example --set vary.gap=12m")
        changes[path.strip()] = value
    return changes
