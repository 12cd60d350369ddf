"""Verbs about finished datasets: `replay`, `reproduce`, `verify`, `merge`, `export`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mischance.cli.options import LIMIT, json_option
from mischance.cli.output import fail, print_json

if TYPE_CHECKING:
    from mischance.sweep.judging import Tested


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("run", type=click.IntRange(0))
@click.option("--strict", is_flag=True, help="Exit with 1 unless the bytes are identical.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Draw it as a page to watch (.html).")
@click.option("--video", type=click.Path(dir_okay=False, path_type=Path), help="Draw the run as a film (.mp4).")
@click.option("--explain", is_flag=True, help="Replay it without each possible cause; say which are causes.")
@click.option("--compare/--no-compare", default=True, help="Play the run again; --no-compare only draws.")
@LIMIT
@json_option
@click.pass_context
def replay(
    ctx: click.Context, dataset: Path, run: int, strict: bool, html: Path | None, video: Path | None, compare: bool,
    explain: bool, limit: float, as_json: bool,
) -> None:  # fmt: skip
    """Play one run of a dataset again, alone, and compare it with what is stored; or draw what is stored."""
    from mischance.sweep.jobs import replay as play_again

    if not compare and html is None and video is None and not explain:
        raise click.UsageError("--no-compare leaves nothing to do without --html, --video or --explain")
    if not compare and strict:
        raise click.UsageError("--strict is about the comparison that --no-compare leaves out")
    causes = _causes(dataset, run, limit) if explain else []
    notes = [one.text() for one in causes] or ["no fault or manoeuvre to leave out"] * explain
    drawn: dict[str, Any] = _drawn_replay(ctx, dataset, run, html, video, notes, quiet=as_json)
    if not as_json:
        for line in notes:
            click.echo(line)
        for path in drawn.values():
            click.echo(path)
    if explain:
        drawn["causes"] = [asdict(one) for one in causes]
    if not compare:
        if as_json:
            print_json({"run": run, **drawn})
        return
    found = play_again(dataset, run, limit=limit)
    if as_json:
        print_json({**found.facts(), **drawn})
    else:
        click.echo(found.text())
    if found.as_before:
        fail(
            f"run {run} of {dataset} fails as before: there is nothing to compare",
            f"mend the agent or the scenario that the reason names; {dataset}/ledger.sqlite has the whole of it",
            1,
        )
    if not found.same or (strict and not found.identical):
        what = "does not tell the same story again" if not found.same else "is not identical to the last bit"
        fail(f"run {run} of {dataset} {what}", f"mischance verify {dataset} tells whether its files are whole", 1)


def _drawn_replay(
    ctx: click.Context, dataset: Path, run: int, html: Path | None, video: Path | None, notes: Sequence[str],
    *, quiet: bool,
) -> dict[str, str]:  # fmt: skip
    """Draw what was asked for and return its files."""
    if html is None and video is None:
        return {}
    from mischance.cli.console import film_progress
    from mischance.reports.replay.animation import replay_page, replay_video

    drawn = {}
    if html is not None:
        drawn["html"] = str(replay_page(dataset, run, html, notes))
    if video is not None:
        with film_progress(str(video), quiet=quiet or ctx.obj["quiet"]) as show:
            drawn["video"] = str(replay_video(dataset, run, video, show))
    return drawn


def _causes(dataset: Path, run: int, limit: float) -> list[Tested]:
    from mischance.sweep.judging import causes_in

    return causes_in(dataset, run, limit)


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Keep what is made again in this folder.")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, help="Worker processes [all cores].")
@click.option("--strict", is_flag=True, help="Exit with 1 unless the bytes are identical.")
@LIMIT
@json_option
@click.pass_context
def reproduce(
    ctx: click.Context, dataset: Path, out: Path | None, workers: int, strict: bool, limit: float, as_json: bool
) -> None:  # fmt: skip
    """Make a whole dataset again, from the scenario, plan and seeds that it holds, and compare every file."""
    from mischance.cli.console import watched
    from mischance.sweep.reproducing import reproduce as make_again

    quiet = ctx.obj["quiet"] or as_json
    show = None if quiet else watched(str(dataset), limit)
    found = make_again(dataset, out, workers=workers, limit=limit, progress=show)
    if as_json:
        print_json(found.facts())
    else:
        click.echo(found.text())
    if not found.same or (strict and not found.identical):
        what = "does not tell the same story again" if not found.same else "is not identical to the last bit"
        fail(f"{dataset} {what}", f"`mischance verify {dataset}` tells whether its files are whole", 1)


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@json_option
def verify(dataset: Path, as_json: bool) -> None:
    """Hash every file of a dataset again and name those that differ."""
    from mischance.dataset.draft import verify as differences

    found = differences(dataset)
    if as_json:
        print_json({"dataset": str(dataset), "intact": not found, "differences": found})
    else:
        for line in found:
            click.echo(line)
        if not found:
            click.echo(f"{dataset}: every file is as the manifest says")
    if found:
        files = "one file differs" if len(found) == 1 else f"{len(found)} files differ"
        fail(f"{dataset} is damaged: {files} from the manifest", "make it again with its sweep in another folder", 1)


@click.command()
@click.argument("datasets", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The new folder.")
@click.option(
    "--split", type=click.Choice(["keep", "redraw"]), default="keep", show_default=True,
    help="Keep the parts (train, val, test) that runs are in, or deal them out anew, by run.",
)  # fmt: skip
@click.option(
    "--balance", type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True), metavar="SHARE",
    help="Leave runs out so that the event happened in this share of them; their weights make up for it.",
)  # fmt: skip
@click.option("--preview/--no-preview", default=True, help="Draw preview.png into the new dataset.")
@json_option
@click.pass_context
def merge(
    ctx: click.Context, datasets: tuple[Path, ...], out: Path, split: Literal["keep", "redraw"],
    balance: float | None, preview: bool, as_json: bool,
) -> None:  # fmt: skip
    """Merge finished datasets into a new one; each run keeps its weight and says where it is from."""
    from mischance.cli.console import event_line, preview_of
    from mischance.dataset.merging import merge as merge_all
    from mischance.estimate.pooling import NotPooled, pooled_probability

    if len(datasets) < 2 and balance is None:
        raise click.UsageError("a merge takes two datasets or more; one alone only with --balance")
    pooled = pooled_probability(datasets)
    said = {"not_pooled": pooled.reason} if isinstance(pooled, NotPooled) else pooled.facts()
    found = merge_all(datasets, out, split=split, balance=balance, probability=said)
    facts: dict[str, Any] = {
        "dataset": str(out), "runs": found.runs, "origins": [one.plain() for one in found.origins],
        "split": split, "balance": balance, "probability": said,
    }  # fmt: skip
    if preview:
        facts["preview"] = preview_of(out)
    if as_json:
        print_json(facts)
        return
    if not ctx.obj["quiet"]:
        for one in found.origins:
            runs = f"runs {one.first} to {one.first + one.runs - 1}"
            click.echo(f"{runs}: {one.kept} of {one.name}, seed {one.seed} (dataset {one.dataset[:8]})", err=True)
        if isinstance(pooled, NotPooled):
            click.echo(f"probability: not pooled: {pooled.reason}", err=True)
        else:
            click.echo(event_line({"name": "event", **said}, None), err=True)
        if facts.get("preview"):
            click.echo(f"preview: {facts['preview']}", err=True)
    click.echo(out)


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--format", "kind", required=True, help="An exporter: coco, yolo … (`mischance list exporters`).")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The new folder.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="A setting of the exporter.")
@json_option
@click.pass_context
def export(ctx: click.Context, dataset: Path, kind: str, out: Path, changes: tuple[str, ...], as_json: bool) -> None:
    """Write a finished dataset in another format, its parts (train, val, test) apart."""
    from mischance.opening.exporting import export as export_all

    counts = export_all(dataset, kind, out, _settings(changes))
    if as_json:
        print_json({"dataset": str(dataset), "format": kind, "out": str(out), "counts": counts})
        return
    if not ctx.obj["quiet"]:
        click.echo(f"{dataset} as {kind}: {', '.join(f'{what} {count:,}' for what, count in counts.items())}", err=True)
    click.echo(out)


def _settings(changes: Sequence[str]) -> dict[str, Any]:
    """Return settings from texts like 'sensors=[front]'; their values are YAML."""
    import yaml

    found: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set takes KEY=VALUE, not {change!r}")
        found[key.strip()] = yaml.safe_load(value)
    return found
