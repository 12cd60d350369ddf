"""A camera: colour, depth and instance images, with tight boxes, masks and occlusion of every actor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import pi, tan
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, field_validator

from mischance.api.protocols import FaultKind
from mischance.api.runs import Reading
from mischance.api.scene import Body, Frames, Scene
from mischance.api.scene import Camera as View
from mischance.api.tables import Column, Schema, Table
from mischance.errors import RunError
from mischance.units import Angle, Frequency, Length

from ._chain import fault_labels, own_faults
from ._masks import region
from ._motion import body_poses, compose, find_mount, motion_of, scene_of, steps, unrotate

if TYPE_CHECKING:
    from mischance.api.protocols import Renderer
    from mischance.api.randomness import Streams
    from mischance.api.runs import Chunk, Draw, Fault
    from mischance.api.tables import AnyArray, FloatArray, IntArray

Pixels = Annotated[int, Field(ge=1, le=8192)]

_TICK: Schema = {
    "t": Column(unit="s", encoding="delta", about="when the image was given out", role="time"),
    "index": Column("int64", encoding="delta", about="tick of the camera's clock; names the file", role="key"),
}
IMAGES: Schema = {
    **_TICK,
    "t_shown": Column(
        unit="s", about="the moment that the image shows; earlier than t while the camera is frozen", role="label"
    ),
    "width": Column("int64", unit="px"),
    "height": Column("int64", unit="px"),
    "fov": Column(unit="rad", about="horizontal field of view"),
    **{
        name: Column(unit="m", about="camera position at t_shown, world frame", role="position")
        for name in ("px", "py", "pz")
    },
    **{name: Column(about="camera quaternion at t_shown: x forward, z up") for name in ("qx", "qy", "qz", "qw")},
}
OBJECTS: Schema = {
    **_TICK,
    "actor": Column("text", role="entity"),
    "category": Column("text", role="label"),
    "instance": Column("int64", about="value of the object's pixels in the instance image", role="label"),
    "visible": Column("int64", unit="px", role="label"),
    "amodal": Column(
        "int64", unit="px", about="pixels it would have in this image if nothing stood before it", role="label"
    ),
    **{
        name: Column("int64", unit="px", about="tight box of the visible pixels", role="label")
        for name in ("x", "y", "w", "h")
    },
    "truncated": Column("bool", about="it reaches the border of the image", role="label"),
    "distance": Column(unit="m", about="from the camera to the object's centre", role="label"),
    **{
        name: Column(unit="px", null=True, about="where its centre projects; null = behind", role="label")
        for name in ("u", "v")
    },
    "counts": Column(
        "text", about="COCO compressed run-length code of the visible pixels, column by column", role="label"
    ),
}


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of a camera."""

    mount: str = Field("ego.windscreen", description="body and mount that carry it, as body.mount; looks along +x")
    size: tuple[Pixels, Pixels] = Field((640, 480), description="width and height [px]")
    fov: Angle = Field(70.0 * pi / 180.0, gt=0, lt=pi, description="horizontal field of view [rad]")
    rate: Frequency = Field(10.0, gt=0, description="images per second [Hz]")
    passes: tuple[Literal["rgb", "depth", "instance"], ...] = Field(
        ("rgb", "depth", "instance"), min_length=1, description="what to draw; labels come with 'instance'"
    )
    renderer: str = Field(
        "tiny", description="what draws its images: a renderer, or `{kind: a renderer, …}` with its settings"
    )
    near: Length = Field(0.1, gt=0, description="nothing closer is seen [m]")
    far: Length = Field(300.0, gt=0, description="nothing farther is seen [m]")
    min_pixels: int = Field(1, ge=1, description="objects with fewer visible pixels get no label [px]")
    sees_carrier: bool = Field(False, description="whether the body that carries it is drawn")

    @field_validator("far")
    @classmethod
    def _beyond_near(cls, far: float, info: object) -> float:
        near = getattr(info, "data", {}).get("near", 0.0)
        if far <= near:
            raise ValueError(f"far must be beyond near ({near:g} m)")
        return far


@dataclass(frozen=True, slots=True)
class _Shots:
    """Images, and the labels of their pixels; one entry per image along axis 0."""

    t: FloatArray
    passes: Mapping[str, AnyArray]
    pose: FloatArray
    objects: list[list[dict[str, object]]]

    def take(self, places: IntArray | slice) -> _Shots:
        chosen = np.arange(len(self.t))[places]
        passes = {name: images[chosen] for name, images in self.passes.items()}
        return _Shots(self.t[chosen], passes, self.pose[chosen], [self.objects[i] for i in chosen.tolist()])


