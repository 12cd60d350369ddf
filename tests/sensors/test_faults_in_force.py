"""What each fault of each sensor does to its readings, computed from the readings of the same run without it.

Every kind of fault that a sensor of the catalog knows has its law in `READING` or `CHANCE`; one without fails by name.
A law gives the whole reading, so what a fault leaves behind after its end is an error too. Three plans: all of the
severity at once, one that grows, and two faults that overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import sqrt

import numpy as np
import pytest

from mischance.api.protocols import declares
from mischance.api.runs import Fault
from mischance.language import catalog
from tests.support import PLUGINS
from tests.test_contracts import SENSORS, readings, side_by_side, truth_for

Rows = dict[str, np.ndarray]
PROBE = f"{PLUGINS}/probe.py:Probe"
# of the faults of one kind: onset, end and growth in parts of the run, and the part of the declared severity
PLANS: Mapping[str, tuple[tuple[float, float, float, float], ...]] = {
    "at once": ((0.3, 0.6, 0.0, 1.0),),
    "growing": ((0.2, 0.7, 0.3, 1.0),),
    "overlapping": ((0.1, 0.7, 0.0, 0.5), (0.3, 0.8, 0.0, 0.6)),
}


def severity(fault: Fault, t: np.ndarray) -> np.ndarray:
    """Return what of a fault's severity is active at t: linear over its ramp, nothing from its end on."""
    grown = np.clip((t - fault.onset) / fault.ramp, 0.0, 1.0) if fault.ramp > 0.0 else np.ones(len(t))
    return np.where((t >= fault.onset) & (t < fault.end), fault.severity * grown, 0.0)


def total(faults: Sequence[Fault], t: np.ndarray) -> np.ndarray:
    return np.sum([severity(fault, t) for fault in faults], axis=0)


def chance(faults: Sequence[Fault], t: np.ndarray) -> np.ndarray:
    """Return the chance that one of independent causes strikes."""
    return 1.0 - np.prod([1.0 - severity(fault, t) for fault in faults], axis=0)


# -- laws that give the reading itself, from the rows without faults --------------------------------------------------


def adds(column: str, at: str = "t") -> Callable[[Rows, Sequence[Fault]], Rows]:
    return lambda clean, faults: {**clean, column: clean[column] + total(faults, clean[at])}


def saturated(clean: Rows, faults: Sequence[Fault]) -> Rows:
    """Forces are cut at the least severity of those that act; a limit has no growth."""
    t = clean["t"]
    most = np.min([np.where((t >= f.onset) & (t < f.end), f.severity, np.inf) for f in faults], axis=0)
    return {**clean, **{name: np.clip(clean[name], -most, most) for name in ("fx", "fy", "fz")}}


def held(t: np.ndarray, faults: Sequence[Fault]) -> np.ndarray:
    """Return for each tick the place of the tick whose content is shown: the last one that was not frozen."""
    frozen = np.any([severity(fault, t) >= 0.5 for fault in faults], axis=0)
    place = np.arange(len(t))
    return np.array([place[: k + 1][~frozen[: k + 1]][-1] for k in place])


def frozen_image(clean: Rows, faults: Sequence[Fault]) -> Rows:
    shown = held(clean["t"], faults)
    return {name: values if name in ("t", "index") else values[shown] for name, values in clean.items()}


def frozen_list(clean: Rows, faults: Sequence[Fault]) -> Rows:
    ticks = np.arange(round(clean["t_measured"].max() * 20.0) + 1) / 20.0
    parts = []
    for tick, shown in zip(ticks, ticks[held(ticks, faults)], strict=True):
        rows = {name: values[clean["t_measured"] == shown] for name, values in clean.items()}
        late = clean["t"][0] - clean["t_measured"][0]
        n = len(rows["t"])
        parts.append({**rows, "t": np.full(n, round(tick + late, 9)), "t_measured": np.full(n, tick)})
    return {name: np.concatenate([part[name] for part in parts]) for name in clean}


def late(clean: Rows, faults: Sequence[Fault]) -> Rows:
    moved = {**clean, "t": np.round(clean["t"] + total(faults, clean["t_measured"]), 9)}
    return in_order({name: values[moved["t"] <= clean["t"].max()] for name, values in moved.items()})


def in_order(rows: Rows) -> Rows:
    """Return rows in the order of their arrival, then of their measurement, then of their tracks."""
    order = np.lexsort((rows["track"], rows["t_measured"], rows["t"]))
    return {name: values[order] for name, values in rows.items()}


# -- laws of chance: what is missing or added, over all runs -----------------------------------------------------------


def counts(found: float, expected: float, spread: float) -> None:
    assert abs(found - expected) <= 4.0 * max(spread, 0.5), (found, expected, spread)


