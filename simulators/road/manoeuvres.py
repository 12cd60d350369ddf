"""Settings of manoeuvres of actors on the road: start conditions and parameters."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mischance.units import Acceleration, Angle, Length, Ratio, Speed, Time

Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Part(BaseModel):
    """Base of the settings models: no unknown keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class When(Part):
    """Start condition of a manoeuvre: exactly one of the keys; never before the manoeuvre's `at`."""

    distance: Length | None = Field(None, ge=0, description="distance of the two boxes falls below this [m]")
    ttc: Time | None = Field(
        None,
        gt=0,
        description="gap / closing speed along the lane of the one behind, whatever the lanes, falls below this [s]",
    )
    headway: Time | None = Field(
        None, gt=0, description="gap along the lane of the one behind / its speed falls below this [s]"
    )
    station: Length | None = Field(
        None, description="its own centre has come to that place of its own road; 0 = start or crossing [m]"
    )
    arrive: Ratio | None = Field(
        None,
        ge=0,
        le=1,
        description="leaves in time to be hit at that share of the width of `to`, from its side on",
    )
    after: Word | None = Field(None, description="that actor has begun its manoeuvre number `number`")
    number: int = Field(0, ge=0, description="which manoeuvre of that actor, counted from 0")
    to: Word = Field("ego", description="the actor that distance, ttc, headway and arrive are measured against")
    delay: Time = Field(0.0, ge=0, description="time between the condition and the start [s]")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [
            name
            for name in ("distance", "ttc", "headway", "station", "arrive", "after")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(
                f"`when` takes exactly one of distance, ttc, headway, station, arrive, after (got {len(given)})"
            )
        return self


class _Move(Part):
    at: Time = Field(0.0, ge=0, description="when it starts, or the earliest moment where `when` is given [s]")
    when: When | None = Field(None, description="what sets it off; the time alone where not given")


class ChangeLane(_Move):
    """Change to another lane on a minimum-jerk path."""

    kind: Literal["change_lane"]
    to: int = Field(ge=1, description="lane to change to")
    takes: Time = Field(3.0, ge=0.3, le=30, description="duration of the change [s]")
    offset: Length = Field(0.0, ge=-5, le=5, description="where in that lane it ends, left of the middle [m]")


class Brake(_Move):
    """Brake, then keep the reached speed."""

    kind: Literal["brake"]
    deceleration: Acceleration = Field(6.0, gt=0, le=15, description="deceleration asked of the brakes [m/s2]")
    to: Speed = Field(0.0, ge=0, description="speed to brake down to [m/s]")


class Accelerate(_Move):
    """Accelerate, then keep the reached speed."""

    kind: Literal["accelerate"]
    acceleration: Acceleration = Field(2.0, gt=0, le=15, description="acceleration asked of the drive [m/s2]")
    to: Speed = Field(ge=0, le=100, description="speed to reach [m/s]")


class Follow(_Move):
    """Follow the actor ahead in its path, by the intelligent driver model.

    Treiber, Hennecke, Helbing, Congested traffic states in empirical observations, Phys. Rev. E 62 (2000).
    """

    kind: Literal["follow"]
    headway: Time = Field(1.5, gt=0, description="time gap that it wants [s]")
    gap: Length = Field(2.0, gt=0, description="gap at standstill [m]")
    acceleration: Acceleration = Field(1.5, gt=0, le=10, description="largest acceleration [m/s2]")
    comfort: Acceleration = Field(2.0, gt=0, le=10, description="comfortable deceleration [m/s2]")


class _Cross(_Move):
    angle: Angle = Field(
        1.5707963267948966, ge=0, le=3.2, description="against the road's direction, towards the ego's side [rad]"
    )
    stop_after: Length | None = Field(None, gt=0, description="stands still again after this distance [m]")


class Cross(_Cross):
    """Cross the road in a straight line from the start position."""

    kind: Literal["cross"]
    speed: Speed = Field(5 / 3.6, gt=0, le=30, description="speed that it reaches [m/s]")
    acceleration: Acceleration = Field(1.0, gt=0, le=15, description="how it gets there [m/s2]")


class DartOut(_Cross):
    """Run into the road: a fast crossing from the start of the manoeuvre on."""

    kind: Literal["dart_out"]
    speed: Speed = Field(10 / 3.6, gt=0, le=30, description="speed that it reaches [m/s]")
    acceleration: Acceleration = Field(3.0, gt=0, le=15, description="how it gets there [m/s2]")


class Turn(_Move):
    """Leave the lane on an arc and continue straight: a turn at a crossing, into a drive, across a path."""

    kind: Literal["turn"]
    angle: Angle = Field(1.5707963267948966, description="how far it turns; positive = left [rad]")
    radius: Length = Field(10.0, ge=4, le=500, description="radius of the arc [m]")
    speed: Speed | None = Field(None, gt=0, le=50, description="speed from then on; unchanged where not given [m/s]")


class RunRedLight(_Move):
    """Pass a red light. The motion is unchanged: the event records the violation and its time."""

    kind: Literal["run_red_light"]


Manoeuvre = Annotated[
    ChangeLane | Brake | Accelerate | Follow | Cross | DartOut | Turn | RunRedLight, Field(discriminator="kind")
]