class Camera:
    """Takes an image at every tick of its clock, and labels the objects in it."""

    images: ClassVar[bool] = True
    renderer: ClassVar[str] = "renderer"
    batch: ClassVar[int] = 4  # a second of four cameras can be 100 MB
    faults: ClassVar[Mapping[str, FaultKind]] = {
        "freeze": FaultKind("from 0.5 on, the last image before is given out again and again"),
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Reset for a new batch of runs. A camera uses no random numbers."""
        self._name = name
        self._faults: list[tuple[Fault, ...]] = own_faults(name, draws)
        self._held: list[_Shots | None] = [None] * len(draws)
        self._seen = np.full(len(draws), -np.inf)

    def read(self, chunk: Chunk, renderer: Renderer | None) -> Reading:
        """Return the images of every run in (chunk.start, chunk.end] and, with 'instance', their labels.

        Frames: rgb (n, h, w, 3) uint8, depth (n, h, w) float32 along the view axis [m], instance (n, h, w)
        uint16; an actor's id is its index in the scene + 1. While frozen, the image, its labels and
        `t_shown` are those of the last image before; only `t` advances. A camera that is frozen from its
        first tick on shows that first image.

        Raises:
            RunError: there is no renderer, the world has no bodies, or the mount does not exist.
        """
        if renderer is None:
            raise RunError(f"sensor {self._name!r} needs a renderer", "set `renderer: tiny`")
        motion_of(chunk, self._name)
        ticks = chunk.ticks(self.settings.rate)
        self._seen = np.maximum(self._seen, chunk.ends)
        frames, truth, images, objects, shown = [], [], [], [], []
        for run in range(chunk.runs):
            k = ticks[ticks / self.settings.rate <= chunk.ends[run]]
            t = k / self.settings.rate
            shots = self._show(chunk, run, t, renderer)
            frames.append(Frames(t, {name: v for name, v in shots.passes.items() if name != "instance"}, k))
            truth.append(Frames(t, {name: v for name, v in shots.passes.items() if name == "instance"}, k))
            images.append(self._images(t, k, shots))
            rows = [{"t": t[j], "index": k[j], **row} for j, found in enumerate(shots.objects) for row in found]
            objects.append({name: [row[name] for row in rows] for name in OBJECTS})
            shown.append({"t": t, "index": k})
        labels = {"images": Table.of(IMAGES, images)}
        if "instance" not in self.settings.passes:
            return Reading({"": Table.of(_TICK, shown)}, tuple(frames), labels)
        labels["objects"] = Table.of(OBJECTS, objects)
        seen = tuple(frames) if set(self.settings.passes) != {"instance"} else ()
        return Reading({"": Table.of(_TICK, shown)}, seen, labels, tuple(truth))

    def labels(self) -> Table:
        """Return one label for each freeze that began during its run."""
        return fault_labels(self._name, self._faults, self._seen)

    def _show(self, chunk: Chunk, run: int, t: FloatArray, renderer: Renderer) -> _Shots:
        """Return the camera's output at `t`: new images, and the last image while it is frozen."""
        faults = self._faults[run]
        frozen = np.zeros(len(t), np.bool_)
        for fault in faults:
            frozen |= fault.severity_at(t) >= 0.5
        held = self._held[run]
        if held is None and len(t):
            frozen[0] = False
        taken = self._take(chunk, run, t[~frozen], renderer)
        if not faults or not len(t):
            return taken
        last = np.maximum.accumulate(np.where(frozen, -1, np.cumsum(~frozen) - 1))
        if held is not None:
            taken = _join(held, taken)
            last = last + 1
        self._held[run] = taken.take(slice(len(taken.t) - 1, None))
        return taken.take(last) if frozen.any() or held is not None else taken

    def _take(self, chunk: Chunk, run: int, t: FloatArray, renderer: Renderer) -> _Shots:
        """Draw the images at the times `t` and compute their labels."""
        settings = self.settings
        scene = scene_of(chunk, run)
        carrier, mount = find_mount(scene, settings.mount, self._name)
        poses = body_poses(chunk, motion_of(chunk, self._name), run, steps(motion_of(chunk, self._name), t))
        view = View(
            size=settings.size,
            fov=settings.fov,
            pose=compose(poses[:, carrier], np.broadcast_to(mount, (len(t), 7))),
            passes=settings.passes,
            near=settings.near,
            far=settings.far,
        )
        drawn = scene if settings.sees_carrier else _only(scene, [i for i in range(len(scene.bodies)) if i != carrier])
        if not len(t):
            return _Shots(t, _no_images(view), view.pose, [])
        passes = renderer.draw(drawn, t, poses, view).passes
        objects: list[list[dict[str, object]]] = [[] for _ in t]
        if "instance" in settings.passes:
            objects = self._measure(drawn, t, poses, view, passes["instance"], renderer=renderer)
        return _Shots(t, {name: passes[name] for name in settings.passes}, view.pose, objects)

    def _measure(
        self, scene: Scene, t: FloatArray, poses: FloatArray, view: View, instance: AnyArray, *, renderer: Renderer
    ) -> list[list[dict[str, object]]]:
        """Return the labels of each image, objects in the order of the scene.

        Amodal pixels are counted in a second image of the object alone, by the same renderer.
        """
        rows: list[list[dict[str, object]]] = [[] for _ in t]
        width, height = view.size
        present = [set(np.unique(image).tolist()) for image in instance]
        for i, body in enumerate(scene.bodies):
            inside = np.array([j for j, ids in enumerate(present) if i + 1 in ids], np.int64)
            if not body.category or not len(inside):
                continue
            alone = replace(view, pose=view.pose[inside], passes=("instance",))
            whole = renderer.draw(_only(scene, [i]), t[inside], poses[inside], alone).passes["instance"]
            u, v, distance = _project(_centre(body), poses[inside, i], view, inside)
            for n, j in enumerate(inside.tolist()):
                found, full = region(instance[j], i + 1), region(whole[n], i + 1)
                if found is None or found.pixels < self.settings.min_pixels:
                    continue
                x, y, w, h = full.box if full is not None else found.box
                rows[j].append(
                    {
                        "actor": body.name,
                        "category": body.category,
                        "instance": i + 1,
                        "visible": found.pixels,
                        "amodal": max(found.pixels, full.pixels if full is not None else 0),
                        **dict(zip("xywh", found.box, strict=True)),
                        "truncated": x == 0 or y == 0 or x + w == width or y + h == height,
                        "distance": distance[n],
                        "u": u[n],
                        "v": v[n],
                        "counts": found.counts,
                    }
                )
        return rows

    def _images(self, t: FloatArray, k: IntArray, shots: _Shots) -> dict[str, AnyArray]:
        width, height = self.settings.size
        columns: dict[str, AnyArray] = {"t": t, "index": k, "t_shown": shots.t}
        columns |= {"width": np.full(len(t), width), "height": np.full(len(t), height)}
        columns["fov"] = np.full(len(t), self.settings.fov)
        return columns | {name: shots.pose[:, i] for i, name in enumerate(("px", "py", "pz", "qx", "qy", "qz", "qw"))}


def _only(scene: Scene, kept: Sequence[int]) -> Scene:
    """Return the scene without the shapes of other bodies; every body keeps its id."""
    bodies = tuple(
        body if i in kept else Body(body.name, body.category, (), body.mounts, body.moving)
        for i, body in enumerate(scene.bodies)
    )
    return Scene(bodies)


def _join(a: _Shots, b: _Shots) -> _Shots:
    passes = {name: np.concatenate([a.passes[name], b.passes[name]]) for name in a.passes}
    return _Shots(np.concatenate([a.t, b.t]), passes, np.concatenate([a.pose, b.pose]), a.objects + b.objects)


def _no_images(view: View) -> dict[str, AnyArray]:
    width, height = view.size
    kinds = {"rgb": ((3,), np.uint8), "depth": ((), np.float32), "instance": ((), np.uint16)}
    return {name: np.zeros((0, height, width, *kinds[name][0]), kinds[name][1]) for name in view.passes}


def _centre(body: Body) -> FloatArray:
    """Return the centre of the bounding box of a body's shapes, in the body's frame; (3,)."""
    corners = []
    for shape in body.shapes:
        a, b, c = shape.size
        half = {"box": (a / 2, b / 2, c / 2), "sphere": (a, a, a), "cylinder": (a, a, b / 2)}.get(shape.kind, (0, 0, 0))
        pose = np.asarray(shape.pose, np.float64)
        for x in (-half[0], half[0]):
            for y in (-half[1], half[1]):
                for z in (-half[2], half[2]):
                    corners.append(compose(pose, np.array([x, y, z, 0.0, 0.0, 0.0, 1.0]))[:3])
    points = np.array(corners)
    middle: FloatArray = (points.min(axis=0) + points.max(axis=0)) / 2
    return middle


def _project(
    centre: FloatArray, pose: FloatArray, view: View, images: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the pixel position (u right, v down, centres at + 0.5) and distance of a point of a body; (n,) each."""
    eye = view.pose[images]
    point = compose(pose, np.concatenate([np.broadcast_to(centre, (len(pose), 3)), pose[:, 3:]], axis=1))[:, :3]
    seen = unrotate(eye[:, 3:], point - eye[:, :3])
    width, height = view.size
    focal = width / 2 / tan(view.fov / 2)
    ahead = np.where(seen[:, 0] > view.near, seen[:, 0], np.nan)
    u = width / 2 - focal * seen[:, 1] / ahead
    v = height / 2 - focal * seen[:, 2] / ahead
    return u, v, np.sqrt(seen[:, 0] ** 2 + seen[:, 1] ** 2 + seen[:, 2] ** 2)
