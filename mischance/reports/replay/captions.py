"""What happened in a run and what it drew, in words: events, labels, values with their units."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mischance.api.tables import AnyArray
from mischance.opening.reading import Dataset
from mischance.reports.replay.model import Moment

# Details of events are SI numbers without units of their own; the last word of a name tells these quantities.
_UNITS = {
    "gap": "m", "distance": "m", "height": "m", "speed": "m/s", "delta_v": "m/s", "acceleration": "m/s²",
    "deceleration": "m/s²", "thw": "s", "ttc": "s", "takes": "s", "impulse": "N s", "energy_lost": "J", "force": "N",
    "radius": "m", "angle": "rad",
}  # fmt: skip

FEW = 4  # more equal events at one time than this are told in one line


def moments(events: Mapping[str, AnyArray], labels: Mapping[str, AnyArray]) -> tuple[Moment, ...]:
    """Return events and the times of labels, in order of time, each with its cause."""
    marks: list[tuple[Moment, str, Sequence[str]]] = []  # with its own id, and those of its causes
    titles: dict[str, str] = {}
    for i in range(len(events["t"]) if events else 0):
        kind, subject = str(events["kind"][i]).replace("_", " "), str(events["subject"][i])
        title = f"{subject}: {kind}" if subject else kind
        identity, parent = str(events["event_id"][i]), str(events["parent_id"][i]) if "parent_id" in events else ""
        titles[identity] = title
        family = "contact" if kind == "contact" else "event"
        mark = Moment(float(events["t"][i]), family, title, _said(details_of(events["details"][i])))
        marks.append((mark, identity, [parent]))
    planned: dict[str, str] = {}  # a planned fault's id -> the label that tells of it
    for i in range(len(labels["t_cause"]) if labels else 0):
        causes = _causes(labels["causes"][i])
        path, target = str(labels["class"][i]), str(labels["target"][i])
        role, identity = str(labels["role"][i]), str(labels["label_id"][i])
        by = [cause for cause in causes if not titles.get(cause, "").endswith(": contact")]
        if role == "fault":
            planned |= {cause: identity for cause in causes if cause not in titles}
        words = [f"severity {labels['severity'][i]:.3g}"] if np.isfinite(labels["severity"][i]) else []
        title = f"{path} · {target}"
        start, end = float(labels["t_cause"][i]), float(labels["t_end"][i])
        family = "fault" if role == "fault" or path.startswith("fault") else "label"
        lasting = end if end > start else float("nan")
        said = "; ".join([f"label: {role or 'cause'}", *words])
        marks.append((Moment(start, family, title, said, lasting), identity, by))
        for column, said in (("t_effect", "first effect"), ("t_observable", "observable from here")):
            if np.isfinite(labels[column][i]):
                marks.append((Moment(float(labels[column][i]), family, title, f"label: {said}"), "", [identity]))
    known = sorted((one for one in marks if np.isfinite(one[0].t)), key=lambda one: one[0].t)
    places = {identity: n for n, (_, identity, _) in reversed(list(enumerate(known))) if identity}
    places |= {cause: places[identity] for cause, identity in planned.items() if identity in places}
    found = []
    for n, (mark, _, parents) in enumerate(known):
        first = next((places[cause] for cause in parents if places.get(cause, n) != n), -1)
        found.append(replace(mark, cause=first))
    return _folded(found)


def _folded(marks: Sequence[Moment]) -> tuple[Moment, ...]:
    """Return the moments with events that are equal but for whom they befell, at one time, as one with their number."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for n, mark in enumerate(marks):
        what = mark.title.rpartition(": ")[2]
        alone = () if mark.kind == "event" else (n,)  # of contacts and faults each one counts
        groups.setdefault((round(mark.t, 3), mark.kind, what, *alone), []).append(n)
    place: dict[int, int] = {}
    kept: list[Moment] = []
    for key, rows in groups.items():
        first = marks[rows[0]]
        alike = [marks[row].title for row in rows]
        several = len(rows) > FEW or (
            len(rows) > 1 and len(set(alike)) == 1 and len({marks[r].words for r in rows}) == 1
        )
        for row in rows:
            if several and row != rows[0]:
                place[row] = place[rows[0]]
                continue
            place[row] = len(kept)
            kept.append(marks[row])
        if several:
            who = dict.fromkeys(title.rpartition(": ")[0] for title in alike)
            names = ", ".join(name for name in list(who)[:FEW] if name) + (" …" if len(who) > FEW else "")
            words = names if len(who) > 1 else first.words
            kept[place[rows[0]]] = replace(
                first, title=f"{key[2] if len(who) > 1 else first.title} (× {len(rows)})", words=words
            )
    order = sorted(range(len(kept)), key=lambda n: kept[n].t)
    new = {old: n for n, old in enumerate(order)}
    return tuple(replace(kept[n], cause=new[place[kept[n].cause]] if kept[n].cause >= 0 else -1) for n in order)


def details_of(text: object) -> dict[str, Any]:
    """Return the details of an event or label, which tables store as a JSON object; {} where there are none."""
    try:
        found = json.loads(str(text)) if text else {}
    except ValueError:
        return {"details": str(text)}
    return found if isinstance(found, dict) else {"details": found}


def _causes(text: object) -> list[str]:
    try:
        return [str(cause) for cause in json.loads(str(text))]
    except (ValueError, TypeError):
        return []


def _said(details: Mapping[str, Any], unit: str = "") -> str:
    """Return an event's details as words; `unit` is that of the whole, where the whole is one quantity by name."""
    parts = []
    for name, value in details.items():
        if value in ([], {}, ""):
            continue
        unit_ = unit or _UNITS.get(name.rpartition("_")[2] if name not in _UNITS else name, "")
        if unit_ == "rad" and isinstance(value, int | float) and math.isfinite(value):
            value, unit_ = math.degrees(value), "°"  # noqa: PLW2901
        inner = (
            _said(value, unit_) if isinstance(value, dict) else f"{_plain(value)} {unit_}".rstrip().replace(" °", "°")
        )
        parts.append(f"{name.replace('_', ' ')} {inner}")
    text = ", ".join(parts)
    return text if len(text) <= 200 else text[:199] + "…"


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isinf(number):
            return "∞" if number > 0.0 else "−∞"
        return f"{number:.0f}" if 1e4 <= abs(number) < 1e9 else f"{number:.4g}".replace("-", "−", 1)
    return str(value)


def values(
    facts: Mapping[str, Any], scenario: Mapping[str, Any], dataset: Dataset
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Return what the run drew and what it measured, as words with units."""
    facts_of_units: dict[str, str] = dataset.table("runs", runs=[]).attrs["units"]
    drawn: list[tuple[str, str]] = []
    measures: list[tuple[str, str]] = []
    vary = scenario.get("vary") or {}
    for name, value in facts.items():
        if value is None or str(value) == "nan" or name in ("run", "event", "verdict", "reason", "digest"):
            continue
        unit = facts_of_units.get(name, "")
        text = f"{_plain(value)} {unit.replace('m/s2', 'm/s²').replace('m/s3', 'm/s³')}".strip()
        if unit == "m/s" and np.isfinite(value):
            text += f" ({value * 3.6:.0f} km/h)"
        (drawn if name in vary else measures).append((name, text))
    return tuple(drawn), tuple(measures)
