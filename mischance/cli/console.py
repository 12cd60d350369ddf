"""Console output of a sweep: progress and summary."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance.dataset.class_counts import ClassCount, class_counts, in_words
from mischance.errors import MischanceError
from mischance.estimate.dataset import sample_of_dataset
from mischance.estimate.exposure import event_rate
from mischance.estimate.probability import event_probability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mischance.api.phases import Phase
    from mischance.language.scenario import Scenario
    from mischance.sweep.progress import Progress, SweepResult
    from mischance.sweep.suite import SuiteProgress
    from mischance.sweep.testing import Ended

EVERY = 10.0  # seconds between plain lines where there is no terminal
_SHARE = 0.1  # a phase that took less of a scenario's time is not told
NOTICED = 3.0  # seconds after which a phase of a worker is said
PATIENCE = 20.0  # seconds without a finished run after which it is said what is waited for; then 40, 80 …


def sweep_with_progress(
    scenario: Scenario, runs: int, out: Path, *, quiet: bool, color: bool | None, notes: bool = True,
    show: Callable[[Progress], None] | None = None, **options: Any,
) -> SweepResult:  # fmt: skip
    """Run a sweep; show its progress on stderr, as a live line on a terminal and as plain lines elsewhere.

    With `quiet` nothing is shown but what a sweep waits for where no run ends, and not that without `notes`. `show`
    shows progress instead, such as in a notebook.
    """
    from mischance.play.plugins import check_needs
    from mischance.sweep.jobs import sweep

    check_needs(scenario)
    waiting = _with_extension(scenario.name, waiting_notes(scenario.name, options.get("limit", 0.0)))
    if quiet:
        return sweep(scenario, runs, out, progress=waiting if notes else None, **options)
    if show is not None:

        def shown(now: Progress) -> None:
            show(now)
            waiting(now)

        return sweep(scenario, runs, out, progress=shown, **options)
    if sys.stderr.isatty() and color is not False:
        return _live(scenario, waiting, lambda show: sweep(scenario, runs, out, progress=show, **options))
    return sweep(scenario, runs, out, progress=_plain(scenario.name, waiting), **options)


def waiting_notes(name: str, limit: float) -> Callable[[Progress], None]:
    """Return what says on stderr what a sweep waits for where no run ends for a while.

    That is a phase of a worker, such as compiling, or the runs under way and how long they may take.

    Args:
        name: the scenario.
        limit: time that one run may take [s]; 0 for any.
    """
    decided, since, patience = -1, 0.0, PATIENCE
    busy, busy_since, said = None, 0.0, False

    def look(now: Progress) -> None:
        nonlocal decided, since, patience, busy, busy_since, said
        if now.busy != busy:
            busy, busy_since, said = now.busy, now.seconds, False
        if now.busy is not None:
            since = now.seconds  # nothing is to be expected of the runs
            if not said and now.seconds - busy_since >= NOTICED:
                said = True
                print(f"note: {name}: {phase_text(now.busy)}", file=sys.stderr, flush=True)  # noqa: T201
        if now.done + now.failed != decided:
            decided, since, patience = now.done + now.failed, now.seconds, PATIENCE
        if now.waiting is None or now.seconds - since < patience:
            return
        patience *= 2
        first, last = now.waiting
        which = f"run {first}" if first == last else f"runs {first} to {last}"
        line = f"note: {name}: no run has ended for {_time(now.seconds - since)}; waiting for {which}"
        if limit > 0:
            line += f"; the time limit of one run is {limit:g} s (--limit)"
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    return look


def phase_text(busy: Phase) -> str:
    """Return a phase as a person reads it, with what it took the last time."""
    if busy.seconds is None:
        return busy.name
    return f"{busy.name} (about {_time(max(busy.seconds, 1.0))}, as on this machine the last time)"


def _with_extension(name: str, look: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Return `look` with a line before its first call where a sweep adds runs to a dataset that is there."""
    said = False

    def show(now: Progress) -> None:
        nonlocal said
        if now.anew is not None and not said:
            held = f"{now.anew} failed runs" if now.anew else "no run"
            line = f"{name}: the folder held {held} of another scenario and nothing finished; a new sweep begins there"
            print(line, file=sys.stderr, flush=True)  # noqa: T201
        if now.extends and not said:
            print(f"{name}: extends {now.extends:,} runs to {now.total:,}", file=sys.stderr, flush=True)  # noqa: T201
        said = True
        look(now)

    return show


