"""Rectangles: distance, depth and time to contact against support functions over many directions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mischance.api.elementwise import elementwise
from mischance.api.geometry import Piece, Rectangle, advanced, chained, length_between, oriented_gap, place
from mischance.api.geometry import time_to_collision_2d as meeting
from mischance.api.line_arrays import lengths_between, line_array

ANGLES = np.linspace(0.0, 2.0 * np.pi, 7201)
NORMALS = np.stack([np.cos(ANGLES), np.sin(ANGLES)])


def corners(box: tuple[float, ...]) -> np.ndarray:
    """Return the corners of a rectangle (x, y, yaw, length, width); shape (4, 2)."""
    x, y, yaw, length, width = box
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    own = 0.5 * np.array([[length, width], [length, -width], [-length, width], [-length, -width]])
    return own @ turn.T + [x, y]


def support_gap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return the largest gap of two shadows over all directions: the distance if apart, minus the depth if not.

    Convex bodies: the distance, and the least shift that parts them, are both taken along one direction.
    """
    one, two = corners(a) @ NORMALS, corners(b) @ NORMALS
    return float((two.min(axis=0) - one.max(axis=0)).max())


def boxes(seed: int, n: int) -> list[tuple[float, ...]]:
    rng = np.random.default_rng(seed)
    low, high = (-5.0, -5.0, -7.0, 1.0, 0.5), (5.0, 5.0, 7.0, 6.0, 3.0)
    return [tuple(row) for row in rng.uniform(low, high, (n, 5))]


def test_the_gap_is_the_largest_gap_of_shadows_over_all_directions():
    pairs = list(zip(boxes(1, 80), boxes(2, 80), strict=True))
    wanted = [support_gap(a, b) for a, b in pairs]
    assert min(wanted) < -1.0
    assert max(wanted) > 3.0
    found = [float(oriented_gap(Rectangle(*a), Rectangle(*b))) for a, b in pairs]
    # a direction is missed by half a step at most, which costs the cosine of it where they are apart, its sine else
    np.testing.assert_allclose(found, wanted, atol=0.5 * (2 * np.pi / 7200) * 12.0)
    columns = oriented_gap(Rectangle(*np.array([a for a, _ in pairs]).T), Rectangle(*np.array([b for _, b in pairs]).T))
    assert columns.tolist() == found


@pytest.mark.parametrize(("x", "y", "gap"), [(7.0, 0.0, 3.0), (7.0, 6.0, 5.0), (1.0, 0.0, -2.0), (4.0, 0.0, 0.0)])
def test_the_gap_of_rectangles_along_the_axes(x: float, y: float, gap: float):
    box = Rectangle(0.0, 0.0, 0.0, 4.0, 2.0)
    for other in (Rectangle(x, y, 0.0, 4.0, 2.0), Rectangle(-x, -y, math.pi, 4.0, 2.0)):
        assert oriented_gap(box, other) == pytest.approx(gap, abs=1e-12)
        assert oriented_gap(other, box) == pytest.approx(gap, abs=1e-12)


def test_what_is_no_number_has_no_gap():
    box = Rectangle(0.0, 0.0, 0.0, 4.0, 2.0)
    for place_, wrong in ((0, math.nan), (1, math.inf), (3, -math.inf), (4, math.nan)):
        odd = Rectangle(*(wrong if i == place_ else value for i, value in enumerate(box)))
        assert math.isnan(oriented_gap(box, odd))
        assert math.isnan(oriented_gap(odd, box))
        assert math.isnan(meeting(odd, box, (1.0, 0.0), (0.0, 0.0)))
    assert math.isnan(meeting(box, box, (math.inf, 0.0), (0.0, 0.0)))
    assert math.isnan(meeting(box, box, (0.0, 0.0), (0.0, -math.inf)))


def test_rectangles_meet_at_the_first_moment_at_which_their_shadows_overlap_in_all_directions():
    rng = np.random.default_rng(4)
    met = 0
    for a, (x, *rest) in zip(boxes(5, 60), boxes(6, 60), strict=True):
        b = (x + 12.0, *rest)
        va, vb = rng.uniform((1.0, -2.0), (6.0, 2.0)), rng.uniform((-4.0, -2.0), (1.0, 2.0))
        t = float(meeting(Rectangle(*a), Rectangle(*b), tuple(va), tuple(vb)))

        def gap(at: float, a: tuple[float, ...] = a, b: tuple[float, ...] = b, v: np.ndarray = vb - va) -> float:
            return support_gap(a, (b[0] + v[0] * at, b[1] + v[1] * at, *b[2:]))

        if math.isinf(t):
            assert min(gap(at) for at in np.linspace(0.0, 20.0, 60)) > -1e-9
            continue
        met += 1
        assert gap(t) == pytest.approx(0.0, abs=0.01)
        assert all(gap(share * t) > 0.0 for share in (0.0, 0.5, 0.9, 0.99))
    assert 10 < met < 55


