"""Builds the view of one run: bodies on one clock, contacts, moments, charts, values, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mischance.api.appearance import CONTACTS, PATHS
from mischance.api.tables import AnyArray, FloatArray
from mischance.dataset.origins import home_of_run
from mischance.errors import DatasetError
from mischance.opening.reading import Dataset
from mischance.reports.replay.captions import moments, values
from mischance.reports.replay.charts import nearness, series, stored
from mischance.reports.replay.contacts import contact_times, contacts_of, velocity_jumps, with_contacts
from mischance.reports.replay.ground import grip, ground
from mischance.reports.replay.model import Body, Contact, Link, RunView, Series
from mischance.reports.replay.outlines import silhouette
from mischance.reports.replay.planned_paths import planned_paths
from mischance.reports.replay.tracks import Track, appearances, rows, tracks
from mischance.reports.replay.worlds import contacts_together, side_by_side

BODIES = 40  # more than that nobody can follow: the ones that came nearest to the subject are kept
CLOSE_UP = 0.06  # around a contact the finer times of motion are kept [s]
MOMENTS = 400
JOINT = 0.10  # width of a link of unknown size [m]
BAR = 0.1  # width of a link of two bodies that stay level, in widths of the narrower one


def run_view(path: Path, run: int, frames: int) -> RunView:
    """Return the view of one run of a dataset, at no more than about `frames` times.

    Raises:
        DatasetError: the folder is no dataset, it has no such run, or the run has no positions.
    """
    dataset = Dataset(path)
    home = home_of_run(path, run)[0]
    scenario: dict[str, Any] = yaml.safe_load((home / "scenario.yaml").read_text(encoding="utf-8")) or {}
    facts = _facts(dataset, run)
    worlds = list(scenario.get("worlds") or {})
    together = side_by_side(path, run, worlds) if worlds else []
    looks = {} if worlds else appearances(dataset, run)
    if worlds:
        coarse = [track for world in together for track in world.coarse]
        fine = [track for world in together for track in world.fine]
    else:
        coarse, fine = tracks(dataset, run, looks)
    links = links_of(coarse)
    unnamed = unnamed_in(links, coarse)
    events, labels = rows(dataset, "events", run), rows(dataset, "labels", run)
    notes: list[str] = []
    hits = contacts_together(together) if worlds else rows(dataset, f"truth/{CONTACTS}", run)
    if len(together) > 1:
        names = " and ".join(world.world for world in together)
        notes.append(f"{names} are drawn side by side: each is a space of its own")
    times = contact_times(hits, events)
    t = _clock(coarse, fine, times, frames, notes)
    finer = {track.name: track for track in fine}
    jumps = velocity_jumps(hits)
    placed = [
        _on(t, track, finer[track.name] if track.name in finer else with_contacts(track, jumps.get(track.name, ())))
        for track in coarse
    ]
    # Nobody comes near a body of another world.
    own = {track.name for track in together[0].coarse} if worlds else {track.name for track in placed}
    far = np.full(len(t), np.inf)
    near = [nearness(placed[0], other) if other.name in own else far for other in placed[1:]]
    if len(placed) > BODIES:
        notes.append(f"{BODIES} of {len(placed)} bodies are shown: those that came nearest to {placed[0].name}")
        best = np.argsort([np.fmin.reduce(d, initial=np.inf) for d in near], kind="stable")[: BODIES - 1]
        keep = sorted(best.tolist())
        placed, near = [placed[0], *(placed[i + 1] for i in keep)], [near[i] for i in keep]
    contacts = contacts_of(hits, events, t, placed)
    partner = 0 if unnamed else _partner(placed, near, contacts)
    bodies = tuple(
        _body(track, "subject" if i == 0 else "partner" if i == partner else "other", links, unnamed)
        for i, track in enumerate(placed)
    )
    found = moments(events, labels)
    if len(found) > MOMENTS:
        notes.append(f"{MOMENTS} of {len(found)} moments are listed: the first ones")
        found = tuple(
            replace(moment, cause=moment.cause if moment.cause < MOMENTS else -1) for moment in found[:MOMENTS]
        )
    surface = ground(dataset, run, looks.values(), placed)
    if worlds:
        surface = tuple(line for world in together for line in world.surface)
    charts = _signals(dataset, run, t, worlds)
    charts = charts or series(t, placed, bodies, partner, contacts, grip(dataset, run, labels, placed[0]))
    pair = [placed[0], *([placed[partner]] if partner else [])]
    paths = planned_paths(rows(dataset, f"truth/{PATHS}", run), pair, contacts)
    drawn, measures = values(facts, scenario, dataset)
    wanted = scenario.get("event") or {}
    return RunView(
        str(scenario.get("name", path.name)), str(scenario.get("about") or ""), int(scenario.get("seed") or 0), run,
        str(wanted.get("name") or "event"), bool(facts.get("event", False)), str(facts.get("verdict") or ""),
        str(facts.get("reason") or ""), drawn, measures, t, bodies, contacts, found, surface, paths, links, charts,
        tuple(notes),
    )  # fmt: skip


# -- bodies that hang together -------------------------------------------------------------------------------------


def links_of(bodies: Sequence[Track]) -> tuple[Link, ...]:
    """Return the links of bodies to those that they hang on.

    A link of two that stay level is a bar between them; of others, as of an arm, it is as wide as the thinner one.
    """
    by_name = {track.name: track for track in bodies}
    found = []
    for track in bodies:
        parent = by_name.get(track.look.parent)
        if parent is not None:
            sizes = [size for one in (track, parent) for size in (one.look.length, one.look.width) if size > 0.0]
            share = BAR if track.level and parent.level else 1.0
            found.append(Link((parent.name, track.name), share * min(sizes, default=JOINT)))
    return tuple(found)


def unnamed_in(links: Sequence[Link], bodies: Sequence[Track]) -> frozenset[str]:
    """Return bodies whose names are not written: a chain is named by its end, several ends by their parent."""
    tilted = {track.name for track in bodies if not track.level}
    chained = [link for link in links if tilted & set(link.bodies)]
    children: dict[str, list[str]] = {}
    for link in chained:
        children.setdefault(link.bodies[0], []).append(link.bodies[1])
    ends = {link.bodies[1] for link in chained} - set(children)
    several = {parent for parent, own in children.items() if len(own) > 1 and ends.issuperset(own)}
    named = {link.bodies[1] for link in chained if link.bodies[1] in ends and link.bodies[0] not in several} | several
    return frozenset({name for link in chained for name in link.bodies} - named)


def _body(track: Track, role: str, links: Sequence[Link], unnamed: frozenset[str]) -> Body:
    look = track.look
    kind, length, width, is_round = look.kind, look.length, look.width, look.shape != "box"
    if not track.level and any(track.name in link.bodies for link in links):  # a joint, seen from anywhere
        kind, is_round = "", True
        length = width = min(length, width)
    return Body(
        track.name, kind, role, length, width, is_round, silhouette(kind, length, width, is_round),
        track.x, track.y, track.yaw, track.speed, track.acceleration, track.name not in unnamed,
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
        track.look, t,
        at(poses.t, poses.x), at(poses.t, poses.y), at(poses.t, poses.z), at(poses.t, poses.yaw),
        at(paced.t, paced.speed), at(track.t, track.acceleration), at(poses.t, poses.vx), at(poses.t, poses.vy),
        None if track.away is None else track.away[np.clip(np.searchsorted(track.t, t + 1e-6) - 1, 0, None)],
        track.level,
    )  # fmt: skip


def _partner(placed: Sequence[Track], near: Sequence[FloatArray], contacts: Sequence[Contact]) -> int:
    """Return whose lines stand beside the first body's: whom it touched first, else who came nearest; 0 for nobody."""
    names = [track.name for track in placed]
    for contact in contacts:
        others = [names.index(name) for name in contact.bodies if name in names[1:]]
        if names[0] in contact.bodies and others:
            return others[0]
    return 1 + int(np.argmin([np.fmin.reduce(d, initial=np.inf) for d in near])) if near else 0


# -- the charts ------------------------------------------------------------------------------------------------------


def _signals(dataset: Dataset, run: int, t: FloatArray, worlds: Sequence[str]) -> tuple[Series, ...]:
    """Return a world's own signals: columns of the role value in a table of truth whose rows belong to nobody.

    Those of several worlds carry the names of their worlds.
    """
    candidates: list[tuple[Mapping[str, AnyArray], list[str]]] = []
    units_: dict[str, str] = {}
    for path in (path for path in dataset.tables() if path.startswith("truth/")):
        declared = dataset.columns(path)
        names = [name for name, one in declared.items() if one.role == "value"]
        owned = any(one.role in ("entity", "key") for name, one in declared.items() if name != "run")
        if names and not owned:
            table = rows(dataset, path, run)
            if "t" in table and len(table["t"]) > 1:
                world = path.removeprefix("truth/").partition(".")[0]
                before = f"{world}." if world in worlds else ""
                named = {f"{before}{name}" if name in names else name: column for name, column in table.items()}
                candidates.append((named, [f"{before}{name}" for name in names]))
                units_ |= {f"{before}{name}": one.unit for name, one in declared.items()}
    return stored(candidates, units_, t)