def _live(
    scenario: Scenario,
    waiting: Callable[[Progress], None],
    play: Callable[[Callable[[Progress], None]], SweepResult],
) -> SweepResult:
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
            phase = f" ({now.busy.name})" if now.busy else "" if now.phase == "playing" else f" ({now.phase})"
            done = now.done + now.failed
            bars.update(task, description=f"{scenario.name}{phase}", total=now.total, completed=done, rate=rate)
            waiting(now)  # rich puts it above the bar

        return play(show)


def watched(name: str, limit: float) -> Callable[[Progress], None]:
    """Return what shows a sweep's progress on stderr in plain lines, and what it waits for."""
    return _plain(name, waiting_notes(name, limit))


def _plain(name: str, waiting: Callable[[Progress], None]) -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(now: Progress) -> None:
        nonlocal last
        waiting(now)
        if time.monotonic() - last < EVERY:
            return
        last = time.monotonic()
        left = f", {_time(now.left)} left" if now.left is not None else ""
        failed = f", {now.failed} failed" if now.failed else ""
        line = f"{name}: {now.done} of {now.total} runs{failed}, {now.rate:.3g} runs/s{left}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    return show


def suite_progress(limit: float, *, notes_only: bool = False) -> Callable[[SuiteProgress], None]:
    """Return what shows on stderr how far a test of a suite is: a line a scenario that has ended, with what took long.

    Now and then it says how many scenarios are left, how fast it goes, and what the slowest under way is busy with.

    Args:
        limit: time that one run may take [s]; 0 for any.
        notes_only: say nothing but what is waited for where no run ends for a while.
    """
    last, number = time.monotonic(), 0
    notes: dict[str, Callable[[Progress], None]] = {}

    def show(now: SuiteProgress) -> None:
        nonlocal last, number
        for name, own in now.under_way:
            notes.setdefault(name, waiting_notes(name, limit))(own)
        if notes_only:
            return
        for ended in now.ended:
            number += 1
            print(f"[{number}/{now.total}] {_ended_text(ended)}", file=sys.stderr, flush=True)  # noqa: T201
            last = time.monotonic()
        if time.monotonic() - last >= EVERY and now.done < now.total:
            last = time.monotonic()
            left = f", {_time(now.left)} left" if now.left is not None else ""
            line = f"{now.done} of {now.total} scenarios, {now.rate:.3g} runs/s{left}"
            if now.under_way:
                name, own = now.under_way[0]
                doing = f": {own.busy.name}" if own.busy else ""
                line += f"; {name}, {own.done} of {own.total} runs, for {_time(own.seconds)}{doing}"
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    return show


def _ended_text(ended: Ended) -> str:
    if ended.error:
        return f"{ended.name}: {ended.error}"
    if not ended.fresh:
        return f"{ended.name}: {ended.cases} runs were there already"
    line = f"{ended.name}: {ended.cases} runs in {ended.seconds:.1f} s"
    took = [
        f"{name} {seconds:.1f} s"
        for name, seconds in ended.spent.items()
        if seconds >= max(1.0, _SHARE * ended.seconds)
    ]
    return f"{line} ({', '.join(took)})" if took else line


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
        "extends": result.extends,
        "seconds": round(result.seconds, 3),
        "opened": [str(path) for path in result.opened],
        "failures": {str(run): reason for run, reason in result.failures.items()},
    }
    if totals.done:
        name = scenario.event.name if scenario.event else "event"
        sample = sample_of_dataset(result.path, scenario, undecided=result.failures)
        found = event_probability(sample)
        facts["event"] = {"name": name, **found.facts()}
        if rate := event_rate(scenario.exposure, found):
            facts["per_hour"] = {**rate.facts(), "text": str(rate)}
        if scenario.plan is not None:
            facts["plan"] = {"kind": scenario.plan.kind, "points": scenario.plan.size}
        if scenario.constraints and not (scenario.plan and scenario.plan.kind == "grid"):
            from mischance.play.sampling import acceptance

            kept = acceptance(scenario, scenario.seed)
            facts["acceptance"] = {
                "rate": kept.rate, "standard_error": kept.standard_error, "kept": kept.kept, "draws": kept.draws
            }  # fmt: skip
        if totals.decided > 1:
            facts["classes"] = [one.plain() for one in class_counts(result.path, name)]
        if preview:
            facts["preview"] = preview_of(result.path)
    return facts


