"""Settings of the warehouse: grid, AGVs, safety, orders and people."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mischance.units import Acceleration, AngularRate, Frequency, Length, Ratio, Speed, Time

BAY = 0.35  # offset of a bay from both aisles of its crossing [spacings of the grid]

Place = Annotated[tuple[int, int], Field(description="a crossing: column and row, from 0")]


class _Part(BaseModel):
    """Base of the settings models: no unknown keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Grid(_Part):
    """Straight aisles that cross at right angles; each crossing has a bay where loads are handed over."""

    columns: int = Field(default=4, ge=2, le=50, description="number of aisles along y")
    rows: int = Field(default=3, ge=2, le=50, description="number of aisles along x")
    spacing: Length = Field(default=12.0, gt=0, description="distance of neighbouring crossings [m]")
    width: Length = Field(default=3.0, gt=0, description="width of an aisle [m]")
    friction: Ratio = Field(default=0.5, gt=0, le=1.5, description="friction of wheels on the dry floor")


class Fleet(_Part):
    """A fleet of equal AGVs, called agv1, agv2 …: round, turning on the spot, one load each."""

    count: int = Field(default=4, ge=1, le=50, description="how many there are")
    homes: tuple[Place, ...] = Field(
        default=(), description="where each starts; spread over the crossings when left out"
    )
    radius: Length = Field(default=0.6, gt=0, description="radius of the footprint [m]")
    speed: Speed = Field(default=1.5, gt=0, le=10, description="top speed [m/s]")
    acceleration: Acceleration = Field(default=0.6, gt=0, le=5, description="when setting off [m/s2]")
    deceleration: Acceleration = Field(default=0.8, gt=0, le=5, description="of planned halts, by the motors [m/s2]")
    brake: Acceleration = Field(
        default=2.5, gt=0, le=10, description="of emergency stops, as far as friction allows [m/s2]"
    )
    turn: AngularRate = Field(default=0.8, gt=0, le=10, description="turning on the spot [rad/s]")
    handling: Time = Field(default=6.0, ge=0, description="taking or giving a load in a bay [s]")
    clearance: Length = Field(default=0.3, ge=0, description="least distance at which a crossing is let go [m]")


class Safety(_Part):
    """Scanner and emergency stop of each AGV."""

    range: Length = Field(default=2.5, ge=0, description="protective field, from the front to a person's near side [m]")
    reaction: Time = Field(default=0.1, ge=0, description="from entering the field to the stop signal [s]")
    latency: Time = Field(default=0.1, ge=0, description="from the stop signal to the brakes [s]")
    plane: Length = Field(default=0.2, ge=0, description="height of the scanner's plane; it misses what is lower [m]")
    restart: Time = Field(default=1.0, ge=0, description="how long the field must be free before the AGV goes on [s]")


class Loads(_Part):
    """Loads: round; a dropped load lies still until it is removed."""

    radius: Length = Field(default=0.3, gt=0, description="radius of a load on the floor [m]")
    height: Length = Field(default=0.4, gt=0, description="height of a load on the floor [m]")
    lies: Time = Field(default=120.0, ge=0, description="how long a fallen load lies there [s]")


class Conveyor(_Part):
    """Conveyors, one per bay; an AGV waits in the bay while its conveyor is full."""

    capacity: int | None = Field(
        default=None, ge=1, le=1000, description="loads that a conveyor holds; null = any number"
    )
    interval: Time = Field(default=0.0, ge=0, description="how long a conveyor takes to bring one load away [s]")


class Order(_Part):
    """One planned order."""

    at: Time = Field(default=0.0, ge=0, description="when it comes [s]")
    origin: Place
    destination: Place

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if self.origin == self.destination:
            raise ValueError("an order's destination must differ from its origin")
        return self


class Orders(_Part):
    """Transports between bays."""

    rate: Frequency = Field(default=1.0 / 60, ge=0, le=10, description="mean arrivals of a Poisson process [Hz]")
    planned: tuple[Order, ...] = Field(
        default=(), description="orders at given times, besides those that come by chance"
    )
    due: Time | None = Field(
        default=None, gt=0, description="an order that takes longer is late; null = none ever is [s]"
    )


class Walker(_Part):
    """A person who steps in front of a given AGV, on the longest straight of its first trip after a given time."""

    before: int = Field(default=1, ge=1, description="number of the AGV")
    after: Time = Field(default=0.0, ge=0, description="the AGV's trip begins at this time or later [s]")
    ahead: Length = Field(
        default=2.0, ge=0, description="distance from the AGV's front to the person's side at that time [m]"
    )
    speed: Speed = Field(default=1.2, gt=0, le=5, description="walking speed [m/s]")
    stands: Time = Field(
        default=0.0, ge=0, description="how long the person stands still in the middle of the aisle [s]"
    )


class People(_Part):
    """People who cross aisles on foot, straight across, between two crossings."""

    rate: Frequency = Field(default=1.0 / 30, ge=0, le=10, description="mean arrivals of a Poisson process [Hz]")
    speed: tuple[Speed, Speed] = Field(default=(0.8, 1.6), description="slowest and fastest walk, uniform [m/s]")
    look: Length = Field(
        default=2.0, ge=0, description="they let an AGV pass that is nearer than this, front to side [m]"
    )
    radius: Length = Field(default=0.25, gt=0, description="radius of a person's footprint [m]")
    walkers: tuple[Walker, ...] = Field(default=(), description="people who do not look, each stepping before one AGV")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 < self.speed[0] <= self.speed[1]:
            raise ValueError("speed: the slowest must be above 0 and not above the fastest")
        return self


class Settings(_Part):
    """Settings of the warehouse world."""

    grid: Grid = Field(default=Grid(), description="aisles and crossings")
    fleet: Fleet = Field(default=Fleet(), description="the AGVs")
    safety: Safety = Field(default=Safety(), description="scanner and emergency stop")
    orders: Orders = Field(default=Orders(), description="what is to be carried")
    people: People = Field(default=People(), description="who walks there")
    loads: Loads = Field(default=Loads(), description="what AGVs carry")
    conveyor: Conveyor = Field(default=Conveyor(), description="what takes loads away from the bays")
    near: Length = Field(default=0.5, ge=0, description="distance below which passing by is a near miss [m]")
    rate: Frequency = Field(default=5.0, gt=0, le=100, description="rows of `actors` a second [Hz]")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        grid, fleet = self.grid, self.fleet
        room = 2 * fleet.radius + fleet.clearance
        if BAY * grid.spacing < 2 * room:
            raise ValueError(f"grid.spacing must be at least {2 * room / BAY:.2f} m for AGVs of this size")
        if grid.width / 2 <= fleet.radius + self.people.radius:
            raise ValueError("grid.width must leave room for a person beside an AGV on either side")
        if fleet.homes and len(fleet.homes) != fleet.count:
            raise ValueError(f"fleet.homes: {len(fleet.homes)} places for {fleet.count} AGVs")
        places = [
            *fleet.homes,
            *(place for order in self.orders.planned for place in (order.origin, order.destination)),
        ]
        for place in places:
            if not (0 <= place[0] < grid.columns and 0 <= place[1] < grid.rows):
                raise ValueError(f"there is no crossing {list(place)} in a grid of {grid.columns} by {grid.rows}")
        if len(set(fleet.homes)) != len(fleet.homes):
            raise ValueError("fleet.homes: two AGVs start at one place")
        for walker in self.people.walkers:
            if walker.before > fleet.count:
                raise ValueError(f"people.walkers: there is no AGV {walker.before}")
        return self
