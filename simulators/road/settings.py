"""Settings of the road world: road, actors, impacts."""

from __future__ import annotations

from itertools import pairwise
from math import sin
from typing import Literal, Self

from pydantic import Field, model_validator

from mischance.units import Acceleration, Angle, AngularRate, Frequency, Jerk, Length, Mass, Ratio, Speed, Time

from .kinds import KINDS
from .manoeuvres import ChangeLane, Cross, DartOut, Manoeuvre, Part, Word

# -- the road ----------------------------------------------------------------------------------------------------------


class Piece(Part):
    """A piece of a road's line: straight, or an arc if it has a radius."""

    length: Length = Field(gt=0, le=10_000, description="length along the line [m]")
    radius: Length | None = Field(
        None, description="radius of the arc; positive turns left; straight where not given [m]"
    )

    @model_validator(mode="after")
    def _wide(self) -> Self:
        if self.radius is not None and abs(self.radius) < 15:
            raise ValueError("a road's radius is at least 15 m")
        return self


class Patch(Part):
    """A section of the main road with a friction of its own."""

    start: Length = Field(description="where it begins along the road [m]")
    end: Length = Field(description="where it ends [m]")
    friction: Ratio = Field(gt=0, le=2, description="friction of tyre and road there: ice about 0.1; unverified")
    right: Length = Field(-100.0, description="its right border, measured like y on a straight road [m]")
    left: Length = Field(100.0, description="its left border [m]")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.start < self.end and self.right < self.left):
            raise ValueError("a patch ends behind its start, and its left border lies left of its right one")
        return self


class Crossing(Part):
    """Another road that crosses the main one; its lanes are numbered from its own right."""

    at: Length = Field(description="where it crosses, along the main road [m]")
    angle: Angle = Field(1.5707963267948966, description="its direction against the main road's; positive = left [rad]")
    lanes: int = Field(2, ge=1, le=8, description="number of lanes")
    lane_width: Length = Field(3.5, ge=2, le=6, description="width of a lane [m]")
    reach: Length = Field(80.0, ge=10, le=2000, description="length that is drawn to either side [m]")
    kerb: Length = Field(4.0, ge=0, le=50, description="radius of the kerb at its corners with the main road [m]")

    @model_validator(mode="after")
    def _crosses(self) -> Self:
        if abs(sin(self.angle)) < 0.25:
            raise ValueError("a crossing road goes across the main one, at 15 degrees or more")
        return self


class Lanes(Part):
    """The main road. Lanes are numbered from the right, 1 is the rightmost; traffic drives along +x at its start."""

    lanes: int = Field(default=3, ge=1, le=8, description="number of lanes")
    lane_width: Length = Field(default=3.5, ge=2, le=6, description="width of a lane [m]")
    length: Length = Field(
        default=600.0, ge=50, le=5000, description="length of road that is drawn ahead of the start [m]"
    )
    line: tuple[Piece, ...] = Field(
        default=(), max_length=6, description="pieces of the right edge's line from the start on; straight after them"
    )
    patches: tuple[Patch, ...] = Field(default=(), max_length=8, description="stretches with another friction")
    crossings: dict[Word, Crossing] = Field(default={}, max_length=4, description="other roads, by name")

    @model_validator(mode="after")
    def _drivable(self) -> Self:
        width = self.lanes * self.lane_width
        for piece in self.line:
            if piece.radius is None:
                continue
            # lanes lie to the left of the line: in a left bend they are on its inside
            if 0.0 < piece.radius < width + 5.0:
                raise ValueError(
                    f"{self.lanes} lanes do not fit inside a bend to the left of radius {piece.radius:g} m:"
                    f" it takes {width + 5.0:g} m"
                )
            if piece.length > 6.0 * abs(piece.radius):
                raise ValueError(f"a bend of radius {piece.radius:g} m and length {piece.length:g} m runs into itself")
        return self

    def centre(self, lane: int) -> float:
        """Return y of the centre of a lane [m]; y = 0 is the right edge of the road."""
        return (lane - 0.5) * self.lane_width


# -- actors ------------------------------------------------------------------------------------------------------------


SIZES = ", ".join(f"{name} {kind.length:g} x {kind.width:g} m" for name, kind in KINDS.items())


