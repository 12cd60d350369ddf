"""The command line: stdout is data for the next command, stderr is for people.

Exit codes: 0 done and the answer is yes; 1 done, but not; 2 bad input; 130 interrupted.
Nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from mischance import __version__
from mischance.api.phases import Phase, listen
from mischance.errors import MischanceError, ScenarioError, suggest

# Our arrays are small and our workers many: a thread pool for each would only be in the way.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# Looking for pydantic's plug-ins reads the metadata of every installed package; we use none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

LIMIT = click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    help="Time limit of one run [s].",
)
SWEEP_RUNS = 100  # where neither --runs nor a plan says how many
ROOMS = ["scenarios", "simulators", "sensors", "renderers", "writers", "agents", "generators"]


class Group(click.Group):
    """A group of verbs that answers a misspelt one with the nearest."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the verb, or say which one may have been meant."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = suggest(args[0], self.commands) or "`mischance --help` lists the verbs"
            raise MischanceError(f"there is no verb {args[0]!r}", hint)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order of their use."""
        return list(self.commands)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mischance")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but results and errors.")
@click.option("--color/--no-color", default=None, help="Force or forbid colours (NO_COLOR is respected).")
@click.pass_context
def cli(ctx: click.Context, debug: bool, quiet: bool, color: bool | None) -> None:
    """Rare events, made to order: labelled, reproducible data from YAML scenarios."""
    if color is None and os.environ.get("NO_COLOR"):
        color = False
    ctx.color = color
    ctx.obj = {"debug": debug, "quiet": quiet, "color": color}


def _json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def _scenario_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--seed", type=click.IntRange(0), help="Replace the scenario's seed.")(command)
    return click.option(
        "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value: --set vary.gap=12m."
    )(command)


def _load(source: str, overrides: tuple[str, ...], seed: int | None) -> Any:
    import gc

    # Reading builds many small things that all stay: looking for garbage among them is a tenth of `validate`.
    gc.disable()
    try:
        from mischance.language.loading import load

        return load(source, _changes(overrides), seed=seed)
    finally:
        gc.enable()


def _changes(overrides: tuple[str, ...]) -> dict[str, str]:
    changes = {}
    for text in overrides:
        path, sign, value = text.partition("=")
        if not sign or not path.strip():
            raise MischanceError(f"--set {text}: write it as PATH=VALUE", "for example --set vary.gap=12m")
        changes[path.strip()] = value
    return changes


@cli.command("list")
@click.argument("room", metavar=f"[{'|'.join(ROOMS)}]", required=False)
@click.option("--tag", multiple=True, help="Only scenarios with this tag.")
@_json_option
@click.pass_context
def list_(ctx: click.Context, room: str | None, tag: tuple[str, ...], as_json: bool) -> None:
    """List scenarios and plug-ins."""
    from mischance.language.catalog import entries

    rooms = [room] if room else ["scenarios"] if tag else ROOMS
    found = [entry for name in rooms for entry in entries(name) if set(tag) <= set(entry.tags)]
    if as_json:
        _print_json(
            [
                {
                    "room": entry.room, "name": entry.name, "about": entry.about, "tags": list(entry.tags),
                    "origin": entry.origin, "variants": list(entry.variants),
                }
                for entry in found
            ]
        )  # fmt: skip
        return
    width = max((len(entry.name) for entry in found), default=0)
    for name in rooms:
        own = [entry for entry in found if entry.room == name]
        if len(rooms) > 1 and own:
            _say(ctx, f"{name}:", err=False, bold=True)
        for entry in own:
            extra = f"  [{', '.join(entry.tags)}]" if entry.tags else ""
            variants = f"  (variants: {', '.join(entry.variants)})" if entry.variants else ""
            click.echo(f"{'  ' if len(rooms) > 1 else ''}{entry.name:<{width}}  {entry.about}{variants}{extra}")


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False), default="scenario.yaml")
@click.option("--from", "source", metavar="NAME", help="Copy a scenario of the library.")
@_json_option
@click.pass_context
def init(ctx: click.Context, file: str, source: str | None, as_json: bool) -> None:
    """Write a scenario to start from."""
    from mischance.language.template import starter_text

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
        _print_json({"file": file})
        return
    click.echo(file)
    _say(ctx, f"next: mischance validate {file}")


@cli.command()
@click.argument("scenario")
@_scenario_options
@_json_option
@click.pass_context
def validate(ctx: click.Context, scenario: str, overrides: tuple[str, ...], seed: int | None, as_json: bool) -> None:
    """Check a scenario; print every problem with its place."""
    loaded = _load(scenario, overrides, seed)
    if as_json:
        _print_json({"valid": True, "name": loaded.name})
        return
    click.echo(f"{loaded.name}: valid")


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Dataset folder [outputs/NAME]."),
        click.option("--twin", is_flag=True, help="Play each run beside its twins; fill t_effect and t_observable."),
        click.option("--keep-twins", is_flag=True, help="Store the twin's rows too, under twins/."),
        LIMIT,
        click.option("--retry-failed", is_flag=True, help="Try again the runs that the ledger has as failed."),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and what it would take."),
        click.option("--preview/--no-preview", default=True, help="Draw preview.png into the dataset."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return _json_option(_scenario_options(command))


@cli.command()
@click.argument("scenario")
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="Number of runs.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Worker processes.")
@_run_options
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> None:
    """Play a scenario once (or a few times) and write a dataset."""
    _sweep(ctx, **options)


@cli.command()
@click.argument("scenario")
@click.option("--runs", type=click.IntRange(1), help="Number of runs [100, or the points of the scenario's plan].")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, help="Worker processes [all cores].")
@_run_options
@click.pass_context
def sweep(ctx: click.Context, /, **options: Any) -> None:
    """Play many runs, by Monte Carlo or the scenario's plan, into a dataset; the same command resumes a stopped one."""
    _sweep(ctx, **options)


