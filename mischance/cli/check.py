"""Verb `check`: draws, begins and plays a few runs of a scenario, and says what it saw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mischance.cli.options import json_option, load_with_warnings, scenario_options, show_warnings
from mischance.cli.output import fail, plain_problems, print_json, say, terminal

if TYPE_CHECKING:
    from mischance.language.scenario import Scenario
    from mischance.play.rehearsal import DrawnValue, Rehearsal

_SHOWN = 3  # reasons of a kind that are shown


@click.command()
@click.argument("scenario")
@click.option("--runs", type=click.IntRange(1), default=4, show_default=True, help="Runs that are played.")
@click.option("--draws", type=click.IntRange(1), default=200, show_default=True, help="Runs whose values are drawn.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw how a run begins (.png).")
@scenario_options
@json_option
@click.pass_context
def check(
    ctx: click.Context, scenario: str, runs: int, draws: int, picture: Path | None, overrides: tuple[str, ...],
    seed: int | None, without: tuple[str, ...], strict: bool, as_json: bool,
) -> None:  # fmt: skip
    """Draw, begin and play a few runs of a scenario: what varies, how it begins, what never happens."""
    from mischance.play.rehearsal import rehearse
    from mischance.reports.beginning import draw_start, off_surface, scene_at_start

    loaded, warnings = load_with_warnings(scenario, overrides, seed, without, strict=strict)
    seen = rehearse(loaded, draws=draws, runs=runs)
    scenes = {start.run: scene for start in seen.starts if (scene := scene_at_start(loaded, start)) is not None}
    astray = {run: names for run, scene in scenes.items() if (names := off_surface(scene)) and not scene.reason}
    drawn = ""
    if picture is not None:
        run = next(iter([*(start.run for start in seen.stuck if start.run in scenes), *astray, *scenes]), None)
        if run is None:
            say(ctx, "note: no picture: this world shows no positions as it begins")
        else:
            drawn = str(draw_start(scenes[run], picture))
    if as_json:
        print_json(_facts(loaded, seen, astray, plain_problems(warnings), drawn))
    else:
        show_warnings(warnings)
        _show(ctx, loaded, seen, astray, drawn)
    if seen.stuck or seen.failures:
        many, of = (len(seen.stuck), len(seen.starts)) if seen.stuck else (len(seen.failures), runs)
        what = "cannot begin" if seen.stuck else "cannot be played"
        fail(f"{many} of {of} runs {what}", "a line in `constraints` leaves such draws out; or mend the settings", 1)


# -- for people --------------------------------------------------------------------------------------------------------


def _show(ctx: click.Context, scenario: Scenario, seen: Rehearsal, astray: dict[int, list[str]], picture: str) -> None:
    from rich.table import Table

    paper = terminal(ctx)
    paper.print(f"[bold]{scenario.name}[/bold]", highlight=False)
    if scenario.about:
        paper.print(scenario.about, highlight=False)
    if seen.values:
        table = Table(
            "varies", "law", "least", "median", "largest", "unit", box=None, pad_edge=False, header_style="dim"
        )
        for one in seen.values:
            table.add_row(one.name, one.kind, *_numbers(one), one.unit)
        paper.print()
        paper.print(table)
        paper.print(f"over {seen.draws} draws", style="dim", highlight=False)
    if seen.acceptance is not None:
        kept = seen.acceptance.rate
        paper.print(f"constraints keep {kept:.2%} of all draws", style="yellow" if kept < 0.1 else "", highlight=False)
    if seen.faults:
        table = Table("fault", "of", "in runs", r"begins \[s]", box=None, pad_edge=False, header_style="dim")
        for fault in seen.faults:
            when = f"{fault.low:.4g} … {fault.median:.4g} … {fault.high:.4g}" if fault.share else "never"
            table.add_row(fault.kind, fault.target, f"{fault.share:.1%}", when)
        paper.print()
        paper.print(table)
    paper.print()
    for mark, line in _lines(scenario, seen, astray):
        style = {"ok": "green", "look": "yellow", "bad": "red"}[mark]
        paper.print(f"[{style}]{mark:<4}[/{style}]  {line}", highlight=False, soft_wrap=True)
    if picture:
        paper.print(f"picture: {picture}", highlight=False, soft_wrap=True)


def _numbers(one: DrawnValue) -> tuple[str, str, str]:
    if not one.words:
        return tuple(f"{number:.4g}" for number in (one.low, one.median, one.high))  # type: ignore[return-value]
    shares = [f"{word} {share:.0%}" for word, share in one.words.items()]
    return ", ".join(shares[:_SHOWN]) + (" …" if len(shares) > _SHOWN else ""), "", ""


def _lines(scenario: Scenario, seen: Rehearsal, astray: dict[int, list[str]]) -> list[tuple[str, str]]:
    """Return what was seen of starts and runs, each with a mark: ok, look or bad."""
    from rich.markup import escape

    begun = len(seen.starts)
    lines = []
    if seen.stuck:
        lines.append(("bad", f"{len(seen.stuck)} of {begun} runs cannot begin"))
        reasons = dict.fromkeys((start.error.partition(": ")[2] or start.error, start.hint) for start in seen.stuck)
        for reason, hint in list(reasons)[:_SHOWN]:
            runs = [start.run for start in seen.stuck if reason in start.error]
            lines.append(("bad", escape(f"run {runs[0]}: {reason}" + (f"; {hint}" if hint else ""))))
    else:
        lines.append(("ok", f"{begun} of {begun} runs begin"))
    for run, names in list(astray.items())[:1]:
        lines.append(("look", f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} on no surface at t = 0 s"
                              f" (run {run} and {len(astray) - 1} more of {begun})"))  # fmt: skip
    for run, reason in list(seen.failures.items())[:_SHOWN]:
        lines.append(("bad", escape(reason if reason.startswith(f"run {run}") else f"run {run}: {reason}")))
    if not seen.played:
        return lines
    for trigger, missing in seen.unfired:
        many = f", {missing} of its kind," if missing > 1 else ""
        lines.append(("look", escape(f"{trigger.path} ({trigger.when}){many} never began in {seen.played} runs:"
                                     f" no `{trigger.event}` of {trigger.subject}")))  # fmt: skip
    name = scenario.event.name if scenario.event else "the world's event"
    lines.append(("ok", f"{name}: in {seen.events} of {seen.played} runs that were played"))
    for requirement, kept in seen.kept.items():
        lines.append(("ok", f"{requirement}: kept in {kept} of {seen.played}"))
    lines.append(
        ("ok", f"{1.0 / seen.seconds:.3g} runs/s one at a time, {scenario.duration:g} s each, in this process")
    )
    return lines


# -- for programs ------------------------------------------------------------------------------------------------------


def _facts(
    scenario: Scenario, seen: Rehearsal, astray: dict[int, list[str]], warnings: list[dict[str, Any]], picture: str
) -> dict[str, Any]:
    import math
    from dataclasses import asdict

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items()}
        return None if isinstance(value, float) and math.isnan(value) else value

    return {
        "name": scenario.name,
        "warnings": warnings,
        "draws": seen.draws,
        "vary": [plain(asdict(one)) for one in seen.values],
        "faults": [plain(asdict(one)) for one in seen.faults],
        "acceptance": seen.acceptance.rate if seen.acceptance is not None else None,
        "begun": len(seen.starts),
        "cannot_begin": {str(start.run): start.error for start in seen.stuck},
        "off_surface": {str(run): names for run, names in astray.items()},
        "played": seen.played,
        "events": seen.events,
        "kept": dict(seen.kept),
        "failures": {str(run): reason for run, reason in seen.failures.items()},
        "never_began": [{**trigger._asdict(), "missing": missing} for trigger, missing in seen.unfired],
        "seconds_a_run": plain(seen.seconds),
        "picture": picture or None,
    }
