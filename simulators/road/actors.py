"""Initial records of a batch: road, actors, paths, manoeuvres and faults, from the settings of every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from math import atan2, cos, inf, nan, pi, sin
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mischance.api.geometry import GOES_ON, Piece, advanced, chained, place
from mischance.errors import RunError

from .kinds import KINDS
from .manoeuvres import Accelerate, Brake, ChangeLane, Cross, DartOut, Follow, Manoeuvre, RunRedLight, Turn, When
from .settings import Actor, Settings
from .state import (
    ACCELERATE,
    AT_AFTER,
    AT_ARRIVE,
    AT_DISTANCE,
    AT_HEADWAY,
    AT_STATION,
    AT_TIME,
    AT_TTC,
    AUTO,
    BLOW_OUT,
    BRAKE,
    CAR,
    CHANGE_LANE,
    CROSS,
    DELAY,
    FADE,
    FAULT,
    FIXED,
    FOLLOW,
    FRICTION,
    MOVE,
    OFFSET,
    ONLY_DYNAMIC,
    ONLY_KINEMATIC,
    PATCH,
    PIECE,
    QUEUE,
    RED_LIGHT,
    RUN,
    SEGMENTS,
    SIDE,
    SIDES,
    SPOT,
    STUCK,
    TURN,
    WAYS,
)

if TYPE_CHECKING:
    from mischance.api.runs import Draw, Fault

Records = NDArray[np.void]
Line = list[Piece]

FAULTS = {
    "brakes": {"fade": FADE},
    "steering": {"stuck": STUCK, "offset": OFFSET},
    "tyre": {"blow_out": BLOW_OUT},
    "actuator": {"delay": DELAY},
    "road": {"friction": FRICTION},
}
MODELS = {"auto": AUTO, "kinematic": ONLY_KINEMATIC, "dynamic": ONLY_DYNAMIC}
BEYOND = 2000.0  # of the last straight piece that oncoming traffic may start on [m]


@dataclass(slots=True)
class Batch:
    """The records of a batch of runs; the leading axis is the run."""

    names: tuple[str, ...]
    ego: int
    runs: Records
    cars: Records
    paths: Records
    moves: Records
    faults: Records
    queue: NDArray[np.float64]
    road: Records
    pieces: int
    patches: Records
    spots: Records
    sides: Records
    plans: list[list[Manoeuvre]]  # of each run, in the order of the records


def build_batch(draws: Sequence[Draw], settings: Sequence[Settings]) -> Batch:
    """Return the records of every run.

    Raises:
        RunError: a fault does not fit its target, or the runs' actors differ.
    """
    names = tuple(settings[0].actors)
    n, actors = len(draws), len(names)
    plans = [[move for actor in one.actors.values() for move in actor.behaviour] for one in settings]
    own = [draw.of_world().faults for draw in draws]
    most = max(map(len, plans))
    found = Batch(
        names, names.index("ego"),
        runs=np.zeros(n, RUN),
        cars=np.zeros((n, actors), CAR),
        paths=np.zeros((n, actors, SEGMENTS), PIECE),
        moves=np.zeros((n, most), MOVE),
        faults=np.zeros((n, max(map(len, own))), FAULT),
        queue=np.zeros((n, actors, QUEUE, 4)),
        road=np.zeros((n, SEGMENTS), PIECE),
        pieces=len(settings[0].road.line) + 1,
        patches=np.zeros((n, len(settings[0].road.patches)), PATCH),
        spots=np.zeros((n, max(len(one.impact.table()) for one in settings)), SPOT),
        sides=np.zeros((n, SIDES), SIDE),
        plans=plans,
    )  # fmt: skip
    found.moves["at"], found.moves["kind"] = inf, -1
    found.faults["onset"], found.faults["kind"] = inf, -1
    for r, (draw, one) in enumerate(zip(draws, settings, strict=True)):
        _alike(draw, one, settings[0])
        _run(found, r, one)
        _faults(found, r, draw, own[r])
    return found


def _alike(draw: Draw, one: Settings, first: Settings) -> None:
    """Check that runs that are played together have the same actors, clock and road pieces."""
    same = tuple(one.actors) == tuple(first.actors) and one.rate == first.rate and one.motion == first.motion
    roads = len(one.road.line) == len(first.road.line) and len(one.road.patches) == len(first.road.patches)
    if not (same and roads and one.impact.model == first.impact.model):
        raise RunError(
            f"run {draw.run}: its actors, rate, road pieces or impact model differ from those of other runs",
            "vary numbers; the actors must be the same in all runs",
        )


# -- one run -----------------------------------------------------------------------------------------------------------


def _run(found: Batch, r: int, settings: Settings) -> None:
    line = main_line(settings)
    _write(found.road[r], line)
    for n, patch in enumerate(settings.road.patches):
        found.patches[r, n] = (patch.start, patch.end, patch.right, patch.left, patch.friction)
    for n, (name, crossing) in enumerate(settings.road.crossings.items()):
        (edge,) = crossing_line(settings, name, line)
        width = crossing.lanes * crossing.lane_width
        found.sides[r, n] = (edge.x, edge.y, edge.cosine, edge.sine, width, crossing.reach, crossing.kerb)
    table = settings.impact.table()
    found.spots[r] = (inf, table[-1][1])
    found.spots[r, : len(table)] = list(table)
    run = found.runs[r]
    run["friction"], run["settle"], run["impact_friction"] = (
        settings.friction,
        settings.settle,
        settings.impact.friction,
    )
    run["first_contact"] = run["min_gap"] = run["min_ttc"] = run["min_thw"] = inf
    run["t_ttc"] = run["t_thw"] = run["t_drac"] = run["t_btn"] = run["t_stn"] = run["t_brake"] = nan
    run["t_late"] = nan
    run["lanes"], run["lane_width"] = settings.road.lanes, settings.road.lane_width
    run["nearest"], run["fresh"], run["bullet"] = -1, 1, settings.impact.model != "analytic"
    run["worst"] = -1
    run["t_threat"] = run["t_danger"] = -inf
    run["window"] = settings.impact.model == "window"
    ego = settings.actors["ego"]
    ego_y = settings.road.centre(ego.lane) + ego.offset
    number = 0
    for i, (name, actor) in enumerate(settings.actors.items()):
        number = _actor(found, r, i, name, actor, settings, line, ego_y, number)


def _actor(
    found: Batch, r: int, i: int, name: str, actor: Actor, settings: Settings, line: Line, ego_y: float, number: int
) -> int:
    """Write the records of one actor and its manoeuvres; return the number of the next manoeuvre."""
    length, width, height, wheelbase, mass = actor.sizes()
    kind = KINDS[actor.body]
    lanes_width = settings.lanes_of(actor)[1]
    y = (actor.lane - 0.5) * lanes_width + actor.offset
    own_line = line if actor.road is None else crossing_line(settings, actor.road, line)
    first = actor.behaviour[0] if actor.behaviour else None
    side = 1.0 if y < ego_y or actor.road is not None else -1.0
    turned = actor.heading
    if isinstance(first, Cross | DartOut) and actor.speed == 0.0:
        turned = side * first.angle
    s = _station(name, actor, settings, line, y, length, width, turned)
    sign = -1.0 if actor.oncoming else 1.0
    x, y_world, heading = place(own_line, s, y)
    road_heading = heading
    total = own_line[-1].s + BEYOND
    if actor.oncoming:
        heading += pi
        own_line = _reversed(own_line)
    rear = (1.0 - actor.balance) * wheelbase * (-1.0 if actor.reverse else 1.0)  # from the centre to the unsteered axle
    sign_y = sign * y
    planned = _planned_turn(actor, own_line, rear, sign_y)
    if planned is not None:
        own_line, sign_y = planned, 0.0
    path = found.paths[r, i]
    _write(path, own_line)
    fixed = kind.way == "fixed"
    inertia = mass * (length * length + width * width) / 12.0
    yaw = heading + turned
    jerk = kind.jerk if actor.jerk is None else actor.jerk
    values = {
        "x": x, "y": y_world, "yaw": yaw, "cosine": cos(yaw), "sine": sin(yaw),
        "speed": actor.speed, "vx": actor.speed * cos(yaw),
        "vy": actor.speed * sin(yaw), "vlon": actor.speed, "cruise": actor.speed, "stop": inf,
        "mu": settings.friction, "brake_left": 1.0, "late": actor.delay, "delay": actor.delay,
        "half_l": 0.5 * length, "half_w": 0.5 * width, "height": height, "wheelbase": wheelbase,
        "lf": wheelbase - rear, "lr": rear, "mass": mass,
        "inv_mass": 0.0 if fixed else 1.0 / mass, "inertia": inertia, "inv_inertia": 0.0 if fixed else 1.0 / inertia,
        "yaw_inertia": actor.inertia or inertia, "brakes": actor.brakes or kind.brakes,
        "drive": actor.drive or kind.drive, "jerk": jerk, "most_steer": kind.steer,
        "steer_rate": actor.steer_rate, "cornering": actor.cornering, "high": actor.mass_height or kind.gravity_centre,
        "d_home": sign_y, "way": WAYS[kind.way], "face": -1 if actor.reverse else 1,
        "model": ONLY_KINEMATIC if actor.reverse else MODELS[actor.model],
        "z": 0.5 * height, "qz": sin(0.5 * yaw), "qw": cos(0.5 * yaw),
        "mode": FIXED if fixed else WAYS["rails"], "pedal_move": -1, "follow": -1, "pieces": len(own_line),
    }  # fmt: skip
    found.cars[r, i] = tuple(map(values.get, CAR.names or (), repeat(0)))
    for move in actor.behaviour:
        values = _move(move, i, sign, lanes_width, road_heading + side * _angle(move), found.names, settings)
        if actor.oncoming and values.get("trigger") == AT_STATION:
            values["value"] = total - values["value"]  # its path starts at the far end
        if planned is not None and isinstance(move, Turn):
            values["planned"], planned = 1, None
        found.moves[r, number] = tuple(map(values.get, MOVE.names or (), repeat(0)))
        number += 1
    return number


def _planned_turn(actor: Actor, line: Line, rear: float, y: float) -> Line | None:
    """Return the path with the turn, if it is known from the start; so others and agents see it in advance.

    This is so for the first turn of an actor that keeps its lane until a station on a straight piece.
    """
    if any(isinstance(move, ChangeLane | Cross | DartOut) for move in actor.behaviour) or actor.oncoming:
        return None
    turn = next((move for move in actor.behaviour if isinstance(move, Turn)), None)
    when = turn.when if turn is not None else None
    if turn is None or when is None or when.station is None or when.delay > 0.0 or len(line) > 1:
        return None
    x, yy, heading = place(line, 0.0, y)
    bend = (1.0 if turn.angle >= 0.0 else -1.0) / turn.radius
    return chained([(when.station - rear, 0.0), (abs(turn.angle) * turn.radius, bend), (GOES_ON, 0.0)], x, yy, heading)


def _angle(move: Manoeuvre) -> float:
    return move.angle if isinstance(move, Cross | DartOut) else 0.0


def _move(
    move: Manoeuvre, actor: int, sign: float, lane_width: float, heading: float, names: tuple[str, ...],
    settings: Settings,
) -> dict[str, float]:  # fmt: skip
    """Return the fields of a manoeuvre's record."""
    values: dict[str, float] = {"at": move.at, "armed": nan, "actor": actor, "after": -1, "who": -1}
    if move.when is not None:
        values |= _when(move.when, names, settings)
    if isinstance(move, ChangeLane):
        lane = (move.to - 0.5) * lane_width + move.offset
        values |= {"kind": CHANGE_LANE, "takes": move.takes, "d_to": sign * lane, "lane": move.to}
    elif isinstance(move, Brake):
        values |= {"kind": BRAKE, "a": -move.deceleration, "to": move.to}
    elif isinstance(move, Accelerate):
        values |= {"kind": ACCELERATE, "a": move.acceleration, "to": move.to}
    elif isinstance(move, Follow):
        values |= {
            "kind": FOLLOW, "headway": move.headway, "gap": move.gap, "a": move.acceleration, "comfort": move.comfort,
        }  # fmt: skip
    elif isinstance(move, Cross | DartOut):
        values |= {"kind": CROSS, "a": move.acceleration, "to": move.speed, "heading": heading}
        values["stop_after"] = move.stop_after or 0.0
    elif isinstance(move, Turn):
        values |= {"kind": TURN, "angle": move.angle, "radius": move.radius, "speed": move.speed or 0.0}
    elif isinstance(move, RunRedLight):
        values["kind"] = RED_LIGHT
    return values


