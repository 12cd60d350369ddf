"""Verb `doctor`: what is installed, and what is broken."""

from __future__ import annotations

import click

from mischance.cli.options import json_option
from mischance.cli.output import fail, print_json


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what is installed, what each extra would add, and what is broken."""
    from mischance.cli.doctor import examine

    report = examine()
    if as_json:
        print_json(report.facts())
    else:
        click.echo(report.text())
    if report.broken:
        fail(f"{len(report.broken)} things are broken", "the lines above say what mends them", 1)
