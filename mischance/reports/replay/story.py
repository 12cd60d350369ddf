"""What an animation shows of one run: bodies on one clock, contacts, events and labels, series, values, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mischance.api.arrow import units
from mischance.api.tables import AnyArray, FloatArray
from mischance.errors import DatasetError
from mischance.opening.reading import Dataset
from mischance.reports.replay.captions import moments, values
from mischance.reports.replay.charts import nearness, series, stored
from mischance.reports.replay.contacts import contact_times, contacts_of, kicks_of, through
from mischance.reports.replay.ground import CARRIED, chains, grip, ground
from mischance.reports.replay.model import Body, Contact, Series, Story
from mischance.reports.replay.outlines import silhouette
from mischance.reports.replay.planned_paths import ways
from mischance.reports.replay.tracks import Track, rows, tracks

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
    linked = chains(scenario, [track.name for track in coarse])
    if linked:  # of an arm, what it carries is what the run is about
        coarse.sort(key=lambda track: any(track.name in chain.who for chain in linked) or track.name != CARRIED)
    events, labels = rows(dataset, "events", run), rows(dataset, "labels", run)
    notes: list[str] = []
    hits = rows(dataset, "truth/contacts", run)
    times = contact_times(hits, events)
    t = _clock(coarse, fine, times, frames, notes)
    finer = {track.name: track for track in fine}
    met = kicks_of(hits)
    placed = [
        _on(t, track, finer[track.name] if track.name in finer else through(track, met.get(track.name, ())))
        for track in coarse
    ]
    near = [nearness(placed[0], other) for other in placed[1:]]
    if len(placed) > BODIES:
        notes.append(f"{BODIES} of {len(placed)} bodies are shown: those that came nearest to {placed[0].name}")
        best = np.argsort([np.fmin.reduce(d, initial=np.inf) for d in near], kind="stable")[: BODIES - 1]
        keep = sorted(best.tolist())
        placed, near = [placed[0], *(placed[i + 1] for i in keep)], [near[i] for i in keep]
    contacts = contacts_of(hits, events, t, placed)
    partner = _partner(placed, near, contacts)
    bodies = tuple(
        Body(p.name, p.kind, "ego" if i == 0 else "partner" if i == partner else "other", p.length, p.width, p.disc,
             silhouette(p.kind, p.length, p.width, p.disc), p.x, p.y, p.yaw, p.speed, p.acceleration)
        for i, p in enumerate(placed)
    )  # fmt: skip
    marks = moments(events, labels)
    if len(marks) > MARKS:
        notes.append(f"{MARKS} of {len(marks)} moments are listed: the first ones")
        marks = tuple(replace(mark, cause=mark.cause if mark.cause < MARKS else -1) for mark in marks[:MARKS])
    road = ground(scenario, facts, dataset, run, placed)
    strip = _signals(dataset, run, t) if linked else ()
    strip = strip or series(t, placed, bodies, partner, contacts, grip(scenario, facts, labels, placed[0]))
    planned = ways(rows(dataset, "truth/paths", run), [placed[0], *([placed[partner]] if partner else [])], contacts)
    drawn, measures = values(facts, scenario, dataset)
    wanted = scenario.get("event") or {}
    return Story(
        str(scenario.get("name", path.name)), str(scenario.get("about") or ""), int(scenario.get("seed") or 0), run,
        str(wanted.get("name") or "event"), bool(facts.get("event", False)), str(facts.get("verdict") or ""),
        str(facts.get("reason") or ""), drawn, measures, t, bodies, contacts, marks, road, planned, linked, strip,
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
        None if track.away is None else track.away[np.clip(np.searchsorted(track.t, t + 1e-6) - 1, 0, None)],
    )  # fmt: skip


def _partner(placed: Sequence[Track], near: Sequence[FloatArray], contacts: Sequence[Contact]) -> int:
    """Return whose lines stand beside the first body's: whom it touched first, else who came nearest; 0 for nobody."""
    names = [track.name for track in placed]
    for contact in contacts:
        others = [names.index(name) for name in contact.who if name in names[1:]]
        if names[0] in contact.who and others:
            return others[0]
    return 1 + int(np.argmin([np.fmin.reduce(d, initial=np.inf) for d in near])) if near else 0


# -- the strip --------------------------------------------------------------------------------------------


def _signals(dataset: Dataset, run: int, t: FloatArray) -> tuple[Series, ...]:
    """Return a world's own signals: of a table of truth that has numbers over time and no name in it."""
    candidates: list[Mapping[str, AnyArray]] = []
    facts: dict[str, str] = {}
    for path in (path for path in dataset.tables() if path.startswith("truth/") and path != "truth/motion"):
        table = rows(dataset, path, run)
        texts = [name for name, values in table.items() if values.dtype == object]
        if "t" in table and len(table["t"]) > 1 and (np.diff(table["t"]) > 0.0).all() and not texts:
            candidates.append(table)
            facts |= {name: unit for name, (unit, _) in units(dataset.arrow(path, runs=run).schema).items()}
    return stored(candidates, facts, t)
