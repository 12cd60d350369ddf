"""Lines of straight pieces and arcs: against integrated headings, circles, and between their three forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mischance.api.geometry import GOES_ON, LONG_ARC, Piece, chained, place, project, ways
from mischance.api.line_arrays import line_array, place_all, project_all

WINDING = [(30.0, 0.0), (40.0, 1.0 / 50.0), (10.0, 0.0), (60.0, -1.0 / 30.0), (GOES_ON, 0.0)]


def integrated(pieces: list[tuple[float, float]], s: float, d: float, n: int = 200_000) -> tuple[float, float, float]:
    """Return the place at s and d by summing steps along the heading: the midpoint rule."""
    step = s / n
    middles = (np.arange(n) + 0.5) * step
    starts = np.cumsum([0.0, *(length for length, _ in pieces[:-1])])
    bends = np.array([bend for _, bend in pieces])

    def heading(at: np.ndarray | float) -> np.ndarray:
        parts = np.clip(np.subtract.outer(at, starts), 0.0, [length for length, _ in pieces])
        return np.asarray(parts @ bends)

    end = float(heading(np.array(s)))
    x, y = step * np.cos(heading(middles)).sum(), step * np.sin(heading(middles)).sum()
    return x - d * math.sin(end), y + d * math.cos(end), end


@pytest.mark.parametrize(("s", "d"), [(12.0, 0.0), (55.0, 3.0), (75.0, -2.0), (130.0, 5.0), (200.0, 1.5)])
def test_a_place_is_where_the_heading_leads(s: float, d: float):
    assert place(chained(WINDING), s, d) == pytest.approx(integrated(WINDING, s, d), abs=1e-6)


@pytest.mark.parametrize("bend", [1.0 / 40.0, -1.0 / 40.0])
def test_an_arc_is_a_circle(bend: float):
    arc = chained([(100.0, bend)], x=3.0, y=-2.0, heading=0.7)
    centre = np.array([3.0 - math.sin(0.7) / bend, -2.0 + math.cos(0.7) / bend])
    for s, d in ((0.0, 0.0), (37.0, 4.0), (100.0, -3.0), (-20.0, 0.0)):  # the first piece goes on backwards
        x, y, heading = place(arc, s, d)
        assert math.hypot(*(np.array([x, y]) - centre)) == pytest.approx(abs(1.0 / bend - d))
        assert heading == pytest.approx(0.7 + bend * s)
        assert math.hypot(*(np.array(place(arc, s + 1e-3, d)[:2]) - [x, y])) == pytest.approx(
            1e-3 * (1.0 - bend * d), rel=1e-6
        )


def test_hardly_bent_is_as_good_as_straight():
    for bend in (1e-9, 1e-7, 1e-5):
        x, y, _ = place(chained([(GOES_ON, bend)]), 50.0, 0.0)
        assert x == pytest.approx(math.sin(bend * 50.0) / bend, rel=1e-12)
        assert y == pytest.approx(0.5 * bend * 50.0**2, rel=1e-6)


def test_projection_finds_the_place_again():
    line = chained(WINDING)
    rng = np.random.default_rng(7)
    for s, d in zip(rng.uniform(-40.0, 220.0, 300), rng.uniform(-8.0, 8.0, 300), strict=True):
        x, y, heading = place(line, s, d)
        found_s, found_d, number = project(line, x, y)
        assert (found_s, found_d) == pytest.approx((s, d), abs=1e-9)
        assert line[number].s <= found_s + 1e-9 or number == 0
        assert heading == pytest.approx(line[number].heading + line[number].curvature * (found_s - line[number].s))


def test_the_nearest_point_is_the_nearest_of_many():
    line = chained(WINDING)
    s = np.linspace(-60.0, 250.0, 31_001)
    x, y, _ = place_all(line_array(line), s, 0.0)
    rng = np.random.default_rng(3)
    # away from the arcs' centres, where the nearest point jumps
    for px, py in rng.uniform((0.0, -10.0), (60.0, 20.0), (50, 2)):
        far = np.hypot(x - px, y - py)
        found = project(line, px, py)[0]
        qx, qy, _ = place(line, found, 0.0)
        assert math.hypot(qx - px, qy - py) == pytest.approx(far.min(), abs=1e-3)


def test_a_long_arc_does_not_jump_back_to_its_beginning():
    radius, angle = 20.0, 5.5  # more than half a circle
    assert angle > LONG_ARC
    line = chained([(angle * radius, 1.0 / radius), (GOES_ON, 0.0)])
    for turned in (0.1, 3.0, 3.3, 5.4):
        s, d, number = project(line, radius * math.sin(turned), radius - radius * math.cos(turned))
        assert (s, d, number) == (pytest.approx(turned * radius), pytest.approx(0.0, abs=1e-9), 0)


def test_many_places_at_once_are_as_one_by_one():
    lines = [chained(WINDING), chained([(GOES_ON, 0.0)], x=5.0, heading=1.0), chained([(GOES_ON, -0.02)])]
    rows = np.full((len(lines), len(WINDING), 6), np.nan)
    for i, line in enumerate(lines):
        rows[i, : len(line)] = line_array(line)
    rng = np.random.default_rng(11)
    x, y = rng.uniform(-50.0, 100.0, (2, len(lines), 200))
    found = project_all(rows, x, y)
    for i, line in enumerate(lines):
        single = np.array([project(line, *at) for at in zip(x[i], y[i], strict=True)])
        np.testing.assert_allclose(found.s[i], single[:, 0], atol=1e-9)
        np.testing.assert_allclose(found.d[i], single[:, 1], atol=1e-9)
        pieces = single[:, 2].astype(int)
        headings = [
            line[n].heading + line[n].curvature * (s - line[n].s) for n, s in zip(pieces, single[:, 0], strict=True)
        ]
        np.testing.assert_allclose(found.heading[i], headings, atol=1e-9)
        np.testing.assert_allclose(found.curvature[i], [line[n].curvature for n in pieces])
        s, d = rng.uniform(-40.0, 200.0, 200), rng.uniform(-5.0, 5.0, 200)
        many = np.stack(place_all(rows[i, : len(line)], s, d), axis=1)
        np.testing.assert_allclose(many, [place(line, *at) for at in zip(s, d, strict=True)], atol=1e-9)


def test_compiled_for_the_road_they_say_the_same():
    import numba

    from mischance.simulators.road import paths
    from mischance.simulators.road.state import PIECE

    @numba.njit(error_model="numpy")
    def both(line, n, x, y):  # type: ignore[no-untyped-def]
        s, d, number = paths.project(line, n, x, y)
        return s, d, number, paths.place(line, n, s, d)

    line = chained(WINDING)
    records = np.zeros(len(line), PIECE)
    records[:] = line
    for x, y in np.random.default_rng(5).uniform(-30.0, 90.0, (100, 2)):
        s, d, number = project(line, float(x), float(y))
        compiled = both(records, len(line), x, y)  # their libraries round atan2 and hypot in their own ways
        assert compiled[2] == number
        assert compiled[:2] == pytest.approx((s, d), abs=1e-12, rel=1e-13)
        assert compiled[3] == pytest.approx(place(line, s, d), abs=1e-12, rel=1e-13)


def test_chords_leave_an_arc_by_no_more_than_asked():
    line = chained([(20.0, 0.0), (60.0, 1.0 / 25.0), (GOES_ON, 0.0)])
    for sag in (0.02, 0.2):
        s = ways(line, -30.0, 100.0, sag)
        assert (s[0], s[-1]) == (-30.0, 100.0)
        assert (np.diff(s) > 0.0).all()
        assert {20.0, 80.0} <= set(s.tolist())  # never across the border of two pieces
        arc = s[(s >= 20.0) & (s <= 80.0)]
        half = 0.5 * np.diff(arc) / 25.0
        sags = 25.0 * (1.0 - np.cos(half))
        assert sags.max() <= sag
        assert sags.max() > 0.85 * sag  # and no more of them than that takes
        assert len(s) == len(arc) + 2


def test_a_piece_knows_its_direction():
    piece = Piece.at(1.0, 2.0, 0.5)
    assert (piece.cosine, piece.sine) == (math.cos(0.5), math.sin(0.5))
    assert place([piece], 10.0, 2.0) == pytest.approx(
        (1.0 + 10.0 * math.cos(0.5) - 2.0 * math.sin(0.5), 2.0 + 10.0 * math.sin(0.5) + 2.0 * math.cos(0.5), 0.5)
    )
