"""An inertial measurement unit: specific force and angular rate, with white noise and a Gauss-Markov bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, radians
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from mischance.api.protocols import FaultKind
from mischance.api.runs import Reading
from mischance.api.tables import Column, Schema, Table
from mischance.units import Acceleration, AngularRate, Frequency, Time

from ._chain import digitise, fault_labels, gauss_markov, own_faults
from ._motion import compose, cross, find_mount, motion_of, nlerp, poses_at, rotate, scene_of, steps, unrotate

if TYPE_CHECKING:
    from mischance.api.protocols import Renderer
    from mischance.api.randomness import Streams
    from mischance.api.runs import Chunk, Draw, Fault
    from mischance.api.tables import FloatArray, IntArray

G = 9.80665
_AXES = ("ax", "ay", "az", "gx", "gy", "gz")
TABLE: Schema = {
    "t": Column(unit="s", encoding="delta", role="time"),
    **{name: Column(unit="m/s2", floor=1e-9, about="specific force, sensor frame", role="value") for name in _AXES[:3]},
    **{name: Column(unit="rad/s", floor=1e-9, about="angular rate, sensor frame", role="value") for name in _AXES[3:]},
}


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of an IMU; the defaults for noise are those of an InvenSense MPU-6000.

    Source:
        InvenSense, MPU-6000 and MPU-6050 product specification, PS-MPU-6000A-00, revision 3.4, 2013, 6.1 and 6.2:
        0.005 deg/s/sqrt(Hz) and 400 ug/sqrt(Hz), both at 10 Hz. The sheet says nothing about the stability of the
        biases: sigma and correlation times are of the order of magnitude of such sensors (not verified).
    """

    mount: str = Field("ego.imu", description="body and mount that carry it, as body.mount")
    rate: Frequency = Field(100.0, gt=0, description="samples per second [Hz]")
    accelerometer_noise: float = Field(400e-6 * G, ge=0, description="accelerometer white noise [m/s2/sqrt(Hz)]")
    accelerometer_bias: Acceleration = Field(3.53e-4, ge=0, description="accelerometer bias, 1 sigma [m/s2]")
    accelerometer_bias_time: Time = Field(800.0, gt=0, description="correlation time of that bias [s]")
    accelerometer_range: Acceleration | None = Field(None, gt=0, description="largest specific force shown [m/s2]")
    accelerometer_resolution: Acceleration | None = Field(None, gt=0, description="smallest step shown [m/s2]")
    gyro_noise: float = Field(radians(0.005), ge=0, description="gyroscope white noise [rad/s/sqrt(Hz)]")
    gyro_bias: AngularRate = Field(2.230e-5, ge=0, description="gyroscope bias, 1 sigma [rad/s]")
    gyro_bias_time: Time = Field(500.0, gt=0, description="correlation time of that bias [s]")
    gyro_range: AngularRate | None = Field(None, gt=0, description="largest angular rate shown [rad/s]")
    gyro_resolution: AngularRate | None = Field(None, gt=0, description="smallest step shown [rad/s]")