def _sweep(
    ctx: click.Context, scenario: str, runs: int | None, workers: int, out: Path | None, twin: bool, keep_twins: bool,
    limit: float, retry_failed: bool, dry_run: bool, preview: bool, overrides: tuple[str, ...], seed: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    from mischance.cli.console import show_summary, summary, sweep_with_progress

    loaded = _load(scenario, overrides, seed)
    total = runs or (loaded.plan.size if loaded.plan else SWEEP_RUNS)
    folder = out or Path("outputs") / loaded.name.replace("/", "_").replace(":", "_")
    if dry_run:
        from mischance.cli.console import estimate

        plan = estimate(loaded, total, workers, folder)
        if as_json:
            _print_json(plan)
        else:
            click.echo(plan["text"])
        return
    result = sweep_with_progress(
        loaded, total, folder, workers=workers, twin=twin, keep_twins=keep_twins, limit=limit,
        retry_failed=retry_failed, quiet=ctx.obj["quiet"] or as_json, color=ctx.obj["color"],
        notes=not ctx.obj["quiet"],
    )  # fmt: skip
    facts = summary(loaded, result, preview=preview)
    if as_json:
        _print_json(facts)
    else:
        show_summary(facts, quiet=ctx.obj["quiet"])
    if facts["not_done"]:
        _fail(
            f"{facts['not_done']} of {total} runs were not done",
            f"the same command with --retry-failed tries them again; {folder}/ledger.sqlite has the reasons",
            1,
        )


def _names(given: tuple[str, ...]) -> list[str] | None:
    """Return the names that were given, '' left out; None where none was."""
    return [name for name in given if name] if given else None


@cli.command()
@click.argument("suite")
@click.option(
    "--agent", metavar="AGENT", help="The system under test: a name, file.py:Class, file.py:function or {kind: …}."
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
@click.option(
    "--baseline", type=click.Path(dir_okay=False, path_type=Path), help="Compare with a stored --json report."
)
@_scenario_options
@_json_option
@click.pass_context
def test(
    ctx: click.Context, suite: str, agent: str | None, references: tuple[str, ...], runs: int | None, workers: int,
    out: Path | None, limit: float, junit: Path | None, baseline: Path | None, overrides: tuple[str, ...],
    seed: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Test an agent on a suite: a folder, a file, a tag or a scenario; a plan is played over all its points."""
    from mischance.cli.console import waiting_notes
    from mischance.sweep import suite as testing

    names = testing.suite(suite)
    quiet = ctx.obj["quiet"] or as_json

    def show(name: str, place: int, total: int) -> None:
        if not quiet:
            click.echo(f"[{place + 1}/{total}] {name}", err=True)

    report = testing.run_suite(
        names, out or Path("outputs") / "test", agent=agent, references=_names(references),
        runs=runs, workers=workers, limit=limit, seed=seed, overrides=_changes(overrides), progress=show,
        watch=None if ctx.obj["quiet"] else lambda name: waiting_notes(name, limit),
    )  # fmt: skip
    if baseline is not None:
        report = testing.compared(report, baseline)
    if junit is not None:
        try:
            junit.write_text(testing.junit(report), encoding="utf-8")
        except OSError as error:
            raise MischanceError(f"cannot write {junit}: {error.strerror}") from error
    if as_json:
        _print_json(report.facts())
    else:
        click.echo(testing.text(report))
    if not report.ok:
        sys.exit(1)


@cli.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("run", type=click.IntRange(0))
@click.option("--strict", is_flag=True, help="Exit with 1 unless the bytes are identical.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Draw it as a page to watch (.html).")
@click.option("--video", type=click.Path(dir_okay=False, path_type=Path), help="Draw the run as a film (.mp4).")
@click.option("--compare/--no-compare", default=True, help="Play the run again; --no-compare only draws.")
@LIMIT
@_json_option
@click.pass_context
def replay(
    ctx: click.Context, dataset: Path, run: int, strict: bool, html: Path | None, video: Path | None, compare: bool,
    limit: float, as_json: bool,
) -> None:  # fmt: skip
    """Play one run of a dataset again, alone, and compare it with what is stored; or draw what is stored."""
    from mischance.sweep.jobs import replay as play_again

    if not compare and html is None and video is None:
        raise click.UsageError("--no-compare leaves nothing to do without --html or --video")
    if not compare and strict:
        raise click.UsageError("--strict is about the comparison that --no-compare leaves out")
    drawn = _drawn_replay(ctx, dataset, run, html, video, quiet=as_json)
    if not as_json:
        for path in drawn.values():
            click.echo(path)
    if not compare:
        if as_json:
            _print_json({"run": run, **drawn})
        return
    found = play_again(dataset, run, limit=limit)
    if as_json:
        _print_json({**found.facts(), **drawn})
    else:
        click.echo(found.text())
    if found.as_before:
        _fail(
            f"run {run} of {dataset} fails as before: there is nothing to compare",
            f"mend the agent or the scenario that the reason names; {dataset}/ledger.sqlite has the whole of it",
            1,
        )
    if not found.same or (strict and not found.identical):
        what = "does not tell the same story again" if not found.same else "is not identical to the last bit"
        _fail(f"run {run} of {dataset} {what}", f"mischance verify {dataset} tells whether its files are whole", 1)


def _drawn_replay(
    ctx: click.Context, dataset: Path, run: int, html: Path | None, video: Path | None, *, quiet: bool
) -> dict[str, str]:
    """Draw what was asked for and return its files."""
    if html is None and video is None:
        return {}
    from mischance.cli.console import film_progress
    from mischance.reports.replay.animation import replay_page, replay_video

    drawn = {}
    if html is not None:
        drawn["html"] = str(replay_page(dataset, run, html))
    if video is not None:
        with film_progress(str(video), quiet=quiet or ctx.obj["quiet"]) as show:
            drawn["video"] = str(replay_video(dataset, run, video, show))
    return drawn


@cli.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@_json_option
def verify(dataset: Path, as_json: bool) -> None:
    """Hash every file of a dataset again and name those that differ."""
    from mischance.dataset.draft import verify as differences

    found = differences(dataset)
    if as_json:
        _print_json({"dataset": str(dataset), "intact": not found, "differences": found})
    else:
        for line in found:
            click.echo(line)
        if not found:
            click.echo(f"{dataset}: every file is as the manifest says")
    if found:
        files = "one file differs" if len(found) == 1 else f"{len(found)} files differ"
        _fail(f"{dataset} is damaged: {files} from the manifest", "make it again with its sweep in another folder", 1)


@cli.command()
@_json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of the scenario language."""
    from mischance.language.json_schema import scenario_schema

    del as_json  # it is JSON with and without
    _print_json(scenario_schema())


@cli.command()
@_json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what is installed, what each extra would add, and what is broken."""
    from mischance.cli.doctor import examine

    report = examine()
    if as_json:
        _print_json(report.facts())
    else:
        click.echo(report.text())
    if report.broken:
        _fail(f"{len(report.broken)} things are broken", "the lines above say what mends them", 1)


def _print_json(document: object) -> None:
    import json

    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def _say(ctx: click.Context, text: str, *, err: bool = True, bold: bool = False) -> None:
    if not (ctx.obj or {}).get("quiet"):
        click.secho(text, err=err, bold=bold, color=(ctx.obj or {}).get("color"))


def _fail(message: str, hint: str, code: int, *, as_json: bool = False) -> NoReturn:
    """Say what went wrong and what to try, as the last lines; a document for stdout only where none was printed."""
    if as_json:
        _print_json({"error": message, "hint": hint, "exit_code": code})
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    sys.exit(code)


def _help_for(given: list[str]) -> str:
    verb = next((word for word in given if word in cli.commands), "VERB")
    return f"`mischance {verb} --help` says what is known"


def _tell_phase(busy: Phase | None) -> None:
    """Say on stderr what this process itself is busy with; of a sweep's workers, its progress tells."""
    context = click.get_current_context(silent=True)
    if busy is not None and not (context and (context.obj or {}).get("quiet")):
        from mischance.cli.console import phase_text

        click.echo(f"note: {phase_text(busy)}", err=True)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit; no traceback reaches a user who did not ask for one."""
    given = sys.argv[1:] if arguments is None else arguments
    debug, as_json = "--debug" in given, "--json" in given
    try:
        with listen(_tell_phase):
            cli.main(given, standalone_mode=False)
        sys.stdout.flush()  # here, where a reader that went away can still be met in silence
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), _help_for(given), 2, as_json=as_json)
    except (KeyboardInterrupt, click.exceptions.Abort) as stop:
        again = shlex.join(["mischance", *given])
        said = str(stop.__cause__ or stop).partition(";")[0]  # click hands on an empty Abort in place of what it met
        _fail(said or "interrupted", f"`{again}` goes on from what was committed", 130, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)  # as click does where it meets one
    except ScenarioError as error:
        if debug:
            raise
        if as_json:
            fields = ("file", "line", "column", "path", "message", "hint")
            problems = [{name: getattr(problem, name) for name in fields} for problem in error.problems]
            _print_json({"error": "the scenario has problems", "problems": problems, "exit_code": 2})
        click.echo(error.message, err=True)
        sys.exit(2)
    except MischanceError as error:
        if debug:
            raise
        code = getattr(error, "exit_code", 2)
        _fail(error.message, error.hint or _help_for(given), code, as_json=as_json)
    except OSError as error:
        if debug:
            raise
        message = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
        _fail(message, "check the disk and its permissions", 1, as_json=as_json)
    except Exception as error:
        if debug:
            raise
        hint = "this is our mistake: run it again with --debug and report what it shows"
        _fail(f"{type(error).__name__}: {error}", hint, 1, as_json=as_json)
    sys.exit(0)
