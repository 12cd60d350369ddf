"""What an animation shows of one run: bodies on one clock, contacts, events and labels, series, values, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mischance._animation_ground import ground
from mischance._animation_parts import Body, Contact, Story
from mischance._animation_strip import nearness, series
from mischance._animation_tables import Track, rows, tracks
from mischance._animation_words import details_of, moments, values
from mischance.errors import DatasetError
from mischance.opening import Dataset
from mischance.truth import AnyArray, FloatArray

BODIES = 40  # more than that nobody can follow: the ones that came nearest to the first are kept
CLOSE_UP = 0.06  # around a contact the finer times of motion are kept [s]
MARKS = 400


def story(path: Path, run: int, frames: int) -> Story:
    """Return the story of one run of a dataset, at no more than about `frames` times.

    Raises:
        DatasetError: the folder is no dataset, it has no such run, or the run has no positions.
    """
    dataset = Dataset(path)
    scenario: dict[str, Any] = yaml.safe_load((path / "scenario.yaml").read_text(encoding="utf-8")) or {}
    facts = _facts(dataset, run)
    coarse, fine = tracks(dataset, run, scenario)
    events, labels = rows(dataset, "events", run), rows(dataset, "labels", run)
    notes: list[str] = []
    hits = rows(dataset, "truth/contacts", run)
    times = _contact_times(hits, events)
    t = _clock(coarse, fine, times, frames, notes)
    finer = {track.name: track for track in fine}
    placed = [_on(t, track, finer.get(track.name, track)) for track in coarse]
    near = [nearness(placed[0], other) for other in placed[1:]]
    if len(placed) > BODIES:
        notes.append(f"{BODIES} of {len(placed)} bodies are shown: those that came nearest to {placed[0].name}")
        best = np.argsort([np.fmin.reduce(d, initial=np.inf) for d in near], kind="stable")[: BODIES - 1]
        keep = sorted(best.tolist())
        placed, near = [placed[0], *(placed[i + 1] for i in keep)], [near[i] for i in keep]
    contacts = _contacts(hits, events, t, placed)
    partner = _partner(placed, near, contacts)
    bodies = tuple(
        Body(p.name, p.kind, "ego" if i == 0 else "partner" if i == partner else "other",
             p.length, p.width, p.disc, p.x, p.y, p.yaw, p.speed, p.acceleration)
        for i, p in enumerate(placed)
    )  # fmt: skip
    marks = moments(events, labels)
    if len(marks) > MARKS:
        notes.append(f"{MARKS} of {len(marks)} moments are listed: the first ones")
    friction = _number(facts.get("friction"), (scenario.get("simulator") or {}).get("friction"))
    drawn, measures = values(facts, scenario, dataset)
    wanted = scenario.get("event") or {}
    return Story(
        str(scenario.get("name", path.name)), str(scenario.get("about") or ""), int(scenario.get("seed") or 0), run,
        str(wanted.get("name") or "event"), bool(facts.get("event", False)), str(facts.get("verdict") or ""),
        str(facts.get("reason") or ""), drawn, measures, t, bodies, contacts, marks[:MARKS],
        ground(scenario, facts, dataset, run, placed), series(t, placed, bodies, partner, contacts, friction),
        tuple(notes),
    )  # fmt: skip


def _facts(dataset: Dataset, run: int) -> dict[str, Any]:
    """Return the run's row of `runs`."""
    if "runs" not in dataset.tables():
        raise DatasetError(f"{dataset.path} has no finished run yet", "finish its sweep, then draw the replay")
    found = rows(dataset, "runs", run)
    if not len(found["run"]):
        known = np.sort(dataset.arrow("runs").column("run").to_numpy())
        if not len(known):
            raise DatasetError(f"{dataset.path} has no finished run")
        gap = "" if len(known) == known[-1] - known[0] + 1 else f" ({len(known)} of them finished)"
        raise DatasetError(f"{dataset.path} has no run {run}", f"it has runs {known[0]} to {known[-1]}{gap}")
    return {name: values[0] for name, values in found.items()}


# -- the clock, and everybody on it ------------------------------------------------------------------------------


