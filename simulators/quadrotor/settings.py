"""Settings of drones, birds, wind, obstacles and geofence."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mischance.units import (
    Angle,
    AngularRate,
    Energy,
    Length,
    Mass,
    Power,
    Ratio,
    Resistance,
    Speed,
    Time,
    Voltage,
)

Point = tuple[Length, Length, Length]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
ROTORS = 4
MAX_DELAY = 0.5  # upper limit of a controller's delay [s]


class _Part(BaseModel):
    """Base of the settings models: no unknown keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Waypoint(_Part):
    """A waypoint, reached on a straight line from the last one."""

    at: Point = Field(description="x, y, z in the world, z up [m]")
    speed: Speed = Field(default=5.0, gt=0, le=30, description="fastest on the way there [m/s]")
    hold: Time = Field(default=0.0, ge=0, description="how long to stay [s]")
    radius: Length = Field(default=0.5, gt=0, le=10, description="how near counts as there [m]")


class Airframe(_Part):
    """A symmetric quadrotor in X layout, 1.2 kg; the defaults describe no product."""

    mass: Mass = Field(default=1.2, gt=0, le=100, description="all-up mass [kg]")
    inertia: tuple[float, float, float] = Field(
        default=(0.011, 0.011, 0.020), description="moments of inertia about the body's x, y, z [kg m2]"
    )
    arm: Length = Field(default=0.17, gt=0, le=2, description="distance of a rotor's axis from the centre [m]")
    radius: Length = Field(default=0.30, gt=0, le=3, description="radius of its sphere in contacts [m]")
    drag: float = Field(default=0.018, ge=0, description="force / airspeed^2 = rho Cd A / 2 [N s2/m2]")
    spin_drag: float = Field(default=0.004, ge=0, description="drag torque / angular rate [N m s/rad]")


class Rotors(_Part):
    """Four equal rotors, each with its motor: rotor1 front left, then clockwise seen from above."""

    thrust: float = Field(default=8.55e-6, gt=0, description="k_f: thrust / speed^2 [N s2/rad2]")
    torque: float = Field(default=1.37e-7, gt=0, description="k_m: drag torque / speed^2 [N m s2/rad2]")
    lag: Time = Field(default=0.03, gt=0, le=1, description="time constant of a motor's speed [s]")
    fastest: AngularRate = Field(default=1000.0, gt=0, description="highest speed at full voltage [rad/s]")
    efficiency: Ratio = Field(default=0.75, gt=0, le=1, description="shaft power / electrical power")


class Battery(_Part):
    """A voltage source with an internal resistance; the open-circuit voltage falls linearly with the charge."""

    capacity: Energy = Field(default=216e3, gt=0, description="energy when full [J]; 60 Wh")
    full: Voltage = Field(default=16.8, gt=0, description="open voltage when full [V]")
    empty: Voltage = Field(default=13.2, gt=0, description="open voltage when empty [V]")
    resistance: Resistance = Field(default=0.03, ge=0, description="internal resistance [ohm]")
    charge: Ratio = Field(default=1.0, ge=0, le=1, description="share of the capacity at the start")
    avionics: Power = Field(default=8.0, ge=0, description="power of everything but the motors [W]")


class Control(_Part):
    """The built-in cascade: position, velocity, attitude, rates, mixer."""

    position: float = Field(default=1.2, gt=0, description="gain of position [1/s]")
    velocity: float = Field(default=3.0, gt=0, description="gain of velocity [1/s]")
    integral: float = Field(default=1.0, ge=0, description="gain of the integral of velocity's error [1/s2]")
    attitude: float = Field(default=9.0, gt=0, description="gain of tilt [1/s]")
    yaw: float = Field(default=2.0, ge=0, description="gain of yaw [1/s]")
    rates: float = Field(default=22.0, gt=0, description="gain of angular rates [1/s]")
    tilt: Angle = Field(default=0.61, gt=0, le=1.3, description="largest tilt it asks for [rad]")


class Estimator(_Part):
    """Errors of a drone's position estimate: a Gauss-Markov process."""

    noise: Length = Field(default=0.05, ge=0, description="error of position per axis, 1 sigma [m]")
    time: Time = Field(default=3.0, gt=0, description="correlation time of that error [s]")
    direction: Angle = Field(default=0.0, description="where a fault moves the estimate to: 0 = +x, 90 deg = +y [rad]")


