"""PyBullet's TinyRenderer: software only, works on any machine with PyBullet."""

from __future__ import annotations

from dataclasses import replace
from math import pi
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet

import numpy as np
from pydantic import BaseModel, Field

from mischance.api.scene import Frames
from mischance.errors import RunError
from mischance.units import Angle, Length, Ratio

if TYPE_CHECKING:
    from mischance.api.scene import Camera, Hits, Rays, Scene
    from mischance.api.tables import AnyArray, FloatArray


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the renderer."""

    shadow: bool = Field(True, description="whether the sun casts shadows (about half as much time again)")
    sun_azimuth: Angle = Field(105.0 * pi / 180.0, description="where the sun stands, from +x towards +y [rad]")
    sun_elevation: Angle = Field(42.0 * pi / 180.0, gt=0, le=pi / 2, description="its height above the horizon [rad]")
    ambient: Ratio = Field(0.62, ge=0, le=1, description="share of a surface's colour by light from all around")
    sunlight: Ratio = Field(0.5, ge=0, le=1, description="share of it by the sun where that stands straight above it")
    shadow_darkness: Ratio = Field(0.42, gt=0, le=1, description="share of the light that a shadow takes")
    shadow_reach: Length = Field(
        32.0, gt=0, le=100, description="half-side of the square of ground before the camera that has shadows [m]"
    )
    visibility: Length = Field(1500.0, gt=0, description="distance at which haze leaves 5 % of contrast [m]")
    smooth: bool = Field(False, description="whether colour is sampled four times a pixel (about four times as slow)")


_drawing: WeakSet[Tiny] = WeakSet()  # instances that have drawn and are not closed: scenes are kept for all of them


class Tiny:
    """Draws boxes, spheres, cylinders and planes in colour, depth and instance ids.

    Pixels are sampled at their centres. Depth has a relative error of about 1e-4 (median error 0.05 mm on a road
    scene); surfaces nearer than `near` or farther than `far` are not drawn, and the sky is +inf. Shapes are visible
    from outside only. The same call returns the same bytes, whatever was drawn before.
    """

    needs: ClassVar[tuple[str, ...]] = ("pybullet",)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def draw(self, scene: Scene, t: FloatArray, pose: FloatArray, camera: Camera) -> Frames:
        """Return the passes that the camera requests.

        Args:
            scene: bodies; a body's id in the image is its index + 1.
            t: times of the images [s]; (n,).
            pose: world poses of all bodies of the scene; (n, bodies, 7).
            camera: its pose in each image, and its optics.

        Raises:
            RunError: PyBullet is not installed, or a shape or pass is not known.
        """
        unknown = sorted(set(camera.passes) - {"rgb", "depth", "instance"})
        if unknown:
            raise RunError(f"renderer 'tiny' has no pass {unknown[0]!r}", "it draws: depth, instance, rgb")
        try:
            from ._bullet import stage_for
        except ImportError as error:
            raise RunError("renderer 'tiny' needs PyBullet", "pip install 'mischance[physics]'") from error
        from ._light import Light, halve, paint

        _drawing.add(self)
        stage = stage_for(scene)
        settings = self.settings
        light = Light(
            settings.sun_azimuth, settings.sun_elevation, settings.ambient, settings.sunlight, settings.visibility,
            settings.shadow_darkness if settings.shadow else 0.0, settings.shadow_reach,
        )  # fmt: skip
        fine = replace(camera, size=(camera.size[0] * 2, camera.size[1] * 2)) if settings.smooth else camera
        images: dict[str, list[AnyArray]] = {name: [] for name in camera.passes}
        for bodies, eye in zip(pose, camera.pose, strict=True):
            stage.place(bodies, eye)
            colour, depth, instance = stage.look(eye, camera, light)
            if "depth" in images:
                images["depth"].append(depth)
            if "instance" in images:
                images["instance"].append(instance)
            if "rgb" not in images:
                continue
            if settings.shadow:
                stage.far_sides.place(bodies, eye)
            if settings.smooth:
                colour, depth, _ = stage.look(eye, fine, light)
            painted = paint(stage, eye, fine, light, (colour, depth))
            images["rgb"].append(halve(painted) if settings.smooth else painted)
        width, height = camera.size
        kinds = {"rgb": (np.uint8, (3,)), "depth": (np.float32, ()), "instance": (np.uint16, ())}
        passes = {
            name: np.stack(found) if found else np.zeros((0, height, width, *kinds[name][1]), kinds[name][0])
            for name, found in images.items()
        }
        return Frames(t, passes)

    def cast(self, scene: Scene, t: FloatArray, pose: FloatArray, rays: Rays) -> Hits:
        """Return the first hit of each ray, by Embree; PyBullet is not needed.

        Args:
            scene: bodies; a body's id in the hits is its index + 1.
            t: times of the rays [s]; (n,).
            pose: world poses of all bodies of the scene; (n, bodies, 7).
            rays: origins and directions of length 1; (n, m, 3).

        Raises:
            RunError: a shape of an unknown kind.
        """
        from ._rays import cast

        return cast(scene, pose, rays)

    def close(self) -> None:
        """Disconnect all PyBullet clients of this process that draw, once no other renderer draws with them."""
        import sys

        _drawing.discard(self)
        engine = sys.modules.get(f"{__package__}._bullet")
        if engine is not None and not _drawing:
            engine.forget()
