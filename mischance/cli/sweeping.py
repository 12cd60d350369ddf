"""Verbs that play runs into datasets: `run`, `sweep`, `test`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mischance.cli.options import (
    INPUT,
    LIMIT,
    changes_of,
    json_option,
    load_with_warnings,
    scenario_options,
    show_warnings,
)
from mischance.cli.output import fail, plain_problems, print_json
from mischance.errors import MischanceError, Problem, suggest

MOST_LEVELS = 200  # of a parameter of a map
if TYPE_CHECKING:
    from mischance.sweep.suite_report import SuiteReport

LEVELS = ("any", "regression", "error")  # what the exit code of a test says
SWEEP_RUNS = 100  # where neither --runs nor a plan says how many


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Dataset folder [outputs/NAME]."),
        click.option("--twin", is_flag=True, help="Play each run beside its twins; fill t_effect and t_observable."),
        click.option("--keep-twins", is_flag=True, help="Store the twin's rows too, under twins/."),
        LIMIT,
        click.option("--retry-failed", is_flag=True, help="Try again the runs that the ledger has as failed."),
        INPUT,
        click.option("--dry-run", is_flag=True, help="Say what would be done, and what it would take."),
        click.option("--preview/--no-preview", default=True, help="Draw preview.png into the dataset."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return json_option(scenario_options(command))


@click.command()
@click.argument("scenario")
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="Number of runs.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Worker processes.")
@_run_options
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> None:
    """Play a scenario once (or a few times) and write a dataset."""
    _sweep(ctx, **options)


@click.command()
@click.argument("scenario")
@click.option("--runs", type=click.IntRange(1), help="Number of runs [100, or the points of the scenario's plan].")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, help="Worker processes [all cores].")
@click.option(
    "--map",
    "over",
    metavar="A,B",
    help="Draw where runs fail over two drawn parameters; without a plan, play a grid over them (A:12,B:8 = levels).",
)
@_run_options
@click.pass_context
def sweep(ctx: click.Context, /, **options: Any) -> None:
    """Play many runs, by Monte Carlo or the scenario's plan, into a dataset; the same command resumes a stopped one."""
    _sweep(ctx, **options)


def _sweep(
    ctx: click.Context, scenario: str, runs: int | None, workers: int, out: Path | None, twin: bool, keep_twins: bool,
    limit: float, retry_failed: bool, dry_run: bool, preview: bool, overrides: tuple[str, ...], seed: int | None,
    without: tuple[str, ...], strict: bool, inputs: tuple[Path, ...], as_json: bool, over: str | None = None,
) -> None:  # fmt: skip
    from mischance.cli.console import show_summary, summary, sweep_with_progress

    loaded, warnings = load_with_warnings(scenario, overrides, seed, without, strict=strict)
    axes = _axes(over) if over else {}
    if axes and loaded.plan is None:
        from mischance.play.map_grid import map_grid

        grid = (f"plan={map_grid(loaded, axes)}",)
        loaded, warnings = load_with_warnings(scenario, (*overrides, *grid), seed, without, strict=strict)
    for name in axes:
        if name not in loaded.vary:
            raise MischanceError(
                f"{loaded.name} draws no {name!r}: there is no map over it", suggest(name, loaded.vary)
            )
    if not (as_json or ctx.obj["quiet"]):
        show_warnings(warnings)
    total = runs or (loaded.plan.size if loaded.plan else SWEEP_RUNS)
    folder = out or Path("outputs") / loaded.name.replace("/", "_").replace(":", "_")
    if dry_run:
        from mischance.cli.console import estimate

        plan = estimate(loaded, total, workers, folder)
        if as_json:
            print_json({**plan, "warnings": plain_problems(warnings)})
        else:
            click.echo(plan["text"])
        return
    result = sweep_with_progress(
        loaded, total, folder, workers=workers, twin=twin, keep_twins=keep_twins, limit=limit,
        retry_failed=retry_failed, inputs=inputs, quiet=ctx.obj["quiet"] or as_json, color=ctx.obj["color"],
        notes=not ctx.obj["quiet"],
    )  # fmt: skip
    facts = summary(loaded, result, preview=preview)
    if axes and facts["done"]:
        from mischance.reports.outcome_map import draw_map

        across, up = axes
        picture, table = draw_map(result.path, across, up)
        facts["map"] = {"over": [across, up], "picture": str(picture), "table": str(table)}
    if as_json:
        print_json({**facts, "warnings": plain_problems(warnings)})
    else:
        show_summary(facts, quiet=ctx.obj["quiet"])
    if facts["not_done"]:
        fail(
            f"{facts['not_done']} of {total} runs were not done",
            f"the same command with --retry-failed tries them again; {folder}/ledger.sqlite has the reasons",
            1,
        )


def _axes(over: str) -> dict[str, int]:
    """Return the two parameters of a map and how many levels each has: 'gap,speed' or 'gap:12,speed:8'.

    Raises:
        MischanceError: it is not of that form.
    """
    from mischance.play.map_grid import LEVELS

    axes = {}
    for part in over.split(","):
        name, _, levels = part.strip().partition(":")
        if levels and not (levels.isdecimal() and 2 <= int(levels) <= MOST_LEVELS):
            raise MischanceError(f"--map {over}: {levels!r} is no number of levels", f"2 to {MOST_LEVELS}")
        axes[name] = int(levels or LEVELS)
    if len(axes) != 2 or "" in axes:
        raise MischanceError(f"--map {over}: name two drawn parameters", "for example --map gap,speed")
    return axes


def _names(given: tuple[str, ...]) -> list[str] | None:
    """Return the names that were given, '' left out; None where none was."""
    return [name for name in given if name] if given else None


