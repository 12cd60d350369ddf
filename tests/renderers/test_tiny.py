"""The renderer against the geometry of a pinhole camera, sampled at pixel centres."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pybullet")

from mischance.api.engines import bullet
from mischance.api.scene import Body, Camera, Mesh, Scene, Shape
from mischance.errors import RunError
from mischance.renderers.tiny import Settings, Tiny
from mischance.simulators.road import Road
from mischance.simulators.road.appearance import scene as scene_of_road
from mischance.simulators.road.kinds import KINDS

HERE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
SIZE, FOV = (160, 120), np.radians(70)
FOCAL = 80 / np.tan(FOV / 2)
EYE = np.array([[0.0, 0.0, 1.5, 0.0, 0.0, 0.0, 1.0]])


def one(kind, size, color=(0.7, 0.2, 0.2)):
    return Scene((Body("thing", "thing", (Shape(kind, size, HERE, color),)),))


def draw(scene, places, eye=EYE, passes=("rgb", "depth", "instance"), far=300.0, size=SIZE, **settings):
    pose = np.zeros((1, len(scene.bodies), 7))
    pose[..., 6] = 1.0
    pose[0, :, :3] = places
    camera = Camera(size, FOV, eye, passes, 0.1, far)
    frames = Tiny(Settings(**settings)).draw(scene, np.zeros(1), pose, camera)
    return {name: images[0] for name, images in frames.passes.items()}


def test_a_wall_at_ten_metres_is_ten_metres_away_everywhere():
    seen = draw(one("box", (1.0, 60.0, 60.0)), [(10.5, 0, 0)])
    assert np.all(seen["instance"] == 1)
    np.testing.assert_allclose(seen["depth"], 10.0, rtol=1e-4)


def test_the_ground_lies_where_the_ray_of_each_pixel_centre_meets_it():
    seen = draw(one("plane", (0.0, 0.0, 0.0)), [(0, 0, 0)], far=200.0)
    rows = np.arange(SIZE[1]) + 0.5 - SIZE[1] / 2
    expected = np.where(rows > 0, 1.5 * FOCAL / np.where(rows > 0, rows, 1.0), np.inf)
    hit = expected < 199
    assert np.array_equal(seen["instance"][:, 0] == 1, hit)
    np.testing.assert_allclose(
        seen["depth"][hit], np.broadcast_to(expected[hit, None], seen["depth"][hit].shape), rtol=5e-4
    )
    assert np.all(np.isinf(seen["depth"][~hit]))


def test_the_ground_goes_on_for_ever():
    scene, up = one("plane", (0.0, 0.0, 0.0)), np.array([[0.0, 0.0, 1.5, 0.0, 0.0, 0.0, 1.0]])
    here, there = (draw(scene, [(0, 0, 0)], eye=up + np.eye(7)[[0]] * x) for x in (0.0, 50_000.0))
    assert np.array_equal(here["instance"], there["instance"])
    np.testing.assert_allclose(here["depth"], there["depth"], rtol=1e-5)


@pytest.mark.parametrize("y", [0.0, 0.613, -1.37])
@pytest.mark.parametrize("z", [1.5, 2.021])
def test_a_box_covers_the_pixels_whose_centres_its_outline_holds(y, z):
    seen = draw(one("box", (0.5, 1.3, 0.9)), [(8.25, y, z)])["instance"]
    u = np.arange(SIZE[0]) + 0.5
    v = np.arange(SIZE[1]) + 0.5
    left, right = (SIZE[0] / 2 - FOCAL * (y + side) / 8.0 for side in (0.65, -0.65))
    top, bottom = (SIZE[1] / 2 - FOCAL * (z - 1.5 + side) / 8.0 for side in (0.45, -0.45))
    front = ((u > left) & (u < right))[None, :] & ((v > top) & (v < bottom))[:, None]
    front_depth = draw(one("box", (0.5, 1.3, 0.9)), [(8.25, y, z)])["depth"] < 8.01
    assert np.array_equal(front_depth, front)
    assert np.all(seen[front] == 1)


def test_a_sphere_covers_its_ellipse():
    seen = draw(one("sphere", (1.0, 0, 0)), [(7.0, 0, 1.5)], size=(640, 480))
    focal = 4 * FOCAL
    radius = focal * 1.0 / np.sqrt(7.0**2 - 1.0)
    assert abs(int((seen["instance"] == 1).sum()) - np.pi * radius**2) < 2 * radius  # one pixel row
    assert abs(float(seen["depth"].min()) - 6.0) < 0.03


def test_a_cylinder_is_as_wide_and_as_high_as_it_should_be():
    mask = draw(one("cylinder", (0.5, 2.0, 0)), [(8.0, 0, 1.5)], size=(640, 480))["instance"] == 1
    focal = 4 * FOCAL
    assert abs(int(mask[240].sum()) - 2 * focal * 0.5 / np.sqrt(64 - 0.25)) <= 1.5
    assert abs(int(mask[:, 320].sum()) - 2 * focal * 1.0 / 7.5) <= 1.5


def test_the_camera_turns_as_its_quaternion_says():
    s = np.sqrt(0.5)
    eye = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, s, s]])  # looks along +y
    seen = draw(one("box", (1.0, 1.0, 1.0)), [(2.0, 8.0, 0.0)], eye=eye)["instance"]
    columns = np.flatnonzero((seen == 1).any(axis=0))
    assert columns.min() > SIZE[0] / 2  # +x is to the right of one who looks along +y


def test_far_from_the_origin_the_picture_is_the_same():
    scene = one("box", (1.0, 1.0, 1.0))
    near = draw(scene, [(8.0, 0.3, 1.2)])
    away = draw(scene, [(4096.0 + 8.0, -2048.0 + 0.3, 1.2)], eye=np.add(EYE, [4096.0, -2048.0, 0, 0, 0, 0, 0]))
    for name in near:
        # Only the last bits of the distance may differ, where the place is subtracted.
        np.testing.assert_allclose(away[name].astype(float), near[name].astype(float), rtol=1e-5, atol=1)


def test_ids_are_places_in_the_scene_and_empty_bodies_keep_theirs():
    shape = Shape("box", (1.0, 1.0, 1.0))
    scene = Scene(
        (Body("ghost", "", ()), Body("a", "x", (shape, Shape("sphere", (0.4, 0, 0)))), Body("b", "y", (shape,)))
    )
    seen = draw(scene, [(5, 0, 1.5), (8, 1.5, 1.5), (8, -1.5, 1.5)])["instance"]
    assert np.array_equal(np.unique(seen), [0, 2, 3])
    assert np.flatnonzero((seen == 2).any(axis=0)).max() < np.flatnonzero((seen == 3).any(axis=0)).min()
    assert seen.dtype == np.uint16


def test_the_same_call_gives_the_same_bytes_whatever_was_drawn_before():
    ground = Body("ground", "", (Shape("plane", (0, 0, 0)),))
    car = Body("car", "car", (Shape("box", (4.0, 1.8, 1.4)),))
    places = [(0, 0, 0), (9, 1, 0.7)]
    first = draw(Scene((ground, car)), places)
    draw(Scene((ground, car)), [(0, 0, 0), (6, -1, 0.7)], size=(64, 48))
    draw(Scene((car, ground)), [(7, 0, 0.7), (0, 0, 0)], smooth=True)
    again = draw(Scene((ground, car)), places)
    for name in first:
        assert np.array_equal(first[name], again[name]), name
    few = draw(Scene((ground, car)), places, passes=("instance",))
    assert np.array_equal(few["instance"], first["instance"])


def test_the_sun_casts_a_shadow_and_changes_no_label():
    scene = Scene(
        (Body("ground", "", (Shape("plane", (0, 0, 0)),)), Body("post", "post", (Shape("box", (1.0, 1.0, 3.0)),)))
    )
    places = [(0, 0, 0), (10, 0, 1.5)]
    dark, bright = draw(scene, places, shadow=True), draw(scene, places, shadow=False)
    ground = dark["instance"] == 1
    darker = (dark["rgb"].astype(int).sum(axis=2) < bright["rgb"].astype(int).sum(axis=2) - 30) & ground
    assert darker.sum() > 20
    assert np.array_equal(dark["instance"], bright["instance"])
    assert np.array_equal(dark["depth"], bright["depth"])
    assert np.all(dark["rgb"][0, :, 2] > dark["rgb"][0, :, 0])  # the sky is blue


# -- the scene of the world `road` ---------------------------------------------------------------------------------

STREET = {
    "lanes": 2,
    "length": 60,
    "line": [{"length": 20}, {"length": 31.4159, "radius": 20}],
    "crossings": {"side": {"at": 10, "lanes": 2}},
    "patches": [{"start": -20, "end": -10, "friction": 0.1, "left": 3.5}],
}


def street(**actors):
    return scene_of_road(Road.Settings(road=STREET, actors={"ego": {"speed": 0}, **actors}))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_of_an_actor_fills_its_box(kind):
    found = street(it={"body": kind, "speed": 0})
    body = next(body for body in found.bodies if body.name == "it")
    assert body.category == kind
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for shape in body.shapes:
        a, b, c = shape.size
        turn = np.array(bullet().getMatrixFromQuaternion(shape.pose[3:])).reshape(3, 3)
        half = {"box": (a / 2, b / 2, c / 2), "sphere": (a, a, a), "cylinder": (a, a, b / 2)}[shape.kind]
        reach = (np.abs(turn) * half).sum(axis=1)
        low, high = np.minimum(low, shape.pose[:3] - reach), np.maximum(high, shape.pose[:3] + reach)
    size = np.array(KINDS[kind][:3])
    np.testing.assert_allclose(high - low, size, rtol=0.08, atol=0.03)
    np.testing.assert_allclose(high + low, 0.0, atol=0.05 * size.max())
    assert len({shape.color for shape in body.shapes}) >= 3  # one can tell what it is


def test_seen_from_above_the_road_bends_crosses_and_is_icy_where_its_settings_say():
    found = street()
    height, size = 60.0, (480, 480)
    s = np.sqrt(0.5)
    eye = np.array([[10.0, 0.0, height, 0.0, s, 0.0, s]])  # looks down, +x is up in the picture
    pose = np.zeros((1, len(found.bodies), 7))
    pose[..., 6] = 1.0
    pose[0, 0, 0] = -500.0
    frames = Tiny(Settings(shadow=False)).draw(found, np.zeros(1), pose, Camera(size, FOV, eye, ("rgb",), 1.0, 300.0))
    image = frames.passes["rgb"][0].astype(int)
    focal = 240 / np.tan(FOV / 2)

    def at(x, y):
        return image[round(239.5 - focal * (x - 10.0) / height), round(239.5 - focal * y / height)]

    def grassy(color):
        return color[1] > color[0] + 15

    road, ice = at(0.0, 5.0), at(-15.0, 1.2)
    assert not grassy(road)
    assert grassy(at(-5.0, -12.0))
    assert ice.sum() > road.sum() + 150
    assert np.abs(at(-15.0, 5.0) - road).max() < 12  # the other lane is not icy
    assert np.abs(at(10.0 + 1.2, -15.0) - road).max() < 12  # the crossing road
    for turn in np.radians([25.0, 50.0, 75.0]):
        out = np.array([np.sin(turn), -np.cos(turn)])
        middle = np.array([20.0, 20.0])
        assert np.abs(at(*(middle + (20.0 - 1.75) * out)) - road).max() < 12, turn
        assert at(*(middle + 20.0 * out)).sum() > road.sum() + 150  # the edge line
        assert grassy(at(*(middle + 27.0 * out)))
        assert grassy(at(*(middle + 7.0 * out)))


def test_no_line_is_painted_across_a_crossing():
    shapes = next(body for body in street().bodies if body.name == "road").shapes
    lines = [shape for shape in shapes if shape.kind == "box" and shape.size[2] == 0.02]
    assert len(lines) > 10
    for shape in lines:
        inside = abs(shape.pose[0] - 10.0) < 3.5 and 0.0 < shape.pose[1] < 7.0
        assert not inside, shape


def test_a_box_made_of_triangles_looks_like_a_box():
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    sides = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = np.array([[a, b, c] for a, b, c, d in sides] + [[a, c, d] for a, b, c, d in sides])
    size, place = (2.0, 3.0, 1.0), (0.1, 0.2, 0.3, 0.0, 0.0, 0.3826834323650898, 0.9238795325112867)
    box = Shape("box", size, place, (0.7, 0.2, 0.2))
    mesh = Shape("mesh", size, place, (0.7, 0.2, 0.2), mesh=Mesh(corners, faces))
    one_, two = (draw(Scene((Body("b", "thing", (shape,)),)), [(8.0, 0.5, 1.0)]) for shape in (box, mesh))
    for name in ("rgb", "instance"):
        assert np.array_equal(one_[name], two[name]), name
    assert (one_["instance"] == 1).sum() > 100


def test_what_it_cannot_draw_is_named():
    with pytest.raises(RunError, match="no pass 'normals'"):
        draw(one("box", (1, 1, 1)), [(5, 0, 0)], passes=("normals",))
    with pytest.raises(RunError, match="kind 'torus' cannot be drawn"):
        draw(one("torus", (1, 1, 1)), [(5, 0, 0)])


def test_without_pybullet_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pybullet", None)
    monkeypatch.delitem(sys.modules, "mischance.renderers._bullet", raising=False)
    with pytest.raises(RunError) as caught:
        draw(one("box", (1, 1, 1)), [(5, 0, 0)])
    assert "mischance[physics]" in caught.value.hint
