"""Measures, verdict and reason of every run, and labels of faults and collisions."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, inf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.labels import label_row, table_of_rows
from mischance.api.tables import LABELS, AnyArray, BoolArray, Column, FloatArray, Schema, Table

from .events import SIDES, EventLog, H, Row, motion

if TYPE_CHECKING:
    from .actors import Batch, Records

WAYS_OUT = ("braking", "steering", "passing ahead", "rule", "none")
STEERED = 0.5  # lateral deviation from the path that counts as steering [m]

MEASURES: Schema = {
    "ego.contacts": Column("int64", about="how many times the ego touched somebody"),
    "ego.max_brake": Column(unit="m/s2", about="hardest deceleration of the ego before any contact"),
    "ego.max_jerk": Column(
        unit="m/s3", about="largest change of its acceleration between looks 0.05 s apart, before any contact"
    ),
    "min_ttc": Column(
        unit="s",
        role="value",
        about="shortest time to collision of the boxes, 2-D, constant velocities; inf = never on course",
    ),
    "t_min_ttc": Column(unit="s", null=True, about="when that was"),
    "min_gap": Column(
        unit="m",
        role="value",
        about="smallest distance of the boxes; after a contact minus the closing speed times 1 s",
    ),
    "t_min_gap": Column(unit="s", about="when that was"),
    "min_thw": Column(unit="s", about="shortest headway, bumper gap / ego speed, behind somebody in the ego's path"),
    "max_drac": Column(unit="m/s2", about="largest deceleration needed behind somebody in the ego's path"),
    "max_btn": Column(
        about="largest brake threat number: deceleration needed / what brakes and grip give; no limit before a contact"
    ),
    "t_max_btn": Column(unit="s", null=True, about="when that was"),
    "max_btn_behind": Column(
        about="largest brake threat number of whoever follows in the ego's path: what it needed / what its brakes and"
        " grip give; no limit before a contact"
    ),
    "max_stn": Column(
        about="largest steer threat number: sideways acceleration needed / grip; 0 = never on course; no limit likewise"
    ),
    "t_max_stn": Column(unit="s", null=True, about="when that was"),
    "contact_time": Column(unit="s", null=True, about="when the ego was first touched"),
    "contact_speed": Column(
        unit="m/s", role="value", about="closing speed along the normal at the ego's first contact; 0 = none"
    ),
    "delta_v": Column(unit="m/s", role="value", about="change of the ego's velocity in its first contact"),
    "other.delta_v": Column(unit="m/s", about="change of the other one's velocity in that contact"),
    "impulse": Column(unit="N s", about="impulse exchanged in that contact"),
    "energy_lost": Column(unit="J", about="kinetic energy lost in that contact"),
    "pdof": Column(
        unit="rad", null=True, about="where the force on the ego came from: 0 = ahead, positive = from the left"
    ),
    "max_tilt": Column(
        unit="rad", about="farthest that anybody leaned against upright, in a window of three dimensions; else 0"
    ),
    "avoided_by": Column(
        "category",
        names=WAYS_OUT,
        about="what kept the ego out of a contact: it braked with 1 m/s2 or more, its agent steered it 0.5 m off its"
        " path, it passed ahead of who then came into its path, or nothing of these: it saw no danger; none = contact",
    ),
    "impact_side": Column("category", names=SIDES, about="side of the ego that was touched first"),
}

OUTCOME: Schema = {
    **MEASURES,
    "event": Column("bool"),
    "margin": Column(unit="m"),
    "verdict": Column("text"),
    "reason": Column("text"),
}


def outcome(batch: Batch, logs: Sequence[EventLog], ends: FloatArray) -> Table:
    """Return one row per run: measures, event (the ego was touched), margin, verdict and reason."""
    runs, n = batch.runs, len(batch.runs)
    first = [next((hit for hit in log.hits if _mine(hit, batch.ego)), None) for log in logs]
    hit = np.array([one is not None for one in first])
    closing = np.array([0.0 if one is None else one[H["closing"]] for one in first])
    mine = np.array([_numbers(one, batch.ego) for one in first]).reshape(n, 6)
    gap = np.where(hit, -closing, runs["min_gap"])
    time = np.array([np.nan if one is None else one[H["t"]] for one in first])
    columns: dict[str, Any] = {
        "ego.contacts": np.array(
            [sum(not one[H["again"]] for one in log.hits if _mine(one, batch.ego)) for log in logs], np.int64
        ),
        "ego.max_brake": runs["max_brake"],
        "ego.max_jerk": runs["max_jerk"],
        "min_ttc": np.where(hit, 0.0, runs["min_ttc"]),
        "t_min_ttc": np.where(hit, time, runs["t_ttc"]),
        "min_gap": gap,
        "t_min_gap": np.where(hit, time, runs["t_gap"]),
        "min_thw": runs["min_thw"],
        "max_drac": runs["max_drac"],
        "max_btn": runs["max_btn"],
        "t_max_btn": runs["t_btn"],
        "max_btn_behind": runs["max_behind"],
        "max_stn": runs["max_stn"],
        "t_max_stn": runs["t_stn"],
        "contact_time": time,
        "contact_speed": closing,
        "delta_v": mine[:, 0],
        "other.delta_v": mine[:, 1],
        "impulse": mine[:, 2],
        "energy_lost": mine[:, 3],
        "pdof": mine[:, 4],
        "max_tilt": runs["max_tilt"],
        "avoided_by": _way_out(runs, hit),
        "impact_side": mine[:, 5].astype(np.int32),
        "event": hit,
        "margin": gap,
        "verdict": np.array(["contact" if one else "no contact" for one in hit], object),
        "reason": np.array(
            [
                _reason(batch, runs[i], log, first[i], float(ends[i]), batch.cars["t_react"][i].tolist())
                for i, log in enumerate(logs)
            ],
            object,
        ),
    }  # fmt: skip
    columns = {name: np.ascontiguousarray(columns[name]) for name in OUTCOME}
    return Table(OUTCOME, columns, np.arange(n + 1, dtype=np.int64))


def _way_out(runs: Records, hit: BoolArray) -> AnyArray:
    """Return for each ego the code of how it avoided a contact; (runs,).

    Passing ahead has priority: an ego that brakes and yet passes first was not saved by its brakes.
    """
    ways = [hit, runs["passed"] == 1, runs["max_brake"] >= 1.0, runs["max_aside"] >= STEERED]
    codes = [WAYS_OUT.index(way) for way in ("none", "passing ahead", "braking", "steering")]
    return np.select(ways, codes, WAYS_OUT.index("rule")).astype(np.int32)


def _mine(hit: Row, ego: int) -> bool:
    return ego in (hit[H["a"]], hit[H["b"]])


def _numbers(hit: Row | None, ego: int) -> tuple[float, ...]:
    """Return delta-v of the ego and of the other, impulse, energy lost, direction of force and side of the ego."""
    if hit is None:
        return 0.0, 0.0, 0.0, 0.0, np.nan, -1.0
    a = hypot(hit[H["dvax"]], hit[H["dvay"]])
    b = hypot(hit[H["dvbx"]], hit[H["dvby"]])
    common = (hypot(hit[H["jx"]], hit[H["jy"]]), hit[H["lost"]])
    if hit[H["a"]] == ego:
        return a, b, *common, hit[H["force_a"]], float(hit[H["side_a"]])
    return b, a, *common, hit[H["force_b"]], float(hit[H["side_b"]])


def _ego_and(ego: int, run: Any) -> tuple[int, int]:
    """Return the ego and the actor that came most critical to it, or else the nearest."""
    return ego, int(run["worst"] if run["worst"] >= 0 else run["nearest"])


def _reason(batch: Batch, run: Any, log: EventLog, hit: Row | None, end: float, reacted: Sequence[float]) -> str:
    """Return the reason as text: cause, response of the ego, and result."""
    ego = batch.names[batch.ego]
    # causes are those before the first contact, or before the most critical time
    worst = [float(run[name]) for name in ("t_btn", "t_stn") if not isnan(run[name])]
    when = log.hits[0][H["t"]] if log.hits else max(worst, default=float(run["t_gap"]))
    came = log.came(hit)
    if hit is None and run["worst"] >= 0 and (run["max_brake"] >= 1.0 or run["max_btn"] >= 0.5):
        velocity = float(run["worst_vx"]), float(run["worst_vy"])
        came = motion(batch.names[run["worst"]], velocity, float(run["worst_yaw"]))
    astray = _astray(run, ego, when)
    if astray and (run["max_off"] > STEERED or not came):
        came = astray
    pair = _ego_and(batch.ego, run) if hit is None else (int(hit[H["a"]]), int(hit[H["b"]]))
    blame = log.cause(hit) if hit is not None else log.chain(pair, min(when, end), dict(enumerate(reacted)))
    moved = log.moved(hit) if hit is not None else {int(run["worst"]): float(run["worst_moved"])}
    stood = log.stood(pair, hit[H["t"]] if hit is not None else min(when, end), moved)
    if hit is not None and blame is None and stood and came != astray:
        came = f"{batch.names[pair[0] if pair[1] == batch.ego else pair[1]]} stood in the way"
    why = log.why(blame, pair, min(when, end), came, stood)
    if astray and astray not in why:
        why += f"; {astray}"
    if run["max_brake"] < 1.0 or isnan(run["t_brake"]):
        braked = f"{ego} did not brake"
    else:
        braked = f"{ego} braked from {run['t_brake']:.2f} s with up to {run['max_brake']:.1f} m/s2"
    short = ""
    if run["t_late"] == run["t_late"]:  # not NaN
        need, had, mu = run["late_need"], run["late_had"], run["late_mu"]
        what = f"friction {mu:.2f}" if had >= 9.8 * mu else "its brakes"
        short = f"; brake demand {need:.1f} m/s2 exceeded the {had:.1f} of {what} from {run['t_late']:.2f} s on"
    if hit is not None:
        swap = hit[H["b"]] == batch.ego
        other = batch.names[hit[H["a"]] if swap else hit[H["b"]]]
        own, theirs = ("b", "a") if swap else ("a", "b")
        sides = SIDES[hit[H[f"side_{own}"]]], SIDES[hit[H[f"side_{theirs}"]]]
        delta = hypot(hit[H[f"dv{own}x"]], hit[H[f"dv{own}y"]])
        how = f"closing at {hit[H['closing']]:.1f} m/s, delta-v {delta:.1f} m/s"
        where = f"{sides[0]} of {ego} met {sides[1]} of {other} at {hit[H['t']]:.3f} s"
        rolled = "".join(f"; {batch.names[i]} rolled over" for i in log.rolled)
        return f"collision: {why}; {braked}; {where}, {how}{short}{rolled}"
    if run["nearest"] < 0:
        return "no contact: nobody else was there"
    ttc = "never on a collision course"
    if run["min_ttc"] < inf:
        ttc = f"shortest time to collision {run['min_ttc']:.2f} s at {run['t_ttc']:.2f} s"
    nearest = batch.names[run["nearest"]]
    closest = f"closest {run['min_gap']:.2f} m to {nearest} at {run['t_gap']:.2f} s"
    return f"no contact: {why}; {braked}; {closest}, {ttc}{short}"


def _astray(run: Any, ego: str, when: float) -> str:
    """Return why the ego had left its path by `when` [s]: ice, or a bend too fast; '' if there is no cause."""
    left = f" and left its path by {run['max_off']:.1f} m" if run["max_off"] > STEERED else ""
    if run["slick"] < 0.95 * run["friction"] and run["t_slick"] < when:
        return f"{ego} came onto friction {run['slick']:.2f} at {run['t_slick']:.2f} s{left}"
    if run["side_need"] > 0.0 and left and run["t_side"] <= when:
        need, had = run["side_need"], run["side_had"]
        return f"{ego} was too fast for the bend at {run['t_side']:.2f} s ({need:.1f} m/s2 sideways of {had:.1f}){left}"
    steered = run["max_aside"] > STEERED
    return f"{ego} left its path by {run['max_off']:.1f} m" if left and not steered else ""


# -- labels ------------------------------------------------------------------------------------------------------------


def labels(logs: Sequence[EventLog], names: Sequence[str]) -> Table:
    """Return a label for each fault of plant and road, and one for each collision."""
    rows: list[list[tuple[Any, ...]]] = []
    for log in logs:
        found = []
        numbers: dict[str, int] = {}
        for fault in log.faults:
            number = numbers.setdefault(fault.target, 0)
            numbers[fault.target] += 1
            part = fault.target.rpartition(".")[2]
            found.append(label_row(
                f"{fault.target}:{number}", f"fault/{part}/{fault.kind}", fault.target, cause=fault.onset,
                end=fault.end, severity=fault.severity, causes=[fault.fault_id], role="fault",
            ))  # fmt: skip
        fresh = [(n, hit) for n, hit in enumerate(log.hits) if not hit[H["again"]]]
        for number, (n, hit) in enumerate(fresh):
            blame = log.cause(hit)
            found.append(label_row(
                f"contact:{number}", "event/collision", names[int(hit[H["a"]])], cause=hit[0], end=hit[0],
                severity=hypot(hit[H["dvax"]], hit[H["dvay"]]),
                causes=[log.contact_ids[n], *([blame.event_id] if blame else [])], role="event",
            ))  # fmt: skip
        found.sort(key=lambda row: (row[3], row[0]))
        rows.append(found)
    return table_of_rows(LABELS, rows)


def new_records(books: Records, counts: Sequence[int], since: Sequence[int]) -> list[list[Row]]:
    """Return each run's records from `since` to `counts`, as plain tuples."""
    return [books[r, a:b].tolist() if b > a else [] for r, (a, b) in enumerate(zip(since, counts, strict=True))]
