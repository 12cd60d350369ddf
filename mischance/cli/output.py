"""What verbs print: stdout is data for the next command, stderr is for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from rich.console import Console

    from mischance.errors import Problem


def print_json(document: object) -> None:
    """Print one JSON document on stdout."""
    import json

    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def plain_problems(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems or warnings as plain values."""
    fields = ("file", "line", "column", "path", "message", "hint")
    return [{name: getattr(problem, name) for name in fields} for problem in problems]


def say(ctx: click.Context, text: str, *, err: bool = True, bold: bool = False) -> None:
    """Print a line for people, unless --quiet was given."""
    if not (ctx.obj or {}).get("quiet"):
        click.secho(text, err=err, bold=bold, color=(ctx.obj or {}).get("color"))


def terminal(ctx: click.Context) -> Console:
    """Return where tables go: stdout, in colour on a terminal unless NO_COLOR or --no-color says otherwise."""
    from rich.console import Console

    color = (ctx.obj or {}).get("color")
    return Console(no_color=color is False or None, force_terminal=True if color else None, highlight=False)


def fail(message: str, hint: str, code: int, *, as_json: bool = False) -> NoReturn:
    """Say what went wrong and what to try, as the last lines; a document for stdout only where none was printed."""
    if as_json:
        print_json({"error": message, "hint": hint, "exit_code": code})
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    sys.exit(code)
