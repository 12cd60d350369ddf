"""What a scenario may say about the road and the vehicles on it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mischance.units import Acceleration, Jerk, Length, Mass, Ratio, Speed, Time


class _Part(BaseModel):
    """A part of the settings: exact keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lanes(_Part):
    """A straight road: lanes are numbered from the right, 1 is the rightmost; traffic drives along +x."""

    lanes: int = Field(default=3, ge=1, le=8, description="number of lanes")
    lane_width: Length = Field(default=3.5, ge=2, le=6, description="width of a lane [m]")
    length: Length = Field(
        default=600.0, ge=50, le=5000, description="length of road that is drawn ahead of the start [m]"
    )

    def centre(self, lane: int) -> float:
        """Return y of the middle of a lane [m]; y = 0 is the right edge of the road."""
        return (lane - 0.5) * self.lane_width


class ChangeLane(_Part):
    """Change to another lane on a path of least jerk."""

    kind: Literal["change_lane"]
    at: Time = Field(ge=0, description="when it starts [s]")
    to: int = Field(ge=1, description="lane to change to")
    takes: Time = Field(3.0, ge=0.5, le=20, description="duration of the change [s]")


class Brake(_Part):
    """Brake, and keep the speed that is left."""

    kind: Literal["brake"]
    at: Time = Field(ge=0, description="when it starts [s]")
    deceleration: Acceleration = Field(6.0, gt=0, le=15, description="deceleration asked of the brakes [m/s2]")
    to: Speed = Field(0.0, ge=0, description="speed to brake down to [m/s]")


Manoeuvre = Annotated[ChangeLane | Brake, Field(discriminator="kind")]

SHAPES: dict[str, tuple[float, float, float, float, float]] = {
    # length, width, height, wheelbase [m], mass [kg]
    "car": (4.5, 1.8, 1.5, 2.7, 1500.0),
    "truck": (10.0, 2.5, 3.5, 5.8, 12000.0),
}


class Actor(_Part):
    """A vehicle. Sizes left out are those of its `body`."""

    body: Literal["car", "truck"] = Field("car", description="what it is; the category of its labels")
    speed: Speed = Field(ge=0, le=100, description="speed at the start [m/s]")
    lane: int = Field(1, ge=1, description="lane at the start, counted from the right")
    gap: Length = Field(
        30.0, description="gap to the ego, bumper to bumper; negative = behind it; the ego ignores it [m]"
    )
    gap_at: Time = Field(0.0, ge=0, description="when that gap holds, if both keep their speeds until then [s]")
    behaviour: tuple[Manoeuvre, ...] = Field((), description="what it does of itself")
    length: Length | None = Field(None, gt=0, le=30, description="length over all [m]")
    width: Length | None = Field(None, gt=0, le=5, description="width over all [m]")
    height: Length | None = Field(None, gt=0, le=5, description="height over all [m]")
    wheelbase: Length | None = Field(None, gt=0, le=20, description="distance of the axles [m]")
    mass: Mass | None = Field(None, gt=0, le=80000, description="mass with load [kg]")
    brakes: Acceleration = Field(
        10.0, gt=0, le=15, description="deceleration that its brakes can give on any grip [m/s2]"
    )
    drive: Acceleration = Field(4.0, gt=0, le=15, description="acceleration that its engine can give [m/s2]")
    jerk: Jerk = Field(12.65, ge=0, description="build-up of braking and drive; 0 = at once [m/s3]")  # UN R157 model 1

    def sizes(self) -> tuple[float, float, float, float, float]:
        """Return length, width, height, wheelbase [m] and mass [kg]."""
        length, width, height, wheelbase, mass = SHAPES[self.body]
        return (
            self.length or length,
            self.width or width,
            self.height or height,
            self.wheelbase or wheelbase,
            self.mass or mass,
        )


class Impact(_Part):
    """What bodies do to each other when they touch. Rigid bodies: no crush, and no claim about injury."""

    restitution: Ratio = Field(
        default=0.1, ge=0, le=1, description="restitution of a pair; 0.05-0.1 above 40 km/h, unverified"
    )
    friction: Ratio = Field(default=0.25, ge=0, le=2, description="friction of sheet metal on sheet metal; unverified")


class Settings(_Part):
    """What a scenario may say about the world `road`."""

    road: Lanes = Field(default=Lanes(), description="the road")
    friction: Ratio = Field(
        0.8, gt=0, le=2, description="friction of tyre and road: dry about 0.8, ice about 0.1; unverified"
    )
    actors: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Actor] = Field(
        description="vehicles by name; one is called 'ego', the one that an agent drives"
    )
    impact: Impact = Field(default=Impact(), description="contact of two vehicles")
    settle: Time = Field(3.0, gt=0, description="how long a run goes on after the first contact [s]")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "ego" not in self.actors:
            raise ValueError("one of the actors must be called 'ego'")
        for name, actor in self.actors.items():
            wanted = [actor.lane, *(move.to for move in actor.behaviour if isinstance(move, ChangeLane))]
            if max(wanted) > self.road.lanes:
                raise ValueError(f"{name} wants lane {max(wanted)} of a road with {self.road.lanes}")
        return self