def test_what_touches_meets_now_and_what_parts_or_passes_never():
    box, at = Rectangle(0.0, 0.0, 0.0, 4.0, 2.0), (0.0, 0.0)
    assert meeting(box, Rectangle(4.0, 0.0, 0.0, 4.0, 2.0), at, at) == 0.0  # at rest, face on face
    assert meeting(box, Rectangle(1.0, 0.0, 0.0, 4.0, 2.0), at, (9.0, 0.0)) == 0.0  # they overlap, and part
    assert math.isinf(meeting(box, Rectangle(4.5, 0.0, 0.0, 4.0, 2.0), at, at))
    assert math.isinf(meeting(box, Rectangle(9.0, 0.0, 0.0, 4.0, 2.0), at, (1.0, 0.0)))
    assert meeting(box, Rectangle(9.0, 0.0, 0.0, 4.0, 2.0), at, (-2.0, 0.0)) == 2.5
    assert meeting(box, Rectangle(9.0, 2.0, 0.0, 4.0, 2.0), at, (-2.0, 0.0)) == 2.5  # it scrapes along: touching
    assert math.isinf(meeting(box, Rectangle(9.0, 2.1, 0.0, 4.0, 2.0), at, (-2.0, 0.0)))
    assert meeting(box, Rectangle(9.0, -7.0, 0.0, 4.0, 2.0), (2.0, 0.0), (0.0, 2.0)) == 2.5  # from the right


def test_formulas_take_any_shapes_and_are_silent_and_absent_where_an_input_is():
    @elementwise
    def quotient(pair, c, *, d):  # type: ignore[no-untyped-def]
        return pair[0] / pair[1] + 0.0 * c + np.nan_to_num(d)

    found = quotient((np.array([1.0, 2.0, np.nan]), 0.0), np.array([[1.0], [2.0]]), d=5)
    assert found.shape == (2, 3)
    np.testing.assert_array_equal(found, [[np.inf, np.inf, np.nan]] * 2)
    assert found.dtype == np.float64
    assert np.isnan(quotient((1.0, 2.0), 3.0, d=np.nan)), "though the formula itself would give a number"
    assert quotient((1, 2), 3, d=4) == 4.5
    assert quotient((1, 2), 3, d=4).shape == ()


# -- lengths along a line ---------------------------------------------------------------------------------------------

BENT = chained([(30.0, 0.0), (40.0, 1.0 / 50.0), (25.0, -1.0 / 30.0), (1e9, 0.0)])
SPANS = [
    (-5.0, 12.0, 0.0),
    (10.0, 50.0, 3.0),
    (20.0, 90.0, -4.0),
    (35.0, 60.0, 2.0),
    (80.0, 130.0, 5.0),
    (50.0, 50.0, 1.0),
]


def walked(s: float, s1: float, d: float) -> float:
    """Return the length of a parallel as a sum of short chords."""
    ways = np.concatenate([np.linspace(s, s1, 40_001)])
    x, y, _ = np.array([place(BENT, at, d) for at in ways[::20]]).T
    return float(np.hypot(np.diff(x), np.diff(y)).sum())


@pytest.mark.parametrize(("s", "s1", "d"), SPANS)
def test_a_length_is_the_sum_of_its_chords_and_advancing_by_it_comes_back(s: float, s1: float, d: float):
    found = length_between(BENT, s, s1, d)
    assert found == pytest.approx(walked(s, s1, d), rel=1e-6, abs=1e-9)
    assert length_between(BENT, s1, s, d) == -found
    assert advanced(BENT, s, d, found) == pytest.approx(s1, abs=1e-9)
    assert advanced(BENT, s1, d, -found) == pytest.approx(s, abs=1e-9)
    rows = np.full((2, 6, 6), np.nan)
    rows[0, : len(BENT)] = line_array(BENT)
    rows[1, 0] = line_array(BENT)[1]  # one arc alone, which goes on
    many = lengths_between(rows, np.array([[s, s1]]), np.array([[s1, s]]), np.array([[d]]))
    np.testing.assert_allclose(many[0], [found, -found], atol=1e-9)
    np.testing.assert_allclose(many[1], np.array([1, -1]) * (s1 - s) * (1.0 - d / 50.0), atol=1e-9)


def test_one_piece_goes_on_both_ways_and_a_parallel_never_vanishes():
    arc = [Piece.at(0.0, 0.0, 0.0, 0.0, 10.0, 0.1)]
    assert length_between(arc, -20.0, 30.0, 4.0) == pytest.approx(50.0 * 0.6)
    assert length_between(arc, 0.0, 10.0, 10.0) == pytest.approx(0.1)  # at the centre: a hundredth, not nothing
    assert length_between(arc, 0.0, 10.0, 25.0) == pytest.approx(0.1)
    assert advanced(arc, 5.0, 4.0, -6.0) == pytest.approx(-5.0)