def _when(when: When, names: tuple[str, ...], settings: Settings) -> dict[str, float]:
    """Return the fields of a condition."""
    if when.after is not None:
        before = names.index(when.after)
        number = sum(len(settings.actors[name].behaviour) for name in names[:before]) + when.number
        return {"trigger": AT_AFTER, "after": number, "delay": when.delay}
    given = {"delay": when.delay, "who": names.index(when.to)}
    for trigger, value in (
        (AT_DISTANCE, when.distance),
        (AT_TTC, when.ttc),
        (AT_HEADWAY, when.headway),
        (AT_STATION, when.station),
        (AT_ARRIVE, when.arrive),
    ):
        if value is not None:
            return given | {"trigger": trigger, "value": value}
    return {"trigger": AT_TIME}


def _station(
    name: str, actor: Actor, settings: Settings, line: Line, y: float, length: float, width: float, turned: float
) -> float:
    """Return the station of an actor along its road [m]; that of the ego is 0 by default.

    A gap, and what the two drive until it holds, lie along their lanes, not along the line of the road; the gap along
    the lane of the one behind.
    """
    ego = settings.actors["ego"]
    if name == "ego" or actor.station is not None:
        return actor.station or 0.0
    ego_y = settings.road.centre(ego.lane) + ego.offset
    half = 0.5 * abs(cos(turned)) * length + 0.5 * abs(sin(turned)) * width
    apart = 0.5 * ego.sizes()[0] + half
    far = actor.gap + apart if actor.gap >= 0.0 else actor.gap - apart
    s = advanced(line, ego.station or 0.0, ego_y, ego.speed * actor.gap_at)
    s = advanced(line, s, ego_y if far >= 0.0 else y, far)
    return advanced(line, s, y, (actor.speed if actor.oncoming else -actor.speed) * actor.gap_at)


