"""Class counts as pictures: the strip below every preview, by part of the dataset, and the preview of a merged one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from mischance.dataset.class_counts import LABELS, OBJECTS, ROWS, RUNS, ClassCount, class_counts
from mischance.dataset.origins import Origin, origins_of, read_merge
from mischance.reports.canvas import ALARM, FAINT, GOOD, INK, LINE, PALETTE, QUIET, Canvas, Color
from mischance.reports.preview.sheet import MARGIN, WIDTH

_ROW, _HEAD = 22, 40
_MOST = 6  # classes of a strip
_PART_INKS: tuple[Color, ...] = (PALETTE[5], PALETTE[4], PALETTE[7])
_ORIGIN_INKS = (PALETTE[5], PALETTE[0], PALETTE[7], PALETTE[3], PALETTE[1], PALETTE[4], PALETTE[6], PALETTE[2])
_NAME, _COUNT, _BAR = 330.0, 110.0, 420.0  # widths
_KINDS = {RUNS: "runs", LABELS: "labels", ROWS: "rows", OBJECTS: "objects"}


def event_name(dataset: Path) -> str:
    """Return the name of the event of a dataset's scenario."""
    scenario = yaml.safe_load((dataset / "scenario.yaml").read_text(encoding="utf-8")) or {}
    event = scenario.get("event")
    return str(event.get("name", "event")) if isinstance(event, dict) else "event"


def with_classes(canvas: Canvas, dataset: Path) -> Canvas:
    """Return the sheet with a strip below it: how many of each class there are in each part of the dataset."""
    counts = class_counts(dataset, event_name(dataset))
    if not any(one.count for one in counts):
        return canvas
    shown = counts[:_MOST]
    parts = list(dict.fromkeys(part for one in shown for part in one.parts))
    taller = canvas.extended(_HEAD + _ROW * len(shown) + 14)
    y = float(canvas.height)
    taller.line(np.array([[MARGIN, y], [WIDTH - MARGIN, y]]), LINE, 0.5)
    x = taller.text(MARGIN, y + 26, "Classes", size=15, bold=True) + 20
    _key(taller, x, y + 26, parts, _PART_INKS)
    if len(counts) > len(shown):
        taller.text(WIDTH - MARGIN - 150, y + 26, f"and {len(counts) - len(shown)} more", size=12, ink=FAINT)
    for i, one in enumerate(shown):
        _bar(taller, y + _HEAD + _ROW * i, one, parts, _PART_INKS)
    return taller


def merged_sheet(dataset: Path) -> Canvas:
    """Return the sheet of a merged dataset: its origins, and how many of each class come from each of them."""
    origins, facts = origins_of(dataset), read_merge(dataset)
    names = _names(origins)
    groups = {
        run: name for one, name in zip(origins, names, strict=True) for run in range(one.first, one.first + one.runs)
    }
    counts = class_counts(dataset, event_name(dataset), groups)
    by_part = class_counts(dataset, event_name(dataset))
    top = 96 + _ROW * len(origins) + 30
    canvas = Canvas(WIDTH, round(top + 2 * (_HEAD + 26) + _ROW * (len(counts) + len(by_part))))
    canvas.text(MARGIN, 40, "Merged dataset", size=24, bold=True)
    words = (
        f"{facts['runs']:,} runs of {len(origins)} datasets; splits {'kept' if facts['split'] == 'keep' else 'redrawn'}"
    )
    if facts["balance"] is not None:
        words += f"; balanced: the event in {facts['balance']:.3g} of the runs, with weights"
    canvas.text(MARGIN, 66, words, size=14, ink=FAINT)
    for i, (one, name) in enumerate(zip(origins, names, strict=True)):
        y = 96.0 + _ROW * i
        canvas.fill(MARGIN, y - 11, 14, 14, _ORIGIN_INKS[i % len(_ORIGIN_INKS)])
        last = one.first + one.runs - 1
        words = f"{one.kept:,} of {one.runs:,} runs, here {one.first} to {last}"
        words += f"; {one.name}, seed {one.seed}, dataset {one.dataset[:8]}"
        canvas.text(MARGIN + 24, y, name, size=14, bold=True)
        canvas.text(MARGIN + 24 + 130, y, words, size=13, ink=INK)
    y = top - 20.0
    for title, found, parts, inks in (
        ("By origin", counts, names, _ORIGIN_INKS),
        ("By part", by_part, list(dict.fromkeys(part for one in by_part for part in one.parts)), _PART_INKS),
    ):
        canvas.line(np.array([[MARGIN, y], [WIDTH - MARGIN, y]]), LINE, 0.5)
        x = canvas.text(MARGIN, y + 26, title, size=15, bold=True) + 20
        _key(canvas, x, y + 26, parts, inks)
        y += _HEAD
        for counted in found:
            _bar(canvas, y, counted, parts, inks)
            y += _ROW
        y += 16
    _say_probability(canvas, facts)
    return canvas


def _names(origins: Sequence[Origin]) -> list[str]:
    return [f"origin {i + 1}" for i in range(len(origins))]


def _key(canvas: Canvas, x: float, y: float, parts: Sequence[str], inks: Sequence[Color]) -> None:
    for i, part in enumerate(parts):
        canvas.fill(x, y - 11, 14, 14, inks[i % len(inks)])
        x = canvas.text(x + 20, y, part, size=13) + 18


def _bar(canvas: Canvas, y: float, one: ClassCount, parts: Sequence[str], inks: Sequence[Color]) -> None:
    """Draw one class: its name, how many, and a bar of which the parts are as long as their shares of it."""
    kind = _KINDS[one.what] + (f" of {one.of}" if one.of else "")
    x = canvas.text(MARGIN, y + 12, one.name, size=13)
    canvas.text(x + 10, y + 12, kind, size=11, ink=FAINT)
    said = f"{one.count:,} of {one.total:,}" if one.total else f"{one.count:,}"
    canvas.text(MARGIN + _NAME, y + 12, said, size=13)
    left = MARGIN + _NAME + _COUNT
    whole = sum(count for count, _ in one.parts.values()) or 1
    if not parts or not one.count:
        canvas.fill(left, y, _BAR if one.count else 1, 14, QUIET)
    at = left
    for i, part in enumerate(parts):
        wide = _BAR * one.parts.get(part, (0, 0))[0] / whole
        if wide > 0:
            canvas.fill(at, y, wide, 14, inks[i % len(inks)])
        at += wide
    words = [
        f"{part}: {count:,}{f' of {total:,}' if total else ''}"
        for part, (count, total) in one.parts.items()
        if count or total
    ]
    canvas.text(left + _BAR + 14, y + 12, ", ".join(words), size=12, ink=FAINT)


def _say_probability(canvas: Canvas, facts: dict[str, object]) -> None:
    found = facts["probability"]
    if not isinstance(found, dict):
        return
    if "not_pooled" in found:
        canvas.tag(MARGIN + 210, 40, "not pooled", ALARM)
        canvas.text(MARGIN + 310, 40, str(found["not_pooled"]).replace("…", "...")[:150], size=13, ink=FAINT)
    else:
        x = canvas.tag(MARGIN + 210, 40, "pooled", GOOD) + 12
        said = f"probability {found['probability']:.4g}" if found["probability"] is not None else "no probability"
        if found["low"] is not None:
            said += f" [{found['low']:.4g}, {found['high']:.4g}] (95 %)"
        canvas.text(x, 40, said, size=13, ink=FAINT)
