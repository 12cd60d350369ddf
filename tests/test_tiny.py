"""The renderer against geometry: what a pinhole camera must see, sampled at pixel centres."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pybullet")

from mischance.errors import RunError
from mischance.renderers.tiny import Settings, Tiny
from mischance.truth import Body, Camera, Scene, Shape

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


def test_what_it_cannot_draw_is_named():
    with pytest.raises(RunError, match="no pass 'normals'"):
        draw(one("box", (1, 1, 1)), [(5, 0, 0)], passes=("normals",))
    with pytest.raises(RunError, match="cannot draw a 'torus'"):
        draw(one("torus", (1, 1, 1)), [(5, 0, 0)])


def test_without_pybullet_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pybullet", None)
    monkeypatch.delitem(sys.modules, "mischance.renderers._bullet", raising=False)
    with pytest.raises(RunError) as caught:
        draw(one("box", (1, 1, 1)), [(5, 0, 0)])
    assert "mischance[physics]" in caught.value.hint