class Actor(Part):
    """A road user or an object. Omitted keys take the defaults of its `body`."""

    body: Literal[
        "car",
        "van",
        "truck",
        "bus",
        "motorcycle",
        "cyclist",
        "pedestrian",
        "child",
        "animal",
        "debris",
        "occluder",
    ] = Field("car", description=f"what it is; the category of its labels. Length x width where not given: {SIZES}")
    speed: Speed = Field(ge=0, le=100, description="speed at the start [m/s]")
    road: Word | None = Field(None, description="the crossing road that it is on; the main road where not given")
    lane: int = Field(1, ge=1, description="lane at the start, counted from the right")
    offset: Length = Field(0.0, ge=-100, le=100, description="to the left of the lane's middle [m]")
    oncoming: bool = Field(False, description="drives against the road's direction")
    reverse: bool = Field(False, description="goes backwards: its rear is ahead, in its direction of travel")
    heading: Angle = Field(
        0.0, description="heading against its direction of travel at the start; positive = left [rad]"
    )
    gap: Length = Field(
        30.0,
        description="gap to the ego along the lane, bumper to bumper; negative = behind it; the ego ignores it [m]",
    )
    gap_at: Time = Field(0.0, ge=0, description="when that gap holds, if both keep their speeds until then [s]")
    station: Length | None = Field(
        None, description="where its centre is along its road at the start, instead of `gap`; 0 = start or crossing [m]"
    )
    behaviour: tuple[Manoeuvre, ...] = Field((), max_length=12, description="what it does of itself")
    model: Literal["auto", "kinematic", "dynamic"] = Field(
        "auto", description="single-track model; auto = dynamic where more than half of the grip is asked sideways"
    )
    length: Length | None = Field(None, gt=0, le=30, description="length over all [m]")
    width: Length | None = Field(None, gt=0, le=5, description="width over all [m]")
    height: Length | None = Field(None, gt=0, le=5, description="height over all [m]")
    wheelbase: Length | None = Field(None, gt=0, le=20, description="distance of the axles [m]")
    balance: Ratio = Field(
        0.5, ge=0.3, le=0.7, description="distance of the centre of mass from the front axle / wheelbase"
    )
    mass: Mass | None = Field(None, ge=0.1, le=80000, description="mass with load [kg]")
    mass_height: Length | None = Field(None, gt=0, le=3, description="height of the centre of mass above the road [m]")
    inertia: float | None = Field(None, gt=0, description="yaw inertia until contact; a box's where not given [kg m2]")
    brakes: Acceleration | None = Field(
        None, gt=0, le=15, description="deceleration that its brakes can give on any grip [m/s2]"
    )
    drive: Acceleration | None = Field(None, gt=0, le=15, description="acceleration that its engine can give [m/s2]")
    jerk: Jerk | None = Field(None, ge=0, description="build-up of braking and drive; 0 = at once [m/s3]")
    delay: Time = Field(0.0, ge=0, le=2, description="dead time of pedals and steering wheel [s]")
    steer_rate: AngularRate = Field(
        0.8, gt=0, le=20, description="fastest turn of the front wheels [rad/s]; unverified"
    )
    cornering: float = Field(
        20.9, gt=1, le=100, description="cornering stiffness / (friction x wheel load) [1/rad]"
    )  # commonroad-vehicle-models: 20.898, from the Pacejka coefficients of its passenger cars

    def sizes(self) -> tuple[float, float, float, float, float]:
        """Return length, width, height, wheelbase [m] and mass [kg]."""
        kind = KINDS[self.body]
        return (
            self.length or kind.length,
            self.width or kind.width,
            self.height or kind.height,
            self.wheelbase or kind.wheelbase,
            self.mass or kind.mass,
        )


class Impact(Part):
    """Contact model. Bodies are rigid: no deformation, no statement about injury."""

    model: Literal["analytic", "bullet", "window"] = Field(
        "analytic",
        description="planar impulse with Coulomb's limit; or PyBullet, for each impact by itself, in the plane; or a"
        " window in PyBullet from the first contact on, in three dimensions: roll-over, riding up, piles",
    )
    restitution: Ratio | tuple[tuple[Speed, Ratio], ...] = Field(
        default=0.1,
        description="restitution of a pair, or a table of [closing speed, restitution]; 0.05-0.1 above 40 km/h,"
        " 0.3-0.4 when parking, unverified",
    )
    friction: Ratio = Field(default=0.25, ge=0, le=2, description="friction of sheet metal on sheet metal; unverified")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        table = self.table()
        if not 1 <= len(table) <= 8 or any(not 0 <= value <= 1 for _, value in table):
            raise ValueError("restitution is between 0 and 1, in a table of 1 to 8 rows")
        if any(later[0] <= before[0] for before, later in pairwise(table)):
            raise ValueError("the speeds of a restitution table must rise")
        return self

    def table(self) -> tuple[tuple[float, float], ...]:
        """Return (closing speed, restitution) pairs; linear between rows, constant outside."""
        return ((0.0, self.restitution),) if isinstance(self.restitution, int | float) else self.restitution


