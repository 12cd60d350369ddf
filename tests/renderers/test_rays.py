"""Ray casting: every hit against closed formulas and against a search through all triangles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mischance.api.scene import Body, Camera, Material, Mesh, Rays, Scene, Shape
from mischance.renderers._meshes import triangles
from mischance.renderers._rays import cast, rotation
from mischance.renderers.tiny import Settings, Tiny

UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


def scene(*shapes: Shape) -> Scene:
    return Scene(tuple(Body(f"b{i}", "thing", (shape,)) for i, shape in enumerate(shapes)))


def places(*xyz: tuple[float, float, float]) -> np.ndarray:
    return np.array([[[*at, *UPRIGHT] for at in xyz]])


def rays(origin, direction, near: float = 0.0, far: float = 300.0) -> Rays:
    """Return rays at one time; origins (m, 3) or one for all."""
    direction = np.atleast_2d(np.asarray(direction, float))
    direction = direction / np.sqrt((direction**2).sum(axis=1))[:, None]
    return Rays(np.broadcast_to(np.asarray(origin, float), direction.shape)[None], direction[None], near, far)


def test_a_box_is_hit_on_its_near_face_or_not_at_all():
    box = scene(Shape("box", (4.0, 2.0, 1.5)))
    hits = cast(box, places((10.0, 0.0, 0.0)), rays((0, 0, 0), [(1, 0, 0), (1, 0.2, 0), (0, 1, 0), (-1, 0, 0)]))
    # 8 m ahead along x; the second ray would pass the face's edge (y = 1 m at x = 8 m is 0.125) on the outside
    assert hits.distance[0, 0] == 8.0
    assert hits.distance[0, 1:].tolist() == [np.inf] * 3
    assert hits.normal[0, 0].tolist() == [-1.0, 0.0, 0.0]
    assert hits.instance[0].tolist() == [1, 0, 0, 0]
    assert hits.shape[0].tolist() == [0, -1, -1, -1]


def test_far_from_the_origin_a_distance_is_right_to_rounding():
    """Single precision has 6 cm left at 10^6 m: the distance must not come from it."""
    wall = scene(Shape("box", (2.0, 50.0, 50.0)))
    rng = np.random.default_rng(1)
    direction = np.column_stack([np.ones(200), rng.uniform(-0.3, 0.3, (200, 2))])
    eye = np.array([1.0e6, -2.0e6, 300.0])
    hits = cast(wall, places((1.0e6 + 31.25, -2.0e6, 300.0)), rays(eye, direction))
    slant = np.sqrt((direction**2).sum(axis=1))
    assert np.allclose(hits.distance[0], 30.25 * slant, rtol=1e-9, atol=0)


def test_a_plane_is_endless_and_exact():
    ground = scene(Shape("plane", (0.0, 0.0, 0.0)))
    down = np.radians([1.0, 5.0, 30.0, 90.0])
    direction = np.column_stack([np.cos(down), np.zeros(4), -np.sin(down)])
    hits = cast(ground, places((0, 0, 0)), rays((7.0, 3.0, 1.7), direction))
    assert np.allclose(hits.distance[0], 1.7 / np.sin(down), rtol=1e-12)
    assert (hits.normal[0] == [0, 0, 1]).all()
    above = cast(ground, places((0, 0, 0)), rays((7.0, 3.0, 1.7), [(1, 0, 0), (1, 0, 0.1)]))
    assert (above.instance == 0).all()


@pytest.mark.parametrize("kind", ["box", "sphere", "cylinder", "mesh"])
def test_every_hit_is_the_nearest_of_all_triangles(kind: str):
    """Moeller and Trumbore's test of every ray with every triangle, on turned bodies that hide each other."""
    rng = np.random.default_rng(7)
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    pyramid = Mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
    own = Shape(kind, (1.5, 2.0, 1.0), (0.3, -0.2, 0.1, 0.5, 0.5, 0.5, 0.5), mesh=pyramid if kind == "mesh" else None)
    things = Scene(tuple(Body(f"b{i}", "thing", (own, Shape("box", (0.3, 0.3, 2.0)))) for i in range(6)))
    quaternion = rng.normal(size=(6, 4))
    quaternion /= np.sqrt((quaternion**2).sum(axis=1))[:, None]
    pose = np.concatenate([rng.uniform((4, -4, -4), (12, 4, 4), (6, 3)), quaternion], axis=1)
    sent = rays((0.0, 0.0, 0.0), np.column_stack([np.ones(800), rng.uniform(-0.6, 0.6, (800, 2))]), near=2.0)
    hits = cast(things, pose[None], sent)
    expected, whose = np.full(800, np.inf), np.zeros(800, int)
    for i, body in enumerate(things.bodies):
        for shape in body.shapes:
            points, _, faces = triangles(shape)
            inner = rotation(np.array([shape.pose[3:]]))[0]
            world = (points @ inner.T + shape.pose[:3]) @ rotation(quaternion[i : i + 1])[0].T + pose[i, :3]
            for a, b, c in world[faces].reshape(-1, 3, 3):
                t = moeller_trumbore(a, b, c, sent.direction[0])
                nearer = (t >= 2.0) & (t < expected)
                expected[nearer], whose[nearer] = t[nearer], i + 1
    both = np.isfinite(expected) & np.isfinite(hits.distance[0])
    assert both.sum() > 100
    # a ray along an edge may go to either side of it in single precision: at most one in 200
    assert (np.isfinite(expected) != np.isfinite(hits.distance[0])).sum() <= 4
    close = np.isclose(hits.distance[0, both], expected[both], rtol=1e-9)
    assert (~close).sum() <= 4
    assert (hits.instance[0, both][close] == whose[both][close]).all()
    facing = np.einsum("ij,ij->i", hits.normal[0, both], sent.direction[0, both])
    assert (facing < 0).all()
    assert np.allclose((hits.normal[0, both] ** 2).sum(axis=1), 1.0)