def overlapping(found: Batch, draws: Sequence[Draw]) -> tuple[str, ...]:
    """Return which actors of a run overlap at the start, and what to do; () where none do."""
    from .boxes import separation

    cars = found.cars
    for i in range(len(found.names)):
        for k in range(i + 1, len(found.names)):
            a, b = cars[:, i], cars[:, k]
            near = np.hypot(b["x"] - a["x"], b["y"] - a["y"]) <= (
                np.hypot(a["half_l"], a["half_w"]) + np.hypot(b["half_l"], b["half_w"])
            )
            for r in np.flatnonzero(near):
                box_a, box_b = (
                    [float(car[r][field]) for field in ("x", "y", "yaw", "half_l", "half_w")] for car in (a, b)
                )
                if separation(*box_a, *box_b)[0] <= 0.0:
                    both = f"{found.names[i]} and {found.names[k]}"
                    return (
                        f"run {draws[int(r)].run}: {both} overlap at the start, t = 0 s",
                        "give them a larger `gap`, a smaller `gap_at` or other lanes",
                    )
    return ()


# -- lines -------------------------------------------------------------------------------------------------------------


def main_line(settings: Settings) -> Line:
    """Return the pieces of the main road's right edge; it starts in the origin along +x and ends straight."""
    pieces = [(piece.length, 0.0 if piece.radius is None else 1.0 / piece.radius) for piece in settings.road.line]
    return chained([*pieces, (GOES_ON, 0.0)])


