"""The dataset card: README.md of a dataset, in plain facts."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance.api.arrow import units
from mischance.dataset.class_counts import class_counts
from mischance.dataset.disk import write_whole
from mischance.dataset.manifest import Recipe, files
from mischance.dataset.shards import shard_size

if TYPE_CHECKING:
    import pyarrow as pa


def write_card(
    out: Path, recipe: Recipe, about: str, missing: Sequence[int], event: str = "event", per_hour: str = ""
) -> None:
    """Write README.md: what the dataset is, how much, its tables with units, how to load and to replay it.

    `per_hour`: a sentence on how often the event happens in an hour; '' = not known.
    """
    tables, others = contents_of(out)
    lines = [
        f"# {recipe.name}",
        "",
        *([about, ""] if about else []),
        f"Made by mischance {recipe.versions['mischance']} from `scenario.yaml` with seed {recipe.seed}: "
        f"{recipe.runs - len(missing):,} of {recipe.runs:,} runs ({_plan(recipe)}).",
        *([f"Time t = 0 is {recipe.begins}."] if recipe.begins else []),
        *_events(out, tables.get("runs", [])),
        *([f"{per_hour[0].upper()}{per_hour[1:]}."] if per_hour else []),
        *_shared_twins(out, tables.get("labels", [])),
        *(["They are the points of a grid and no sample: their share is no probability."] * (recipe.plan == "grid")),
        *([f"Runs that could not be finished: {', '.join(map(str, missing))}.", ""] if missing else [""]),
        *classes_in_words(out, event),
        *tables_in_words(out, tables, others),
    ]
    code = {name: _first_line(out / name) for name in sorted(recipe.inputs) if name.endswith(".py")}
    if code:
        lines += ["## Code", "", "What it was played with, beside mischance:", ""]
        lines += [*(f"- `{name}`{about and f': {about}'}" for name, about in code.items()), ""]
    own_shard = shard_size(recipe.runs)
    table = next((name for name in sorted(tables) if name.startswith(("truth/", "sensors/"))), "events")
    lines += [
        "## Load",
        "",
        "```python",
        "import mischance",
        "",
        'dataset = mischance.open("path/to/this/folder")',
        f'{table.split("/")[-1]} = dataset.table("{table}")  # a pandas DataFrame',
        "```",
        "",
        "With DuckDB: " + f"`SELECT * FROM '{table}/*.parquet'`.",
        "",
        "## Check, replay and reproduce",
        "",
        "In this folder:",
        "",
        "```sh",
        "mischance verify .      # hashes every file again",
        "mischance replay . 0    # plays run 0 alone and compares",
        "mischance reproduce .   # plays all runs again and compares every file",
        "```",
        "",
        "The command that makes it, from the scenario that it holds:",
        "",
        "```sh",
        _command(recipe),
        "```",
        *(["", f"It was made in shards of {recipe.shard:,} runs, as `reproduce` does."] * (recipe.shard != own_shard)),
        "",
        "`weight` in `runs` corrects for runs that were made more frequent than they are: an average over the",
        f"{_of(recipe)} is the average of `weight * value`.",
        "",
    ]
    write_whole(out / "README.md", "\n".join(lines).encode())


def event_name(scenario: object) -> str:
    """Return the name of a scenario's event."""
    event = getattr(scenario, "event", None)
    return str(event.name) if event else "event"


def contents_of(out: Path) -> tuple[dict[str, list[Path]], dict[str, int]]:
    """Return the files of each table of a dataset, and how many other files there are of each kind."""
    tables: dict[str, list[Path]] = {}
    others: dict[str, int] = {}
    for path in files(out):
        if path.suffix == ".parquet":
            tables.setdefault(str(path.parent), []).append(path)
        elif len(path.parts) > 1:
            kind = f"{_stem(path)}/*{path.suffix}"
            others[kind] = others.get(kind, 0) + 1
    return tables, others