def _contact_times(hits: Mapping[str, AnyArray], events: Mapping[str, AnyArray]) -> FloatArray:
    if hits and len(hits["t"]):
        return np.unique(hits["t"].astype(np.float64))
    if not events:
        return np.zeros(0)
    return np.unique(events["t"][events["kind"] == "contact"].astype(np.float64))


def _clock(
    coarse: Sequence[Track], fine: Sequence[Track], contacts: FloatArray, frames: int, notes: list[str]
) -> FloatArray:
    """Return the times that are drawn: the table's own, thinned where they are many, and finer ones at contacts."""
    ends = [track.t[[0, -1]] for track in fine]
    own = np.unique(np.concatenate([*(track.t for track in coarse), *ends]))
    finer = [track.t[(np.abs(track.t[:, None] - contacts[None, :]) <= CLOSE_UP).any(axis=1)] for track in fine]
    close = np.unique(np.concatenate([*finer, contacts[(contacts >= own[0]) & (contacts <= own[-1])]]))[: frames // 4]
    if len(own) > frames:
        step = -(-len(own) // frames)
        notes.append(f"one sample in {step} is shown; between samples the picture is interpolated")
        own = np.unique(np.append(own[::step], own[-1]))
    # Times that differ in the last bits only are one frame.
    times = np.unique(np.round(np.concatenate([own, close]), 6))
    return np.asarray(times, np.float64)


def _on(t: FloatArray, track: Track, poses: Track) -> Track:
    """Return a body on another clock; NaN before it came and after it left."""

    first, last = min(track.t[0], poses.t[0]) - 1e-6, max(track.t[-1], poses.t[-1]) + 1e-6
    # The finer table knows speeds without sign: it is no help with a body that drives backwards.
    paced = track if (track.speed < 0.0).any() else poses

    def at(times: FloatArray, values: FloatArray) -> FloatArray:
        return np.where((t < first) | (t > last), np.nan, np.interp(t, times, values))

    return Track(
        track.name, track.kind, track.length, track.width, track.disc, t,
        at(poses.t, poses.x), at(poses.t, poses.y), at(poses.t, poses.z), at(poses.t, poses.yaw),
        at(paced.t, paced.speed), at(track.t, track.acceleration), at(poses.t, poses.vx), at(poses.t, poses.vy),
    )  # fmt: skip


def _partner(placed: Sequence[Track], near: Sequence[FloatArray], contacts: Sequence[Contact]) -> int:
    """Return whose lines stand beside the first body's: whom it touched first, else who came nearest; 0 for nobody."""
    names = [track.name for track in placed]
    for contact in contacts:
        others = [names.index(name) for name in contact.who if name in names[1:]]
        if names[0] in contact.who and others:
            return others[0]
    return 1 + int(np.argmin([np.fmin.reduce(d, initial=np.inf) for d in near])) if near else 0


# -- contacts, events, labels --------------------------------------------------------------------------------------


def _contacts(
    hits: Mapping[str, AnyArray], events: Mapping[str, AnyArray], t: FloatArray, placed: Sequence[Track]
) -> tuple[Contact, ...]:
    found = []
    if hits and {"a", "b", "x", "y"} <= set(hits):
        ids = hits["event_id"] if "event_id" in hits else np.arange(len(hits["t"]))
        _, firsts = np.unique(ids.astype(str), return_index=True)  # leaning on each other: the same contact goes on
        for i in np.sort(firsts).tolist():
            pair = (str(hits["a"][i]), str(hits["b"][i]))
            found.append(Contact(float(hits["t"][i]), float(hits["x"][i]), float(hits["y"][i]), pair))
        return tuple(found)
    by_name = {track.name: track for track in placed}
    for i in np.flatnonzero(events["kind"] == "contact").tolist() if events else ():
        details = details_of(events["details"][i])
        who = tuple(name for name in (str(events["subject"][i]), str(details.get("with", ""))) if name in by_name)
        if who:
            when = float(events["t"][i])
            x, y = (float(np.mean([np.interp(when, t, getattr(by_name[name], axis)) for name in who])) for axis in "xy")
            found.append(Contact(when, x, y, who))
    return tuple(found)


# -- values, road, strip --------------------------------------------------------------------------------------------


def _number(*candidates: object) -> float | None:
    return next((float(c) for c in candidates if isinstance(c, int | float | np.floating) and np.isfinite(c)), None)