class Settings(Part):
    """Settings of the road world."""

    road: Lanes = Field(default=Lanes(), description="the road")
    friction: Ratio = Field(
        0.8, gt=0, le=2, description="friction of tyre and road: dry about 0.8, ice about 0.1; unverified"
    )
    actors: dict[Word, Actor] = Field(
        description="who is there, by name; one is called 'ego', the one that an agent drives"
    )
    impact: Impact = Field(default_factory=lambda: Impact.model_validate({}), description="contact of two bodies")
    settle: Time = Field(3.0, gt=0, description="how long a run goes on after the ego's first contact [s]")
    rate: Frequency = Field(100.0, ge=20, le=2000, description="steps per second; a multiple of 20 Hz [Hz]")
    motion: bool = Field(
        default=True,
        description="whether to show poses at every step, which cameras, IMU and other mounted sensors need",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "ego" not in self.actors:
            raise ValueError("one of the actors must be called 'ego'")
        if self.rate % 20 != 0:
            raise ValueError(f"the rate must be a multiple of 20 Hz (got {self.rate:g} Hz)")
        for name, actor in self.actors.items():
            self._fits_actor(name, actor)
        return self

    def _fits_actor(self, name: str, actor: Actor) -> None:
        if actor.road is not None and actor.road not in self.road.crossings:
            known = ", ".join(self.road.crossings) or "none"
            raise ValueError(f"{name} is on a road '{actor.road}' that is not there; crossings: {known}")
        if actor.road is not None and actor.station is None:
            raise ValueError(
                f"{name} is on the road '{actor.road}' and needs a `station` there, 0 = where the roads cross"
            )
        if actor.wheelbase is not None and actor.wheelbase > actor.sizes()[0]:
            raise ValueError(f"{name} is {actor.sizes()[0]:g} m long with {actor.wheelbase:g} m between its axles")
        lanes = self.lanes_of(actor)[0]
        wanted = [actor.lane, *(move.to for move in actor.behaviour if isinstance(move, ChangeLane))]
        if max(wanted) > lanes:
            raise ValueError(f"{name} wants lane {max(wanted)} of a road with {lanes}")
        way = KINDS[actor.body].way
        for move in actor.behaviour:
            if isinstance(move, Cross | DartOut) and way == "wheels":
                raise ValueError(f"{name} is a {actor.body} and cannot {move.kind.replace('_', ' ')}: use `turn`")
            if way == "fixed":
                raise ValueError(f"{name} is an {actor.body}: it does nothing")
            if move.when is not None:
                other = move.when.after if move.when.after is not None else move.when.to
                if other not in self.actors:
                    raise ValueError(f"{name} waits for '{other}', which is missing; actors: {', '.join(self.actors)}")
                if move.when.after is None and move.when.station is None and other == name:
                    raise ValueError(f"{name} waits for itself")
                if move.when.arrive is not None and not isinstance(move, Cross | DartOut):
                    raise ValueError(f"{name}: `arrive` goes with `cross` and `dart_out` (got {move.kind})")
                if move.when.after is not None and move.when.number >= len(self.actors[other].behaviour):
                    raise ValueError(f"{name} waits for manoeuvre {move.when.number} of {other}, who has no such one")
        if way == "fixed" and actor.speed > 0:
            raise ValueError(f"{name} is an {actor.body}: it cannot move")

    def lanes_of(self, actor: Actor) -> tuple[int, float]:
        """Return the number and the width of the lanes of an actor's road."""
        road: Lanes | Crossing = self.road if actor.road is None else self.road.crossings[actor.road]
        return road.lanes, road.lane_width


def in_common(settings: Settings) -> tuple[object, ...]:
    """Return what the runs of a batch have in common: actors, clock, the number of road pieces, the impact model."""
    road = len(settings.road.line), len(settings.road.patches)
    return tuple(settings.actors), settings.rate, settings.motion, road, settings.impact.model
