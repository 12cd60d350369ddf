"""What a person sees of a sweep: progress while it runs, and what came of it."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance.errors import MischanceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mischance.jobs import Progress, SweepResult
    from mischance.scenario import Scenario

EVERY = 10.0  # seconds between plain lines where there is no terminal
LEVEL = 0.95


def sweep_with_progress(
    scenario: Scenario, runs: int, out: Path, *, quiet: bool, color: bool | None, **options: Any
) -> SweepResult:
    """Run a sweep; show its progress on stderr, as a live line on a terminal and as plain lines elsewhere."""
    from mischance.episode import check_needs
    from mischance.jobs import sweep

    if scenario.unbuilt:
        keys = ", ".join(f"`{key}`" for key in scenario.unbuilt)
        raise MischanceError(
            f"{scenario.name} uses {keys}, which is read and checked but not built yet", "take it out to play the rest"
        )
    check_needs(scenario)
    if quiet:
        return sweep(scenario, runs, out, **options)
    if sys.stderr.isatty() and color is not False:
        return _live(scenario, lambda show: sweep(scenario, runs, out, progress=show, **options))
    return sweep(scenario, runs, out, progress=_plain(scenario), **options)


def _live(scenario: Scenario, play: Callable[[Callable[[Progress], None]], SweepResult]) -> SweepResult:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(scenario.name, total=None, rate="")

        def show(now: Progress) -> None:
            rate = f"{now.rate:.3g} runs/s" if now.rate else ""
            phase = "" if now.phase == "playing" else f" ({now.phase})"
            done = now.done + now.failed
            bars.update(task, description=f"{scenario.name}{phase}", total=now.total, completed=done, rate=rate)

        return play(show)


def _plain(scenario: Scenario) -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < EVERY:
            return
        last = time.monotonic()
        left = f", {_time(now.left)} left" if now.left is not None else ""
        failed = f", {now.failed} failed" if now.failed else ""
        line = f"{scenario.name}: {now.done} of {now.total} runs{failed}, {now.rate:.3g} runs/s{left}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    return show


@contextlib.contextmanager
def film_progress(name: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show on a terminal how far the drawing of a film is; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def summary(scenario: Scenario, result: SweepResult, *, preview: bool) -> dict[str, Any]:
    """Return what came of a sweep, as plain values; draw its preview where asked for."""
    totals = result.totals
    facts: dict[str, Any] = {
        "dataset": str(result.path),
        "scenario": scenario.name,
        "runs": totals.decided,
        "done": totals.done,
        "not_done": len(result.failures),
        "fresh": result.fresh,
        "seconds": round(result.seconds, 3),
        "failures": {str(run): reason for run, reason in result.failures.items()},
    }
    if totals.done:
        facts["event"] = {"name": scenario.event.name if scenario.event else "event", **event_probability(result.path)}
        if scenario.constraints:
            from mischance.drawing import acceptance

            kept = acceptance(scenario, scenario.seed)
            facts["acceptance"] = {"rate": kept.rate, "standard_error": kept.standard_error}
        if preview:
            facts["preview"] = _preview(result.path)
    return facts


def _preview(dataset: Path) -> str | None:
    """Draw preview.png where it is not there yet; a dataset without one is whole all the same."""
    from mischance.preview import contact_sheet

    path = dataset / "preview.png"
    try:
        return str(path if path.is_file() else contact_sheet(dataset, path))
    except MischanceError as error:
        print(f"note: no preview: {error.message}", file=sys.stderr)  # noqa: T201
        return None


def event_probability(dataset: Path) -> dict[str, Any]:
    """Return how often the event happened, and its probability with a 95 % interval.

    With equal weights the interval is exact (Clopper and Pearson, Biometrika 26, 1934); with unequal ones it
    is the normal approximation of the weighted mean, said to be approximate.
    """
    import numpy as np
    import pyarrow.parquet as pq
    from scipy.special import betaincinv

    files = sorted((dataset / "runs").glob("*.parquet"))
    columns = [pq.read_table(file, columns=["event", "weight"]) for file in files]
    hit = np.concatenate([table["event"].to_numpy() for table in columns]).astype(np.bool_)
    weight = np.concatenate([table["weight"].to_numpy() for table in columns])
    n, k = len(hit), int(hit.sum())
    if n and np.ptp(weight) == 0:
        share = float(weight[0])
        low = float(betaincinv(k, n - k + 1, (1 - LEVEL) / 2)) if k else 0.0
        high = float(betaincinv(k + 1, n - k, (1 + LEVEL) / 2)) if k < n else 1.0
        return {"count": k, "runs": n, "probability": share * k / n, "low": share * low, "high": share * high,
                "interval": "exact"}  # fmt: skip
    value = weight * hit
    error = float(value.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    mean = float(value.mean())
    return {"count": k, "runs": n, "probability": mean, "low": max(mean - 1.96 * error, 0.0) if n > 1 else None,
            "high": mean + 1.96 * error if n > 1 else None, "interval": "approximate (weighted)"}  # fmt: skip


def show_summary(facts: dict[str, Any], *, quiet: bool) -> None:
    """Print the dataset's folder on stdout and everything else on stderr."""
    if not quiet:
        lines = [f"{facts['scenario']}: {facts['done']} of {facts['runs']} runs done"]
        if not facts["fresh"]:
            lines[0] += " (nothing was left to do)"
        else:
            lines[0] += f", {facts['fresh']} of them now in {_time(facts['seconds'])}"
        event = facts.get("event")
        if event:
            interval = f" [{event['low']:.4g}, {event['high']:.4g}]" if event["low"] is not None else ""
            lines.append(
                f"{event['name']}: in {event['count']} of {event['runs']} runs; probability {event['probability']:.4g}"
                f"{interval} (95 %, {event['interval']})"
            )
        if facts.get("acceptance", {}).get("rate", 1) < 0.9995:
            lines.append(f"constraints keep {facts['acceptance']['rate']:.2%} of all draws; that is in the weights")
        lines += [f"run {run}: {reason}" for run, reason in list(facts["failures"].items())[:5]]
        if len(facts["failures"]) > 5:
            lines.append(f"… and {len(facts['failures']) - 5} more")
        if facts.get("preview"):
            lines.append(f"preview: {facts['preview']}")
        print("\n".join(lines), file=sys.stderr)  # noqa: T201
    print(facts["dataset"])  # noqa: T201


def estimate(scenario: Scenario, runs: int, workers: int, out: Path) -> dict[str, Any]:
    """Play one run in memory and return what a sweep would take: seconds and bytes before compression."""
    from mischance.drawing import draw
    from mischance.episode import play

    begun = time.perf_counter()
    size = 0
    for record in play(scenario, draw(scenario, [0])):
        size += sum(v.nbytes for table in record.tables.values() for v in table.columns.values())
        size += sum(p.nbytes for frames in record.frames.values() for f in frames for p in f.passes.values())
    seconds = (time.perf_counter() - begun) * runs / workers
    text = (
        f"{scenario.name}: {runs} runs with {workers} worker(s) into {out}\n"
        f"about {_time(seconds)} and {size * runs / 1e6:.4g} MB before compression, going by run 0"
    )
    return {"scenario": scenario.name, "runs": runs, "workers": workers, "dataset": str(out),
            "seconds": seconds, "bytes": size * runs, "text": text}  # fmt: skip