def preview_of(dataset: Path) -> str | None:
    """Draw preview.png where it is not there yet; a dataset without one is whole all the same."""
    from mischance.reports.preview.picture import contact_sheet

    path = dataset / "preview.png"
    try:
        return str(path if path.is_file() else contact_sheet(dataset, path))
    except MischanceError as error:
        print(f"note: no preview: {error.message}", file=sys.stderr)  # noqa: T201
        return None


def show_summary(facts: dict[str, Any], *, quiet: bool) -> None:
    """Print the dataset's folder on stdout and everything else on stderr."""
    if not quiet:
        lines = [f"{facts['scenario']}: {facts['done']} of {facts['runs']} runs done"]
        if not facts["fresh"]:
            lines[0] += " (nothing was left to do)"
        else:
            lines[0] += f", {facts['fresh']} of them now in {_time(facts['seconds'])}"
        if facts.get("event"):
            lines.append(event_line(facts["event"], facts.get("plan")))
        if facts.get("per_hour"):
            lines.append(facts["per_hour"]["text"])
        if facts.get("acceptance", {}).get("rate", 1) < 0.9995:
            again = "; the other points are drawn again by Monte Carlo" if facts.get("plan") else ""
            kept = f"constraints keep {facts['acceptance']['rate']:.2%} of all draws; that is in the weights"
            lines.append(kept + again)
        lines += in_words([ClassCount.of_plain(one) for one in facts.get("classes", ())])
        lines += [
            reason if reason.startswith(f"run {run}") else f"run {run}: {reason}"  # many name their run themselves
            for run, reason in list(facts["failures"].items())[:5]
        ]
        if len(facts["failures"]) > 5:
            lines.append(f"… and {len(facts['failures']) - 5} more")
        if facts["opened"]:
            names = [os.path.relpath(name) for name in facts["opened"]]
            lines.append(
                f"note: the agent read {', '.join(names[:3])}{' …' * (len(names) > 3)}, which the dataset does not"
                f" keep: a change there goes unnoticed, and a replay elsewhere lacks it; --input {names[0]} keeps it"
            )
        if facts.get("preview"):
            lines.append(f"preview: {facts['preview']}")
        if facts.get("map"):
            lines.append(f"map: {facts['map']['picture']} (a row a cell: {facts['map']['table']})")
        print("\n".join(lines), file=sys.stderr)  # noqa: T201
    print(facts["dataset"])  # noqa: T201


def event_line(event: dict[str, Any], plan: dict[str, Any] | None) -> str:
    """Say how often the event happened, and what is known of its probability."""
    line = f"{event['name']}: in {event['count']} of {event['runs']} runs"
    if event["undecided"]:
        line += f", {event['undecided']} more undecided"
    if event["probability"] is None:
        points = plan["points"] if plan else event["runs"]
        return f"{line} over the {points} points of a grid, a share of {event['share']:.4g}; that is no probability"
    if event["low"] is None:
        most = "" if event["at_most"] is None else f", at most {event['at_most']:.4g}"
        return f"{line}; probability {event['probability']:.4g}{most} (no interval: {event['reason']})"
    interval = f"[{event['low']:.4g}, {event['high']:.4g}] (95 %, {event['interval']})"
    return f"{line}; probability {event['probability']:.4g} {interval}"


def estimate(scenario: Scenario, runs: int, workers: int, out: Path) -> dict[str, Any]:
    """Play one run in memory and return what a sweep would take: seconds and bytes before compression."""
    from mischance.play.player import play
    from mischance.play.sampling import draw

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
