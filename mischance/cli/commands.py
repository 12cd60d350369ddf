"""The command line: all verbs, and what becomes of an error.

Exit codes: 0 done and the answer is yes; 1 done, but not; 2 bad input; 130 interrupted. The verbs stand in the other
files of this package, a group of them in each; nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any, NoReturn

import click

from mischance import __version__
from mischance.api.phases import Phase, listen
from mischance.cli import catalog, check, checking, dataset, scenario, show, sweeping
from mischance.cli.output import fail, plain_problems, print_json
from mischance.errors import MischanceError, ScenarioError, suggest

# Our arrays are small and our workers many: a thread pool for each would only be in the way.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# Looking for pydantic's plug-ins reads the metadata of every installed package; we use none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


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


for _verb in (
    catalog.list_, show.show, scenario.init, scenario.validate, check.check, sweeping.run, sweeping.sweep,
    sweeping.test, dataset.replay, dataset.reproduce, dataset.verify, dataset.merge, dataset.export,
    scenario.schema, checking.doctor,
):  # fmt: skip
    cli.add_command(_verb)


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
        fail(error.format_message(), _help_for(given), 2, as_json=as_json)
    except (KeyboardInterrupt, click.exceptions.Abort) as stop:
        again = shlex.join(["mischance", *given])
        said = str(stop.__cause__ or stop).partition(";")[0]  # click hands on an empty Abort in place of what it met
        fail(said or "interrupted", f"`{again}` goes on from what was committed", 130, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)  # as click does where it meets one
    except ScenarioError as error:
        if debug:
            raise
        if as_json:
            problems = plain_problems(error.problems)
            print_json({"error": "the scenario has problems", "problems": problems, "exit_code": 2})
        click.echo(error.message, err=True)
        sys.exit(2)
    except MischanceError as error:
        if debug:
            raise
        code = getattr(error, "exit_code", 2)
        fail(error.message, error.hint or _help_for(given), code, as_json=as_json)
    except OSError as error:
        if debug:
            raise
        message = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
        fail(message, "check the disk and its permissions", 1, as_json=as_json)
    except Exception as error:
        if debug:
            raise
        hint = "this is our mistake: run it again with --debug and report what it shows"
        fail(f"{type(error).__name__}: {error}", hint, 1, as_json=as_json)
    sys.exit(0)