def missing(clean: Sequence[Rows], found: Sequence[Rows], faults: Sequence[Fault], *, whole: bool) -> None:
    """Rows are missing with the chance of the faults; all rows of a list together if `whole`."""
    every: list[tuple[float, bool]] = []  # chance of being lost, and whether it was
    for before, after in zip(clean, found, strict=True):
        key = [*zip(before["t_measured"].tolist(), before["track"].tolist(), strict=True)]
        there = dict.fromkeys(zip(after["t_measured"].tolist(), after["track"].tolist(), strict=True))
        kept = np.array([one in there for one in key])
        same(after, {name: values[kept] for name, values in before.items()})
        p = chance(faults, before["t_measured"])
        if whole:
            for t in np.unique(before["t_measured"]):
                assert len(set(kept[before["t_measured"] == t].tolist())) == 1, "a list is lost as a whole"
            _, first = np.unique(before["t_measured"], return_index=True)
            kept, p = kept[first], p[first]
        assert kept[p == 0.0].all()
        assert not kept[p == 1.0].any()
        every += zip(p.tolist(), (~kept).tolist(), strict=True)
    chances, lost = np.array(every).T
    assert (chances > 0.0).sum() > 50
    for some in [chances > 0.0, *(chances == p for p in np.unique(chances))]:  # where two act too
        counts(lost[some].sum(), chances[some].sum(), sqrt((chances * (1.0 - chances))[some].sum()))


def further(clean: Sequence[Rows], found: Sequence[Rows], faults: Sequence[Fault]) -> None:
    """New tracks appear at the rate of the faults, a Poisson process; all that was there is there."""
    appeared, expected = 0, 0.0
    for before, after in zip(clean, found, strict=True):
        known = np.isin(after["track"], before["track"])
        same({name: values[known] for name, values in after.items()}, before)
        tracks, first = np.unique(after["track"][~known], return_index=True)
        begun = after["t_measured"][~known][first]
        assert (total(faults, begun) > 0.0).all(), "none appears before or after"
        appeared += len(tracks)
        ticks = np.arange(round(before["t_measured"].max() * 20.0) + 1) / 20.0
        expected += total(faults, ticks).sum() / 20.0
    assert expected > 4.0
    counts(appeared, expected, sqrt(expected))


# sensor and kind of fault -> the reading, or a check of all runs
READING: Mapping[tuple[str, str], Callable[[Rows, Sequence[Fault]], Rows]] = {
    (PROBE, "offset"): adds("volt"),
    ("imu", "bias"): adds("ax"),
    ("wrench", "bias"): adds("fx"),
    ("wrench", "saturation"): saturated,
    ("camera", "freeze"): frozen_image,
    ("objects", "freeze"): frozen_list,
    ("objects", "late"): late,
    ("objects", "clock_skew"): adds("t_measured", "t_measured"),
}
CHANCE: Mapping[tuple[str, str], Callable[[Sequence[Rows], Sequence[Rows], Sequence[Fault]], None]] = {
    ("objects", "dropout"): lambda clean, found, faults: missing(clean, found, faults, whole=False),
    ("objects", "message_loss"): lambda clean, found, faults: missing(clean, found, faults, whole=True),
    ("objects", "false_objects"): further,
}
LONG = {"objects": "3 s", "wrench": "3 s"}  # rows enough to count; until the arm feels something
KNOWN = [(sensor, kind) for sensor in SENSORS for kind in declares(catalog.find("sensors", sensor)).faults]


def told(sensor: str, faults: Sequence[Fault]) -> list[Rows]:
    """Return each run's rows under these faults; of a camera, with every image and the labels of it."""
    scenario, name, draws, chunks = truth_for(sensor, LONG.get(sensor, ""))
    planned = [replace(d, faults=tuple(replace(f, target=f"sensors.{name}") for f in faults)) for d in draws]
    found, _, _ = readings(scenario.sensors[name], name, planned, [side_by_side(parts) for parts in chunks])
    runs = []
    for i in range(len(draws)):
        parts = [reading.tables[""].run(i) for reading in found]
        rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for group in ("frames", "label_frames"):
            shot = [getattr(reading, group)[i] for reading in found if getattr(reading, group)]
            for key in shot[0].passes if shot else ():
                rows[key] = np.concatenate([one.passes[key] for one in shot])
        for key in found[0].labels:
            tables = [reading.labels[key].run(i) for reading in found]
            at = {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}
            about = [
                str([at[column][at["t"] == t].tolist() for column in at if column not in ("t", "index")])
                for t in rows["t"]
            ]
            rows[f"labels of {key}"] = np.array(about, object)
        runs.append(rows)
    return runs


@cache
def clean(sensor: str) -> list[Rows]:
    return told(sensor, ())


def same(found: Rows, wanted: Rows) -> None:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert len(found[name]) == len(values), name
        if values.dtype.kind == "f" and values.ndim == 1:
            np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=1e-12, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_every_fault_of_every_sensor_has_a_law() -> None:
    assert {*KNOWN} == {*READING, *CHANCE}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("sensor", "kind"), KNOWN)
def test_a_fault_does_what_its_law_says_and_nothing_else(sensor: str, kind: str, plan: str) -> None:
    scenario = truth_for(sensor, LONG.get(sensor, ""))[0]
    about = declares(catalog.find("sensors", sensor)).faults[kind]
    faults = [
        Fault(
            f"fault:{k}", "", kind, onset * scenario.duration, end * scenario.duration, part * about.default,
            ramp * scenario.duration,
        )
        for k, (onset, end, ramp, part) in enumerate(PLANS[plan])
    ]  # fmt: skip
    found = told(sensor, faults)
    if (sensor, kind) in CHANCE:
        CHANCE[sensor, kind](clean(sensor), found, faults)
        return
    moved = False
    for before, after in zip(clean(sensor), found, strict=True):
        wanted = READING[sensor, kind](before, faults)
        same(after, wanted)
        moved |= any(not np.array_equal(before[name], wanted[name]) for name in before)
    assert moved, "a fault that changes nothing says nothing"
