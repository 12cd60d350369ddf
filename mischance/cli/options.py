"""Options that several verbs share, and reading the scenario that they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mischance.errors import MischanceError

LIMIT = click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    help="Time limit of one run [s].",
)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def scenario_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --seed and --set, as the arguments `seed` and `overrides`; see `load_scenario`."""
    command = click.option("--seed", type=click.IntRange(0), help="Replace the scenario's seed.")(command)
    return click.option(
        "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value: --set vary.gap=12m."
    )(command)


def load_scenario(source: str, overrides: tuple[str, ...], seed: int | None) -> Any:
    """Return the scenario of a file or of the library, with the values of --set and --seed.

    Raises:
        ScenarioError: everything that is wrong with it.
        MischanceError: there is none of that name, or an override has no form.
    """
    import gc

    # Reading builds many small things that all stay: looking for garbage among them is a tenth of `validate`.
    gc.disable()
    try:
        from mischance.language.loading import load

        return load(source, changes_of(overrides), seed=seed)
    finally:
        gc.enable()


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