def moeller_trumbore(a: np.ndarray, b: np.ndarray, c: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the distance from the origin along each ray to one triangle; inf for a miss."""
    ab, ac = b - a, c - a
    p = np.cross(direction, ac)
    det = p @ ab
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (p @ -a) / det
        q = np.cross(-a, ab)
        v = (direction @ q) / det
        t = (ac @ q) / det
    return np.where((det != 0) & (u >= 0) & (v >= 0) & (u + v <= 1), t, np.inf)


def test_a_mirrored_mesh_keeps_its_outside_outside():
    """A factor below zero mirrors: outward triangles still give a positive volume, which grows with the factors."""
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    sides = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    for factors, volume in (((1.0, 1.0, 1.0), 1 / 6), ((-2.0, 1.0, 3.0), 1.0)):
        points, normals, faces = triangles(Shape("mesh", factors, mesh=Mesh(corners, sides)))
        a, b, c = (points[faces[k::3]] for k in range(3))
        assert np.einsum("ij,ij->", a, np.cross(b, c)) / 6 == pytest.approx(volume)
        assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), normals[faces[0::3]]) > 0).all()


def test_rays_and_the_depth_image_agree():
    """The camera's depth along its axis, times the slant of each pixel's ray, is the ray's distance."""
    things = scene(Shape("plane", (0, 0, 0)), Shape("box", (4.0, 1.8, 1.5)), Shape("sphere", (1.0, 0, 0)))
    pose = places((0, 0, 0), (12.0, 1.0, 0.75), (9.0, -3.0, 1.0))
    eye = np.array([[0.0, 0.0, 1.4, *UPRIGHT]])
    camera = Camera((64, 48), np.radians(70.0), eye, ("depth", "instance"))
    frames = Tiny(Settings()).draw(things, np.zeros(1), pose, camera)
    pixel = 2 * np.tan(camera.fov / 2) / 64
    v, u = np.meshgrid((23.5 - np.arange(48)) * pixel, (31.5 - np.arange(64)) * pixel, indexing="ij")
    direction = np.stack([np.ones_like(u), u, v], axis=-1).reshape(-1, 3)
    hits = Tiny(Settings()).cast(things, np.zeros(1), pose, rays(eye[0, :3], direction))
    slant = np.sqrt((direction**2).sum(axis=1))
    depth, ids = frames.passes["depth"][0].ravel(), frames.passes["instance"][0].ravel()
    same = ids == hits.instance[0]
    assert same.mean() > 0.99  # the rest are pixels on an outline
    seen = same & (ids > 0)
    assert np.allclose(depth[seen] * slant[seen], hits.distance[0, seen], rtol=1e-3)


def test_nearer_than_near_and_farther_than_far_is_no_hit():
    box = scene(Shape("box", (2.0, 2.0, 2.0)))
    ahead = (1, 0, 0)
    at = places((10.0, 0, 0))
    assert cast(box, at, rays((0, 0, 0), ahead, far=8.9)).instance[0, 0] == 0
    assert cast(box, at, rays((0, 0, 0), ahead, far=9.1)).instance[0, 0] == 1
    # the near face is within `near`: the ray starts inside and meets the far face from behind
    inside = cast(box, at, rays((0, 0, 0), ahead, near=9.5))
    assert inside.distance[0, 0] == pytest.approx(11.0)
    assert inside.normal[0, 0].tolist() == [-1.0, 0.0, 0.0]


def test_the_material_of_a_hit_is_found_through_its_shape():
    rubber, steel = Material((0.1, 0.1, 0.1), reflectance=0.05), Material((0.7, 0.7, 0.7), reflectance=0.6)
    low = Shape("box", (1, 1, 1), material=rubber)
    high = replace(low, pose=(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), material=steel)
    body = Scene((Body("tower", "thing", (low, high)),))
    sent = rays([(0.0, 0, 0), (0.0, 0, 1.0)], [(1, 0, 0), (1, 0, 0)])
    hits = cast(body, places((5.0, 0, 0)), sent)
    assert [body.bodies[0].shapes[j].surface.reflectance for j in hits.shape[0]] == [0.05, 0.6]


def test_bodies_move_between_times_and_an_empty_scene_has_no_hits():
    box = scene(Shape("box", (2.0, 2.0, 2.0)))
    pose = np.concatenate([places((10.0, 0, 0)), places((20.0, 0, 0))])
    one = rays((0, 0, 0), (1, 0, 0))
    hits = cast(box, pose, Rays(np.repeat(one.origin, 2, 0), np.repeat(one.direction, 2, 0)))
    assert hits.distance[:, 0].tolist() == [9.0, 19.0]
    assert cast(Scene(()), np.zeros((1, 0, 7)), one).distance.tolist() == [[np.inf]]