class Imu:
    """Reports the measurements of a strapdown IMU at a mount: at rest on level ground +9.81 m/s2 along its z axis."""

    faults: ClassVar[Mapping[str, FaultKind]] = {
        "bias": FaultKind("the accelerometer adds a constant along its x axis", severity="m/s2", default=0.5),
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Reset for a new batch; take a stream for white noise and one for the bias for each run."""
        self._name = name
        self._faults: list[tuple[Fault, ...]] = own_faults(name, draws)
        self._white = [stream(name, "white") for stream in streams]
        self._wander = [stream(name, "bias") for stream in streams]
        self._bias = np.zeros((len(draws), 6))
        self._seen = np.full(len(draws), -np.inf)

    def read(self, chunk: Chunk, renderer: Renderer | None = None) -> Reading:
        """Return every sample in (chunk.start, chunk.end]; each uses twelve random numbers, whatever the settings.

        Specific force is the mean over the physics step (t_i, t_i+1] that contains the sample: the slope of velocity,
        with the lever arm of the mount, in the orientation half-way. Angular rate is interpolated linearly at the
        sample's time. The sample at t = 0 has no step before it: it contains gravity only.

        Raises:
            RunError: the world has no bodies, or the mount does not exist.

        Source:
            Woodman, An introduction to inertial navigation, UCAM-CL-TR-696 (error model).
        """
        k = chunk.ticks(self.settings.rate)
        t = k / self.settings.rate
        self._seen = np.maximum(self._seen, chunk.ends)
        values = self._felt(chunk, t) + self._noise(k)
        for i, faults in enumerate(self._faults):
            for fault in faults:
                values[i, :, 0] += fault.severity_at(t)
        settings = self.settings
        values[..., :3] = digitise(values[..., :3], settings.accelerometer_range, settings.accelerometer_resolution)
        values[..., 3:] = digitise(values[..., 3:], settings.gyro_range, settings.gyro_resolution)
        counts = np.searchsorted(t, chunk.ends, side="right").astype(np.int64)
        kept = np.arange(len(t)) < counts[:, None]
        columns = {"t": np.broadcast_to(t, kept.shape)[kept]}
        columns |= {name: values[..., axis][kept] for axis, name in enumerate(_AXES)}
        return Reading({"": Table(TABLE, columns, np.concatenate([[0], np.cumsum(counts)]))})

    def labels(self) -> Table:
        """Return one label for each bias fault that began during its run."""
        return fault_labels(self._name, self._faults, self._seen)

    def _felt(self, chunk: Chunk, t: FloatArray) -> FloatArray:
        """Return true specific force and angular rate in the sensor's frame; (runs, n, 6)."""
        motion = motion_of(chunk, self._name)
        at = steps(motion, t)
        found = [find_mount(scene_of(chunk, i), self.settings.mount, self._name) for i in range(chunk.runs)]
        body = scene_of(chunk, 0).bodies[found[0][0]].name
        mount = np.stack([place for _, place in found])[:, None]
        up = np.array([0.0, 0.0, G])
        if body not in motion.bodies:  # a static body
            level = np.broadcast_to(unrotate(mount[..., 3:], up), (chunk.runs, len(t), 3))
            return np.concatenate([level, np.zeros_like(level)], axis=-1)
        column = motion.bodies.index(body)
        pose, velocity = motion.pose[:, :, column], motion.velocity[:, :, column]
        first, last = velocity[:, at.before], velocity[:, at.after]
        weight, seconds = at.weight[:, None], at.seconds[:, None]
        slope = np.where(seconds > 0, (last - first) / np.where(seconds > 0, seconds, 1.0), 0.0)
        # Half-way through the step the slope is the acceleration to second order: the orientation is taken there.
        half = nlerp(pose[:, at.before, 3:], pose[:, at.after, 3:], 0.5)
        spin = (first[..., 3:] + last[..., 3:]) * 0.5
        arm = rotate(half, np.broadcast_to(mount[..., :3], (*half.shape[:2], 3)))
        acceleration = slope[..., :3] + cross(slope[..., 3:], arm) + cross(spin, cross(spin, arm))
        acceleration = np.where(seconds > 0, acceleration, 0.0)
        at_half = np.concatenate([np.zeros_like(arm), half], axis=-1)
        force = unrotate(compose(at_half, mount)[..., 3:], acceleration + up)
        rate = first[..., 3:] * (1.0 - weight) + last[..., 3:] * weight
        return np.concatenate([force, unrotate(compose(poses_at(pose, at), mount)[..., 3:], rate)], axis=-1)

    def _noise(self, k: IntArray) -> FloatArray:
        """Return white noise plus the Gauss-Markov bias; (runs, n, 6)."""
        s, n = self.settings, len(k)
        white = np.stack([stream.standard_normal((n, 6)) for stream in self._white])
        kicks = np.stack([stream.standard_normal((n, 6)) for stream in self._wander])
        density = np.repeat([s.accelerometer_noise, s.gyro_noise], 3) * s.rate**0.5
        sigma = np.repeat([s.accelerometer_bias, s.gyro_bias], 3)
        keep = np.repeat([exp(-1.0 / (s.rate * tau)) for tau in (s.accelerometer_bias_time, s.gyro_bias_time)], 3)
        # The very first sample draws the switch-on bias from the stationary distribution of the process.
        drive = np.where((k == 0)[:, None], sigma, sigma * np.sqrt(1.0 - keep * keep))
        noise: FloatArray = white * density + gauss_markov(self._bias, kicks * drive, keep)
        return noise