@click.command()
@click.argument("suite", nargs=-1, required=True, metavar="SUITE | BEFORE AFTER")
@click.option(
    "--agent",
    "agents",
    multiple=True,
    metavar="AGENT",
    help="The system under test: a name, file.py:Class, file.py:function or {kind: …}; two are compared.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    help="Agent that failed runs are played again with; may be given more than once ('' = none) [the world's own].",
)
@click.option("--runs", type=click.IntRange(1), help="Runs of each scenario [10, or the points of its plan].")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, help="Worker processes [all cores].")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the datasets [outputs/test].")
@LIMIT
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML.")
@click.option("--explain", is_flag=True, help="Replay failed runs without each possible cause; say which are causes.")
@click.option("--fresh", is_flag=True, help="Play everything anew, also what is there already.")
@click.option("--allow-undecided", is_flag=True, help="Let runs that were cut short fail nothing.")
@INPUT
@click.option(
    "--baseline", type=click.Path(path_type=Path), help="Compare with an earlier test: its folder, or a --json report."
)
@click.option(
    "--fail-on",
    type=click.Choice(LEVELS),
    help="What the exit code 1 says: any case failed, one that passed before no longer does, or one could not be"
    " played [any; where two tests are compared, regression].",
)
@scenario_options
@json_option
@click.pass_context
def test(
    ctx: click.Context, /, suite: tuple[str, ...], agents: tuple[str, ...], out: Path | None, junit: Path | None,
    baseline: Path | None, fail_on: str | None, allow_undecided: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Test an agent on a suite: a folder, a file, a tag or a scenario; a plan is played over all its points.

    Two arguments are two finished tests, each a folder or a --json report, that are compared case by case.
    """
    if len(suite) > 2 or len(agents) > 2 or len(suite) + (baseline is not None) + len(agents[1:]) > 2:
        raise MischanceError(
            "a comparison has two sides",
            "give one suite, with a --baseline or with a second --agent, or two finished tests and nothing else",
        )
    one = next(iter(suite))
    if len(suite) == 2:
        from mischance.sweep.comparing import Stored

        before, after = (Stored.read(Path(place)) for place in suite)
        _show_comparison(before, after, {}, fail_on, allow_undecided=allow_undecided, as_json=as_json)
        return
    from mischance.sweep import suite_report as reporting

    earlier = _stored(baseline)
    folder = out or Path("outputs") / "test"
    if len(agents) == 2:
        first = _tested(ctx, one, agents[0], folder / "before", as_json=as_json, **options)
        earlier = _stored(folder / "before", first.facts())
        folder = folder / "after"
    warnings: list[Problem] = []
    agent = agents[-1] if agents else None
    report = _tested(ctx, one, agent, folder, as_json=as_json, warnings=warnings, **options)
    report = replace(report, allow_undecided=allow_undecided)
    if junit is not None:
        try:
            junit.write_text(reporting.junit(report), encoding="utf-8")
        except OSError as error:
            raise MischanceError(f"cannot write {junit}: {error.strerror}") from error
    facts = {**report.facts(), "warnings": plain_problems(warnings)}
    if earlier is not None:
        if not as_json:
            click.echo(reporting.text(report) + "\n")
        later = _stored(folder, report.facts())
        _show_comparison(earlier, later, facts, fail_on, allow_undecided=allow_undecided, as_json=as_json)
        return
    if as_json:
        print_json(facts)
    else:
        click.echo(reporting.text(report))
    if not report.ok_at(fail_on or "any"):
        sys.exit(1)


def _stored(place: Path | None, facts: dict[str, Any] | None = None) -> Any:
    """Return a report as one that was stored, or read it; None where there is no place."""
    from mischance.sweep.comparing import Stored

    if place is None:
        return None
    return Stored.read(place) if facts is None else Stored.of(facts, str(place))


def _tested(
    ctx: click.Context, suite: str, agent: str | None, out: Path, *, references: tuple[str, ...], limit: float,
    overrides: tuple[str, ...], warnings: list[Problem] | None = None, as_json: bool, **options: Any,
) -> SuiteReport:  # fmt: skip
    """Test one agent and leave the report in the folder of its datasets."""
    import json

    from mischance.cli.console import suite_progress
    from mischance.dataset.disk import disk, write_whole
    from mischance.sweep import suite as testing
    from mischance.sweep.comparing import REPORT

    quiet = ctx.obj["quiet"] or as_json

    def warn(found: Sequence[Problem]) -> None:
        if warnings is not None:
            warnings.extend(found)
        if not quiet:
            show_warnings(found)

    report = testing.run_suite(
        testing.suite(suite), out, agent=agent, references=_names(references), limit=limit,
        overrides=changes_of(overrides), warn=warn,
        progress=None if ctx.obj["quiet"] else suite_progress(limit, notes_only=as_json), **options,
    )  # fmt: skip
    with disk(out):
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.facts(), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(out / REPORT, f"{text}\n".encode())
    return report


def _show_comparison(
    before: Any, after: Any, facts: dict[str, Any], fail_on: str | None, *, allow_undecided: bool, as_json: bool
) -> None:
    """Print how two tests differ; exit with 1 where the second is no good answer."""
    from mischance.sweep import comparing

    found = comparing.compare(before, after)
    level = fail_on or "regression"
    reasons = found.reasons(level, allow_undecided=allow_undecided)
    if as_json:
        print_json({**facts, "comparison": found.facts(), "fail_on": level, "reasons": reasons})
    else:
        click.echo(comparing.text(found))
        if reasons:
            click.echo(f"no ({level}): {', '.join(reasons)}")
    if reasons:
        sys.exit(1)
