"""Text of a new scenario file for `mischance init`: a commented starter, or a copy of a library scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mischance.language.loading import locate

STARTER = """\
# A scenario says what the situation is, what varies, and what may go wrong.
# Check it with `mischance validate FILE`, play it with `mischance run FILE --out DIR`.
mischance: 1                       # version of the language
name: my/first
about: Card testing among five hundred cardholders.
tags: [payments, fraud]
seed: 7                            # one seed, one story
duration: 2 d                      # quantities carry units; bare numbers are SI

vary:                              # drawn anew for each run; use a value as $name
  burst_start: {uniform: [6 h, 30 h]}
  stolen_cards: {choice: {20: 0.5, 60: 0.3, 120: 0.2}}

simulator:
  kind: payments                   # `mischance list simulators` shows the worlds
  cards: 500

faults:                            # what may go wrong: where, what, when, how strong, how often
  - {target: cards, kind: card_testing, at: $burst_start, severity: $stolen_cards, chance: 0.5}

# The rare event: when it has happened, and by how much it did or did not.
event: {name: loss, when: loss > 1000, margin: 1000 - loss}
measure: [payments, fraud_count, loss, cards_used]   # what is kept of each run; all where left out
split: {by: run, train: 0.8, val: 0.1, test: 0.1}    # which runs a model learns from
write: [parquet]

variants:                          # named changes, played as FILE:large
  large: {stolen_cards: 200, simulator.cards: 2000}
"""


def starter_text(source: str | None = None) -> str:
    """Return the text of a new scenario file; its first line names the schema, for completion in editors.

    Args:
        source: a scenario of the library to copy, or None for the commented starter. A variant
            (`driving/cut_in:crash`) becomes a short file that extends its scenario.

    Raises:
        MischanceError: there is no such scenario.
    """
    schema_line = f"# yaml-language-server: $schema={schema_path()}\n"
    if source is None:
        return schema_line + STARTER
    path, variant = locate(source)
    if path is None:
        return schema_line + STARTER
    if variant:
        return schema_line + _variant_text(path, source.rpartition(":")[0], variant)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return schema_line + "".join(line for line in lines if not line.startswith("# yaml-language-server:"))


def _variant_text(path: Path, name: str, variant: str) -> str:
    from mischance.language.variants import apply_changes, variant_changes
    from mischance.language.yaml.document import dump, read

    tree = read(path.read_bytes(), str(path)).tree
    short: dict[str, Any] = {
        "mischance": 1,
        "name": f"my/{name.rsplit('/', maxsplit=1)[-1]}_{variant}",
        "extends": name,
    }
    header = (
        f"# The variant `{variant}` of {name}: what does not stand here is taken from there.\n"
        "# Check it with `mischance validate FILE`, play it with `mischance run FILE --out DIR`."
    )
    return dump(apply_changes(short, tree, variant_changes(tree, variant, str(path))), header)


def schema_path() -> str:
    """Return the URI of the installed schema, for the first line of a scenario file."""
    return (Path(__file__).parent / "scenario.schema.json").as_uri()