class Drone(_Part):
    """A quadrotor with a mission. It starts in the air, level, at its start position."""

    at: Point = Field(description="where it begins [m]")
    velocity: tuple[Speed, Speed, Speed] = Field(default=(0.0, 0.0, 0.0), description="how it moves at the start [m/s]")
    heading: Angle = Field(default=0.0, description="where its nose points, kept all the time: 0 = +x [rad]")
    delay: Time = Field(default=0.0, ge=0, description="how long it waits where it is before its mission [s]")
    mission: tuple[Waypoint, ...] = Field((), max_length=32, description="where it flies; without any it stays")
    airframe: Airframe = Field(default=Airframe(), description="its body")
    rotors: Rotors = Field(default=Rotors(), description="its rotors and motors")
    battery: Battery = Field(default=Battery(), description="its battery")
    control: Control = Field(default=Control(), description="gains of its controller")
    estimator: Estimator = Field(default=Estimator(), description="what it believes of its position")


class Bird(_Part):
    """A bird that flies straight and never avoids; obstacles do not stop it."""

    at: Point = Field(description="where it begins [m]")
    velocity: tuple[Speed, Speed, Speed] = Field(description="how it moves, until it is hit [m/s]")
    mass: Mass = Field(default=0.5, gt=0, le=20, description="mass [kg]")
    radius: Length = Field(default=0.15, gt=0, le=2, description="radius of its sphere in contacts [m]")
    drag: float = Field(default=0.006, ge=0, description="force / airspeed^2 while it falls [N s2/m2]")


class Wind(_Part):
    """A mean wind that is equal everywhere, and turbulence that is independent for each drone."""

    speed: Speed = Field(default=0.0, ge=0, le=40, description="mean wind [m/s]")
    direction: Angle = Field(default=0.0, description="where it blows to: 0 = +x, 90 deg = +y [rad]")
    turbulence: Speed = Field(default=0.3, ge=0, le=15, description="gusts along x and y, 1 sigma; half along z [m/s]")
    time: Time = Field(default=1.5, gt=0, description="correlation time of turbulence: length scale / airspeed [s]")
    gust_direction: Angle = Field(default=0.0, description="where a planned gust blows to [rad]")
    gust_climb: Angle = Field(default=0.0, ge=-1.6, le=1.6, description="how far it points upwards [rad]")


class Box(_Part):
    """A static box."""

    kind: Literal["box"]
    at: Point = Field(description="its middle [m]")
    size: tuple[Length, Length, Length] = Field(description="length, width, height [m]")
    yaw: Angle = Field(default=0.0, description="turned about z [rad]")


class Cylinder(_Part):
    """A static upright cylinder."""

    kind: Literal["cylinder"]
    at: Point = Field(description="its middle [m]")
    radius: Length = Field(gt=0, description="radius [m]")
    height: Length = Field(gt=0, description="height [m]")


Obstacle = Annotated[Box | Cylinder, Field(discriminator="kind")]
Range = tuple[Length, Length]


class Fence(_Part):
    """The geofence: the volume that a drone must not leave."""

    x: Range = Field(default=(-1e6, 1e6), description="from, to [m]")
    y: Range = Field(default=(-1e6, 1e6), description="from, to [m]")
    z: Range = Field(default=(-1e6, 120.0), description="from, to [m]")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if any(low >= high for low, high in (self.x, self.y, self.z)):
            raise ValueError("a fence goes from a smaller to a larger value")
        return self


class Settings(_Part):
    """Settings of the quadrotor world."""

    drones: dict[Name, Drone] = Field(min_length=1, max_length=16, description="drones by name")
    birds: dict[Name, Bird] = Field(default={}, max_length=16, description="birds by name")
    obstacles: dict[Name, Obstacle] = Field(default={}, max_length=64, description="what stands around, by name")
    fence: Fence | None = Field(None, description="geofence; none where not given")
    wind: Wind = Field(default=Wind(), description="the air")
    separation: Length = Field(
        default=0.0, ge=0, description="free distance between two drones below which separation is lost [m]"
    )
    deviation: Length = Field(default=1.5, gt=0, description="distance from the planned path that is an event [m]")
    upset: Angle = Field(default=1.05, gt=0, le=3.2, description="tilt that is an event [rad]")
    landing: Speed = Field(default=1.0, gt=0, description="fastest touch of the ground that is no crash [m/s]")
    restitution: Ratio = Field(default=0.3, ge=0, le=1, description="restitution of every contact; unverified")
    friction: Ratio = Field(default=0.5, ge=0, le=2, description="friction of contacts with ground and obstacles")
    settle: Time = Field(default=2.0, gt=0, description="how long a run goes on after a crash or its missions [s]")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [*self.drones, *self.birds, *self.obstacles, "ground", "wind"]
        taken = sorted({name for name in names if names.count(name) > 1})
        if taken:
            raise ValueError(f"{taken[0]} is a name given twice")
        for name, drone in self.drones.items():
            if min(drone.airframe.inertia) <= 0.0:
                raise ValueError(f"{name}: moments of inertia are above zero")
            if drone.battery.empty > drone.battery.full:
                raise ValueError(f"{name}: an empty battery has no higher voltage than a full one")
        return self
