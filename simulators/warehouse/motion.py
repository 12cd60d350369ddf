"""Motion in closed form: pieces of constant acceleration, contact times and least distances of discs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import atan2, cos, hypot, inf, pi, remainder, sin, sqrt

Point = tuple[float, float]
NO_AISLE: tuple[int, int] = (-1, -1)  # not in an aisle


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval [t, end] of constant acceleration along `u`, or of turning on the spot at a constant rate.

    `s`: distance from the trip's beginning at t [m]; `aisle`: (0 along x or 1 along y, number of the aisle).
    """

    t: float
    end: float
    x: float
    y: float
    yaw: float
    u: Point = (0.0, 0.0)
    s: float = 0.0
    v: float = 0.0
    a: float = 0.0
    spin: float = 0.0
    kind: str = "stop"
    aisle: tuple[int, int] = NO_AISLE

    @property
    def moves(self) -> bool:
        """Whether the position changes."""
        return self.v > 0.0 or self.a != 0.0

    def _since(self, t: float) -> float:
        return min(max(t, self.t), self.end) - self.t

    def way(self, t: float) -> float:
        """Return the distance covered since the piece began [m]."""
        tau = self._since(t)
        return (self.v + 0.5 * self.a * tau) * tau if self.moves else 0.0

    def at(self, t: float) -> Point:
        """Return the position [m]."""
        way = self.way(t)
        return self.x + self.u[0] * way, self.y + self.u[1] * way

    def speed(self, t: float) -> float:
        """Return the speed [m/s]."""
        return max(self.v + self.a * self._since(t), 0.0) if self.moves else 0.0

    def heading(self, t: float) -> float:
        """Return the yaw [rad]."""
        return remainder(self.yaw + self.spin * self._since(t), 2 * pi) if self.spin else self.yaw

    def after(self, way: float) -> float:
        """Return the time at which a distance [m] is covered; inf if not in this piece."""
        if way <= 0.0:
            return self.t
        square = self.v * self.v + 2.0 * self.a * way
        if not self.moves or square < 0.0:
            return inf
        t = self.t + 2.0 * way / (self.v + sqrt(square))
        return t if t <= self.end else inf


@dataclass(slots=True, eq=False)
class Body:
    """A disc that follows a plan of pieces. `since`: start of the present plan; `stamp` counts plans.

    A step that was scheduled under an older stamp does nothing. `out`: it is in the aisles, not in a bay or a rack.
    """

    name: str
    radius: float
    pieces: list[Piece] = field(default_factory=list)
    since: float = 0.0
    stamp: int = 0
    out: bool = False
    vehicle: bool = False

    def piece(self, t: float) -> Piece:
        """Return the piece that contains t; the later one at a border."""
        for piece in self.pieces:
            if t < piece.end:
                return piece
        return self.pieces[-1]


@dataclass(frozen=True, slots=True)
class Drive:
    """Parameters of a speed profile: top speed, acceleration, deceleration [m/s, m/s2], turning rate [rad/s]."""

    speed: float
    acceleration: float
    deceleration: float
    turn: float


def trapezoid(way: float, drive: Drive) -> list[tuple[float, float, float]]:
    """Return (duration, initial speed, acceleration) of a trapezoidal speed profile over a distance [m]."""
    a, b = drive.acceleration, drive.deceleration
    top = min(drive.speed, sqrt(2.0 * way * a * b / (a + b)))
    cruise = way - top * top / (2.0 * a) - top * top / (2.0 * b)
    parts = [(top / a, 0.0, a), (cruise / top, top, 0.0), (top / b, top, -b)]
    return [part for part in parts if part[0] > 1e-12]


def plan(
    t: float,
    yaw: float,
    stops: Sequence[Point],
    aisles: Sequence[tuple[int, int]],
    drive: Drive,
    s: float = 0.0,
) -> list[Piece]:
    """Return the pieces of a trip over all stops, with a halt and a turn at each; the last piece stands still."""
    pieces: list[Piece] = []
    for (start, goal), aisle in zip(pairwise(stops), aisles, strict=True):
        dx, dy = goal[0] - start[0], goal[1] - start[1]
        way = hypot(dx, dy)
        if way < 1e-9:
            continue
        heading = atan2(dy, dx)
        angle = remainder(heading - yaw, 2 * pi)
        if abs(angle) > 1e-9:
            end = t + abs(angle) / drive.turn
            spin = drive.turn if angle > 0 else -drive.turn
            pieces.append(Piece(t, end, *start, yaw, s=s, spin=spin, kind="turn", aisle=aisle))
            t = end
        yaw = heading
        u = (float(round(cos(yaw))), float(round(sin(yaw)))) if aisle != NO_AISLE else (dx / way, dy / way)
        done = 0.0
        for duration, v, a in trapezoid(way, drive):
            x, y = start[0] + u[0] * done, start[1] + u[1] * done
            pieces.append(Piece(t, t + duration, x, y, yaw, u, s + done, v, a, kind="drive", aisle=aisle))
            done += (v + 0.5 * a * duration) * duration
            t += duration
        s += way
    pieces.append(Piece(t, inf, *stops[-1], yaw, s=s, aisle=aisles[-1] if aisles else NO_AISLE))
    return pieces


def time_at(pieces: Sequence[Piece], s: float) -> float:
    """Return the time at which a distance from the trip's beginning [m] is reached; inf if the plan ends before."""
    for piece in pieces:
        if piece.moves and s <= piece.s + piece.way(piece.end):
            return min(piece.after(s - piece.s), piece.end)
    return inf


def value(c: Sequence[float], x: float) -> float:
    """Return a polynomial's value; coefficients from the constant one up."""
    total = 0.0
    for k in reversed(c):
        total = total * x + k
    return total


