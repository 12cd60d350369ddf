"""README.md of a merged dataset: its origins, what became of weights and parts, its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mischance.dataset.card import classes_in_words, contents_of, tables_in_words
from mischance.dataset.disk import write_whole
from mischance.dataset.origins import Origin


def write_merged_card(out: Path, origins: Sequence[Origin], facts: Mapping[str, Any]) -> None:
    """Write README.md."""
    tables, others = contents_of(out)
    balance = facts["balance"]
    parts = "as they were" if facts["split"] == "keep" else "dealt out anew, by run"
    lines = [
        "# Merged dataset",
        "",
        f"{facts['runs']:,} runs of {len(origins)} dataset{'s' * (len(origins) > 1)}. A run has a new number here;"
        " `origin` and `origin_run` in `runs` say where it is from, and `origins/` has the scenario and the inputs.",
        f"Training, validation and test parts are {parts}.",
        *(
            [
                f"Runs were left out so that the event happened in {balance:.3g} of them; `weight` makes up for it: an"
                " average of `weight * value` is that of all runs."
            ]
            if balance is not None
            else []
        ),
        "",
        "| runs | of | seed | dataset | kept |",
        "|---|---|---|---|---|",
        *(
            f"| {one.first} to {one.first + one.runs - 1} | {one.name} | {one.seed} | `{one.dataset}` | {one.kept:,} |"
            for one in origins
        ),
        "",
        f"Probability of the event: {_said(facts['probability'])}",
        "",
        *classes_in_words(out, "event"),
        *tables_in_words(out, tables, others),
        "## Check and replay",
        "",
        "In this folder:",
        "",
        "```sh",
        "mischance verify .      # hashes every file again",
        f"mischance replay . {origins[-1].first}    # plays that run again from its origin's scenario, and compares",
        "```",
        "",
    ]
    write_whole(out / "README.md", "\n".join(lines).encode())


def _said(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "nothing is said of it."
    if "not_pooled" in found:
        return f"not pooled: {found['not_pooled']}."
    if found["low"] is None:
        return f"pooled over all origins: {found['probability']} (no interval: {found['reason']})."
    return f"pooled over all origins: {found['probability']:.4g} [{found['low']:.4g}, {found['high']:.4g}] (95 %)."
