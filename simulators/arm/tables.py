"""Tables of the arm's world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mischance.api.tables import Column

if TYPE_CHECKING:
    from mischance.api.tables import Schema

TOUCHED = ("hand", "forearm", "person", "fixture")  # bodies whose contacts are recorded

JOINT_ROWS: Schema = {
    "t": Column(unit="s", role="time"),
    "joint": Column("int64", about="1-6 from the base", role="entity"),
    "position": Column(unit="rad", floor=1e-9, role="value"),
    "velocity": Column(unit="rad/s", floor=1e-9),
    "torque": Column(unit="Nm", floor=1e-9, about="given by the motor, before friction"),
    "target": Column(unit="rad", floor=1e-9, about="where the controller wants it"),
    "measured": Column(unit="rad", floor=1e-9, about="what its encoder says"),
}

CONTACT_ROWS: Schema = {
    "t": Column(unit="s", about="end of the control step", role="time"),
    "touched": Column("category", names=TOUCHED, role="entity"),
    "by": Column("text", about="link of the arm, or the box"),
    **{f"force_{axis}": Column(unit="N", about="on what is touched, mean of the control step") for axis in "xyz"},
    "force": Column(unit="N", about="largest force in one step of physics", role="value"),
    "pressure": Column(unit="Pa", about="that force over the person's contact area; a proxy; NaN for a fixture",
                       null=True),
    "energy": Column(unit="J", about="work done so far on the touched body"),
    **{axis: Column(unit="m", about="point of contact, weighted by force", role="position") for axis in "xyz"},
}  # fmt: skip

WRENCH_ROWS: Schema = {
    "t": Column(unit="s", role="time"),
    **{f"f{axis}": Column(unit="N", floor=1e-9, about="force of the flange on the gripper, flange frame", role="value")
       for axis in "xyz"},
    **{f"m{axis}": Column(unit="Nm", floor=1e-9, about="torque likewise, about the middle of the flange's face")
       for axis in "xyz"},
}  # fmt: skip

CELL_ROWS: Schema = {
    "t": Column(unit="s", role="time"),
    "separation": Column(
        unit="m", null=True, floor=1e-9, about="person to arm or load; NaN = nobody there", role="value"
    ),
    "needed": Column(
        unit="m", null=True, floor=1e-9, about="protective separation at this moment's speeds", role="value"
    ),
    "speed": Column(unit="m/s", floor=1e-9, about="of the tool centre point", role="value"),
    "rate": Column(floor=1e-9, about="how fast the program runs; 1 = as planned, 0 = stopped", role="value"),
    "slip": Column(unit="m", floor=1e-9, about="way of the box in the gripper since it was grasped", role="value"),
    "holding": Column("bool", about="both fingers touch the box"),
}