def slope(c: Sequence[float]) -> list[float]:
    """Return a polynomial's derivative."""
    return [k * factor for k, factor in enumerate(c)][1:]


def roots(c: Sequence[float], low: float, high: float) -> list[float]:
    """Return the points in (low, high] at which a polynomial changes sign, ascending.

    Between two neighbouring roots of its derivative it is monotone, so that bisection finds each to the last bit,
    with the same result on every machine.
    """
    while c and c[-1] == 0.0:
        c = c[:-1]
    if len(c) < 2:
        return []
    if len(c) == 2:
        root = -c[0] / c[1]
        return [root] if low < root <= high else []
    found = []
    for p, q in pairwise([low, *roots(slope(c), low, high), high]):
        left, right = p, q
        below = value(c, left) < 0.0
        if (value(c, right) < 0.0) == below:
            continue
        while True:
            middle = 0.5 * (left + right)
            if not left < middle < right:
                break
            if (value(c, middle) < 0.0) == below:
                left = middle
            else:
                right = middle
        found.append(right)
    return found


def square_distance(a: Piece, b: Piece, t: float) -> list[float]:
    """Return the coefficients of the squared distance of two centres as a polynomial of time since t."""
    (ax, ay), (bx, by) = a.at(t), b.at(t)
    va, vb = (a.speed(t) if a.moves else 0.0), (b.speed(t) if b.moves else 0.0)
    c = [0.0] * 5
    for p, v, w in (
        (ax - bx, a.u[0] * va - b.u[0] * vb, 0.5 * (a.u[0] * a.a - b.u[0] * b.a)),
        (ay - by, a.u[1] * va - b.u[1] * vb, 0.5 * (a.u[1] * a.a - b.u[1] * b.a)),
    ):
        c[0] += p * p
        c[1] += 2.0 * p * v
        c[2] += v * v + 2.0 * p * w
        c[3] += 2.0 * v * w
        c[4] += w * w
    return c


def _overlaps(a: Body, b: Body, start: float, end: float) -> Iterator[tuple[float, float, Piece, Piece]]:
    """Yield the intervals of (start, end) in which both bodies stay in one piece each and a vehicle moves."""
    i = j = 0
    t = start
    while t < end and i < len(a.pieces) and j < len(b.pieces):
        p, q = a.pieces[i], b.pieces[j]
        until = min(p.end, q.end, end)
        if until > t:
            if (p.moves and a.vehicle) or (q.moves and b.vehicle):
                yield t, until, p, q
            t = until
        i += p.end <= t
        j += q.end <= t


def _too_far(a: Piece, b: Piece, t: float, until: float, distance: float) -> bool:
    """Return whether the centres certainly stay farther apart than `distance`."""
    (ax, ay), (bx, by) = a.at(t), b.at(t)
    return hypot(ax - bx, ay - by) - a.way(until) + a.way(t) - b.way(until) + b.way(t) > distance


def demands(a: Body, b: Body, start: float, end: float, breaks: Sequence[float] = ()) -> Iterator[tuple[float, float]]:
    """Yield (time, deceleration that would stop a short of b [m/s2]) while b is in a's way in an aisle.

    b crosses or stands; while any part of it is within a's breadth it counts as if it were in the middle. Along one
    piece of a's plan v^2 / (2 gap) is monotone, since v^2 + 2 a gap is constant: it is evaluated at the ends and at
    `breaks`, the times at which the available deceleration changes. inf if a has reached b without touching it.
    """
    reach = a.radius + b.radius
    for t, until, p, q in _overlaps(a, b, start, end):
        if not p.moves or p.aisle == NO_AISLE or p.aisle != q.aisle:
            continue
        (ax, ay), (bx, by) = p.at(t), q.at(t)
        side, drift = (bx - ax) * p.u[1] - (by - ay) * p.u[0], (q.u[0] * p.u[1] - q.u[1] * p.u[0]) * q.v
        first, last = t, until
        if drift != 0.0:
            enters, leaves = sorted(t + (edge - side) / drift for edge in (-reach, reach))
            first, last = max(t, enters), min(until, leaves)
        elif abs(side) >= reach:
            continue
        if first >= last:
            continue
        for when in (first, *(x for x in breaks if first < x < last), last):
            (ax, ay), (bx, by) = p.at(when), q.at(when)
            ahead, v = (bx - ax) * p.u[0] + (by - ay) * p.u[1], p.speed(when)
            if ahead > 0.0 and v > 0.0:
                yield when, v * v / (2.0 * (ahead - reach)) if ahead > reach else inf


def first_contact(a: Body, b: Body, start: float, end: float) -> tuple[float, float]:
    """Return time and closing speed of the first contact of two discs while a vehicle moves; (inf, 0) = never."""
    reach = a.radius + b.radius
    for t, until, p, q in _overlaps(a, b, start, end):
        if _too_far(p, q, t, until, reach):
            continue
        c = square_distance(p, q, t)
        c[0] -= reach * reach
        touching = [0.0] if c[0] <= 0.0 and c[1] < 0.0 else []
        for tau in touching or (roots(c, 0.0, until - t)[:1] if c[0] > 0.0 else []):
            return t + tau, max(-value(slope(c), tau) / (2.0 * reach), 0.0)
    return inf, 0.0


def nearest(a: Body, b: Body, start: float, end: float, least: float = inf) -> float:
    """Return the least distance between two discs' edges while a vehicle moves, or `least` if that is smaller."""
    reach = a.radius + b.radius
    for t, until, p, q in _overlaps(a, b, start, end):
        if _too_far(p, q, t, until, least + reach):
            continue
        c = square_distance(p, q, t)
        for tau in (0.0, until - t, *roots(slope(c), 0.0, until - t)):
            least = min(least, sqrt(max(value(c, tau), 0.0)) - reach)
    return least
