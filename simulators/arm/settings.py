"""Settings of the arm, its task, its monitor and the person next to it."""

from __future__ import annotations

from math import dist
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mischance.units import Angle, Force, Length, Mass, Ratio, Time

REACH = 0.635  # distance from the shoulder to the centre of the hand, arm stretched [m]
SHOULDER_HEIGHT = 0.45  # height of the shoulder above the table top [m]


class _Part(BaseModel):
    """Base of the settings models: no unknown keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Task(_Part):
    """Pick a box and place it into the bin. The arm stands at (0, 0); the table's top is z = 0."""

    pick: tuple[Length, Length] = Field(default=(0.55, -0.3), description="where the box stands (x, y) [m]")
    place: tuple[Length, Length] = Field(default=(0.55, 0.3), description="middle of the bin (x, y) [m]")
    lift: Length = Field(default=0.22, ge=0.05, le=0.4, description="how high the box is carried [m]")
    speed: Ratio = Field(default=1.0, gt=0, le=1.5, description="part of the programmed joint speeds that is used")
    wait: Time = Field(default=0.0, ge=0, description="how long the arm waits before it starts [s]")


class Object(_Part):
    """The carried box."""

    size: tuple[Length, Length, Length] = Field(default=(0.05, 0.05, 0.06), description="length, width, height [m]")
    mass: Mass = Field(default=1.0, gt=0, le=5, description="mass [kg]")
    friction: Ratio = Field(default=0.5, ge=0, le=2, description="friction on table and bin")

    @model_validator(mode="after")
    def _fits_the_gripper(self) -> Self:
        if not (0.02 <= self.size[1] <= 0.08 and self.size[2] >= 0.05 and self.size[0] >= 0.03):
            raise ValueError("the gripper takes boxes 0.02 to 0.08 m wide, 0.03 m or longer and 0.05 m or higher")
        return self


class Gripper(_Part):
    """A parallel gripper: one finger is force-controlled, the other mirrors it."""

    force: Force = Field(default=60.0, gt=0, le=300, description="grip force [N]")
    friction: Ratio = Field(default=0.7, ge=0, le=2, description="friction of pads and box")


class Monitor(_Part):
    """Limits of the safety monitor. A limit of null is not monitored."""

    force: Force | None = Field(
        default=60.0,
        gt=0,
        description="protective stop when the force at the wrist, less weight and inertia of gripper and load,"
        " exceeds this; latched [N]",
    )
    following: Angle | None = Field(
        default=0.15, gt=0, description="stop when a joint is farther than this from where it should be; latched [rad]"
    )
    separation: Length | None = Field(
        default=0.05,
        ge=0,
        description="smallest distance in the rule of speed and separation; goes on when clear again [m]",
    )
    reaction: Time = Field(default=0.04, ge=0, description="from what is measured to the demand for a stop [s]")
    brake: Time = Field(default=0.02, ge=0, description="from the demand to the first deceleration [s]")
    stopping: Time = Field(default=0.15, ge=0.02, description="how long the deceleration to standstill takes [s]")


class Person(_Part):
    """A person at the table who reaches in with the right hand.

    Rigid body parts with elastic contacts. Effective masses and stiffnesses are of the order of magnitude that
    ISO/TS 15066 annex A gives (not verified). Forces are reported; injuries are not modelled.
    """

    stands: tuple[Length, Length] = Field(default=(1.25, 0.0), description="middle of the body (x, y) [m]")
    at: Time = Field(default=1.0, ge=0, description="when the hand starts [s]")
    to: tuple[Length, Length, Length] = Field(
        default=(0.68, 0.0, 0.22), description="where the hand goes (x, y, z) [m]"
    )
    takes: Time = Field(default=0.6, ge=0.1, description="duration of the reach [s]")
    holds: Time = Field(default=1.0, ge=0, description="how long the hand stays there [s]")
    reaches: bool = Field(default=True, description="whether the person reaches in at all")
    strength: Force = Field(default=80.0, ge=0, description="most force with which the hand holds its course [N]")
    hand_mass: Mass = Field(default=0.6, gt=0, description="effective mass of the hand [kg]")
    hand_stiffness: float = Field(default=75000.0, gt=0, description="stiffness of the hand where it is touched [N/m]")
    forearm_mass: Mass = Field(default=2.0, gt=0, description="effective mass of the forearm [kg]")
    forearm_stiffness: float = Field(default=40000.0, gt=0, description="stiffness of the forearm [N/m]")
    torso_stiffness: float = Field(default=25000.0, gt=0, description="stiffness of the chest [N/m]")
    area: float = Field(default=4e-4, gt=0, description="area that a force is spread over in the pressure proxy [m2]")
    limit: Force = Field(
        default=140.0, gt=0, description="force that counts as too much; a threshold of the scenario [N]"
    )

    def shoulder(self) -> tuple[float, float, float]:
        """Return the position of the shoulder [m]."""
        x, y = self.stands[0] - self.to[0], self.stands[1] - self.to[1]
        far = (x * x + y * y) ** 0.5 or 1.0
        # the person faces the target; the right shoulder is 0.12 m to the right of the centre
        return (self.stands[0] - 0.05 * x / far - 0.12 * y / far, self.stands[1] - 0.05 * y / far + 0.12 * x / far,
                SHOULDER_HEIGHT)  # fmt: skip

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        far = dist(self.shoulder(), self.to)
        if not 0.35 < far < REACH:
            raise ValueError(
                f"the hand's target is {far:.2f} m from the shoulder; it must be 0.35 to {REACH:.2f} m away"
            )
        return self


class Fixture(_Part):
    """A post that stands in the cell."""

    at: tuple[Length, Length] = Field(description="middle of its foot (x, y) [m]")
    size: tuple[Length, Length, Length] = Field(default=(0.06, 0.06, 0.3), description="length, width, height [m]")


class Settings(_Part):
    """Settings of the arm's world."""

    task: Task = Field(default=Task(), description="what the arm does")
    object: Object = Field(default=Object(), description="the box")
    gripper: Gripper = Field(default=Gripper(), description="the gripper")
    monitor: Monitor = Field(default=Monitor(), description="what watches over the arm")
    person: Person | None = Field(default=None, description="a person at the table; null = nobody is there")
    fixture: Fixture | None = Field(default=None, description="a post in the cell; null = none")