def crossing_line(settings: Settings, name: str, line: Line) -> Line:
    """Return the right edge of a crossing road; way 0 is where the middles of the two roads cross."""
    crossing = settings.road.crossings[name]
    x, y, heading = place(line, crossing.at, 0.5 * settings.road.lanes * settings.road.lane_width)
    heading += crossing.angle
    half = 0.5 * crossing.lanes * crossing.lane_width
    return [Piece.at(x + half * sin(heading), y - half * cos(heading), heading)]


def _write(path: Records, line: Line) -> None:
    path[: len(line)] = line


def _reversed(line: Line) -> Line:
    """Return a line as oncoming traffic follows it."""
    way, back = 0.0, []
    for n, piece in enumerate(reversed(line)):
        long = BEYOND if n == 0 else piece.length
        x, y, heading = place([piece], piece.s + long, 0.0)
        turned = heading + pi
        length = GOES_ON if n == len(line) - 1 else long
        back.append(Piece.at(x, y, atan2(sin(turned), cos(turned)), way, length, -piece.curvature))
        way += long
    return back


# -- faults ------------------------------------------------------------------------------------------------------------


def _faults(found: Batch, r: int, draw: Draw, own: Sequence[Fault]) -> None:
    for n, fault in enumerate(sorted(own, key=lambda fault: (fault.onset, fault.fault_id))):
        actor, _, part = fault.target.rpartition(".")
        kinds = FAULTS.get(part, {})
        if fault.kind not in kinds or (part == "road") != (actor == "") or (actor and actor not in found.names):
            fits = "; ".join(
                f"{'' if part == 'road' else '<actor>.'}{part}: {', '.join(kinds)}" for part, kinds in FAULTS.items()
            )
            raise RunError(f"run {draw.run}: '{fault.target}' has no fault '{fault.kind}'", f"known: {fits}")
        number = found.names.index(actor) if actor else -1
        found.faults[r, n] = (fault.onset, fault.end, fault.severity, fault.ramp, number, kinds[fault.kind])