def classes_in_words(out: Path, event: str) -> list[str]:
    """Return lines with a table of how many of each class there are, in each part."""
    counts = [one for one in class_counts(out, event) if one.count or one.total]
    if not counts:
        return []
    parts = list(dict.fromkeys(part for one in counts for part in one.parts))
    lines = [
        "## Classes",
        "",
        f"| {' | '.join(['class', 'counted', 'all', *parts])} |",
        "|---" * (3 + len(parts)) + "|",
    ]
    for one in counts:
        pairs = [(one.count, one.total), *(one.parts.get(part, (0, 0)) for part in parts)]
        cells = [f"{count:,} of {total:,}" if one.total else f"{count:,}" for count, total in pairs]
        what = f"{one.what} of {one.of}" if one.of else one.what
        lines.append(f"| {_cell(one.name)} | {_cell(what)} | {' | '.join(cells)} |")
    return [*lines, ""]


def tables_in_words(out: Path, tables: Mapping[str, list[Path]], others: Mapping[str, int]) -> list[str]:
    """Return lines that describe each table with its columns, and say what other files there are."""
    lines = ["## Tables", "", "Each is a folder of Parquet files by ranges of runs. NULL means: no value.", ""]
    for name, shards in sorted(tables.items()):
        lines += _describe(out, name, shards)
    if others:
        lines += ["## Other files", "", *(f"- `{kind}`: {count:,}" for kind, count in sorted(others.items())), ""]
    return lines


def _first_line(source: Path) -> str:
    """Return the first line of the docstring of a module; '' where it has none."""
    try:
        return (ast.get_docstring(ast.parse(source.read_bytes())) or "").partition("\n")[0]
    except (OSError, SyntaxError, ValueError):
        return ""


def _command(recipe: Recipe) -> str:
    """Return the command that makes the dataset again; where and by how many workers changes nothing in it."""
    twins = " --keep-twins" if recipe.keep_twins else " --twin" if recipe.twin else ""
    return f"mischance sweep scenario.yaml --runs {recipe.runs}{twins} --out ../again"


def _plan(recipe: Recipe) -> str:
    points = f"{recipe.points:,} point{'s' if recipe.points > 1 else ''}"
    return {
        "grid": f"a grid of {points}",
        "lhs": f"Latin hypercube, in blocks of {points}",
        "sobol": f"scrambled Sobol points, in blocks of {recipe.points:,}",
    }.get(recipe.plan, "Monte Carlo")


def _of(recipe: Recipe) -> str:
    return "points of the grid" if recipe.plan == "grid" else "situation as it comes"


def _events(out: Path, shards: Sequence[Path]) -> list[str]:
    import pyarrow.parquet as pq

    count = 0
    for shard in shards:
        if "event" not in pq.read_schema(out / shard).names:
            return []
        column = pq.ParquetFile(out / shard).read(columns=["event"])["event"]
        count += int(column.to_numpy().sum())
    return [f"The event happened in {count:,} of them."]


def _shared_twins(out: Path, shards: Sequence[Path]) -> list[str]:
    import pyarrow.parquet as pq

    compute: Any = import_module("pyarrow.compute")  # its functions are made when it is imported: no stub knows them

    shared = 0
    for shard in shards:
        if "twin" in pq.read_schema(out / shard).names:
            column = pq.ParquetFile(out / shard).read(columns=["twin"])["twin"]
            shared += compute.sum(compute.match_substring(column, "+")).as_py() or 0
    if not shared:
        return []
    return [f"{shared:,} labels share their twin with others: a run has at most 8, each without a group of faults."]


def _describe(out: Path, path: str, shards: Sequence[Path]) -> list[str]:
    import pyarrow.parquet as pq

    rows = sum(pq.read_metadata(out / shard).num_rows for shard in shards)
    schema = pq.read_schema(out / shards[0])
    facts = units(schema)
    lines = [f"### {path}", "", f"{rows:,} rows.", "", "| column | type | unit | about |", "|---|---|---|---|"]
    for field in schema:
        unit, about = facts[field.name]
        lines.append(f"| {_cell(field.name)} | {_type(field.type)} | {_cell(unit)} | {_cell(about)} |")
    return [*lines, ""]


def _type(kind: pa.DataType) -> str:
    import pyarrow as pa

    return "category" if pa.types.is_dictionary(kind) else str(kind)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _stem(path: Path) -> str:
    """Return the folder of a file without the folder of its run."""
    return "/".join(part for part in path.parts[:-1] if not part.isdigit())
