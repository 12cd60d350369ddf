"""Reference drivers: published reactions and decelerations, monotonicity in the gap, independence of runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest

from mischance.api import appearance
from mischance.api.appearance import LANE_ROWS, lane_rows
from mischance.api.geometry import GOES_ON, chained
from mischance.api.labels import table_of_rows
from mischance.api.protocols import declares
from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Reading
from mischance.api.tables import Column, FloatArray, Schema, Table
from mischance.driving.criticality import (
    jerk_limited_smallest_gap,
    r157_cut_in_avoidable_ttc,
    rss_lateral_distance,
    rss_longitudinal_distance,
)
from mischance.language import catalog
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw

DRIVERS = ("idm", "aeb", "r157_driver", "r157_performance", "rss", "fuzzy_safety")
TICK, LENGTH, WIDTH, LANE = 0.05, 4.5, 1.8, 3.5
ACTORS: Schema = {
    "t": Column(unit="s"), "actor": Column("category", names=("ego", "other")),
    **{name: Column() for name in ("x", "y", "yaw", "speed", "vx", "vy", "acceleration", "length", "width")},
}  # fmt: skip
Path = Callable[[float], tuple[Any, Any, Any, Any, Any]]  # t -> x, y, vx, vy, acceleration of the other one


def agent(kind: str, **changes: Any) -> Any:
    cls = catalog.find("agents", kind)
    return cls(declares(cls).settings.model_validate(changes))


def at_speed(gap: Any, speed: Any, y: Any = 0.0, lateral: Any = 0.0, acceleration: Any = 0.0) -> Path:
    """Return the path of a car `gap` ahead that comes over to y = 0 at a lateral speed, and brakes to a standstill."""
    sign = -np.sign(y)

    def where(t: float) -> tuple[Any, Any, Any, Any, Any]:
        a = np.asarray(acceleration)
        rolling = np.minimum(t, np.where(a < 0.0, np.asarray(speed) / np.maximum(-a, 1e-9), np.inf))
        x = gap + LENGTH + speed * rolling + 0.5 * a * rolling * rolling
        over = np.minimum(lateral * t, np.abs(y))
        return (
            x,
            y + sign * over,
            speed + a * rolling,
            np.where(over < np.abs(y), sign * lateral, 0.0),
            a * (rolling >= t),
        )

    return where


class Lane:
    """Result of runs in one lane: acceleration (steps, runs), smallest gap while the sides overlapped (runs,)."""

    def __init__(self, driver: Any, speed: Any, other: Path, until: float = 8.0, steer: float = 1e-9) -> None:
        speed = np.asarray(speed, np.float64)
        runs = len(speed)
        driver.start([Draw(7, run) for run in range(runs)], [Streams(7, run) for run in range(runs)])
        x, v, a = np.zeros(runs), speed.copy(), np.zeros(runs)
        self.gap, self.t, said = np.full(runs, np.inf), [], []
        for k in range(round(until / TICK)):
            t = k * TICK
            reading = self._truth(t, x, v, a, other(t), runs)
            commands = driver.act({"truth": reading}, k / 20, np.ones(runs, np.bool_))
            names = commands.table.schema["actor"].names
            assert [names[code] for code in commands.table.columns["actor"]] == ["ego"] * runs
            assert np.abs(commands.table.columns["steer"]).max() < steer
            a = np.asarray(commands.table.columns["acceleration"])
            said.append(a)
            self.t.append(t)
            for part in np.linspace(0.0, TICK, 6)[1:]:  # contact is looked for finely
                rolling = np.minimum(part, np.where(a < 0.0, v / np.maximum(-a, 1e-9), np.inf))
                there = other(t + float(part))
                apart = there[0] - (x + v * rolling + 0.5 * a * rolling * rolling) - LENGTH
                beside = (np.abs(there[1]) < WIDTH) & (apart > -2.0 * LENGTH)
                self.gap = np.where(beside, np.minimum(self.gap, apart), self.gap)
            x, v = x + v * rolling + 0.5 * a * rolling * rolling, np.maximum(v + a * rolling, 0.0)
        self.acceleration, self.speed = np.array(said), v

    @property
    def crashed(self) -> Any:
        return self.gap <= 0.0

    @staticmethod
    def _truth(t: float, x: Any, v: Any, a: Any, there: Any, runs: int) -> Reading:
        other = [np.broadcast_to(np.asarray(part, np.float64), runs) for part in there]
        both = lambda one, two: np.stack([one, two], axis=1).ravel()  # noqa: E731
        speed = np.hypot(other[2], other[3])
        columns = {
            "t": np.full(2 * runs, t), "actor": np.tile(np.arange(2, dtype=np.int32), runs),
            "x": both(x, other[0]), "y": both(np.zeros(runs), other[1]), "yaw": np.zeros(2 * runs),
            "speed": both(v, speed), "vx": both(v, other[2]), "vy": both(np.zeros(runs), other[3]),
            "acceleration": both(a, other[4]), "length": np.full(2 * runs, LENGTH), "width": np.full(2 * runs, WIDTH),
        }  # fmt: skip
        return Reading({"actors": Table(ACTORS, columns, np.arange(runs + 1, dtype=np.int64) * 2)})


# -- reaction and build-up --------------------------------------------------------------------------------------------


def test_the_competent_driver_evaluates_waits_and_builds_up_in_six_tenths_of_a_second():
    lane = Lane(agent("r157_driver"), [20.0], at_speed(gap=18.0, speed=10.0), until=2.2)
    a = lane.acceleration[:, 0]
    assert np.abs(a[:23]).max() == 0.0, "0.4 s evaluation and 0.75 s delay, of a danger that is there from t = 0"
    expected = -12.65 * TICK * (np.arange(12) + 0.5)  # the ramp's mean in each turn
    np.testing.assert_allclose(a[23:35], expected, atol=1e-9)
    np.testing.assert_allclose(a[36:], -7.59294)


@pytest.mark.parametrize("closing", [5.0, 10.0, 15.0, 20.0])
@pytest.mark.parametrize(("evaluation", "delay"), [("none", 0.75), ("time", 1.15)])
def test_the_smallest_gap_that_is_avoided_is_the_closed_form(closing: float, evaluation: str, delay: float):
    smallest = float(jerk_limited_smallest_gap(closing, delay))
    gap = smallest + np.linspace(-0.1, 0.1, 21)
    driver = agent("r157_driver", evaluation=evaluation, ttc=10.0, headway=10.0)
    lane = Lane(driver, np.full(21, 30.0), at_speed(gap, 30.0 - closing))
    kept = gap[~lane.crashed]
    assert len(kept)
    assert abs(kept.min() - smallest) < 0.02
    assert (np.diff(lane.crashed.astype(int)) <= 0).all()


def test_a_cut_in_is_perceived_at_a_deviation_of_0_375_m():
    lane = Lane(agent("r157_driver"), [25.0], at_speed(16.0, 15.0, LANE, 1.0), until=3.0, steer=0.1)
    first = float(np.array(lane.t)[lane.acceleration[:, 0] < 0.0][0])
    assert first == pytest.approx(0.4 + 0.4 + 0.75), "0.375 m at 1 m/s is seen at the turn of 0.4 s"
    slow = Lane(agent("r157_driver"), [25.0], at_speed(60.0, 15.0, LANE, 1.0), until=3.0, steer=0.1)
    assert not slow.acceleration.any(), "no danger above 2 s time to collision"


def test_open_points_of_the_competent_driver_change_what_they_say():
    def first(**changes: Any) -> float:
        lane = Lane(agent("r157_driver", **changes), [25.0], at_speed(16.0, 15.0, LANE, 1.0), until=3.0)
        return float(np.array(lane.t)[lane.acceleration[:, 0] < 0.0][0])

    assert first(evaluation="none") == pytest.approx(0.4 + 0.75)
    assert first(evaluation="distance") == pytest.approx(1.15 + 0.75), "0.72 m further at 1 m/s, at the next turn"
    assert first(coast=0.4) == pytest.approx(0.8), "the foot leaves the pedal"
    path = at_speed(16.0, 15.0, LANE, 1.7)
    strongest = {
        kind: -Lane(agent("r157_driver", emergency=kind), [25.0], path).acceleration.min()
        for kind in ("none", "overlap", "ttc")
    }
    assert strongest["none"] == pytest.approx(0.774 * 9.81)
    assert strongest["ttc"] == pytest.approx(0.85 * 9.81)
    assert strongest["overlap"] > 0.774 * 9.81 + 0.5, "it is over soon after the flanks overlap in full"


def test_a_lead_that_brakes_hard_is_a_danger_and_one_that_brakes_gently_is_not_yet():
    for braking, seen in ((6.0, True), (4.0, False)):
        lane = Lane(agent("r157_driver"), [20.0], at_speed(20.0, 20.0, acceleration=-braking), until=1.5)
        assert bool((lane.acceleration < 0.0).any()) == seen
    hard = Lane(agent("r157_driver"), [20.0], at_speed(24.0, 20.0, acceleration=-6.0))
    assert float(np.array(hard.t)[hard.acceleration[:, 0] < 0.0][0]) == pytest.approx(1.15)
    assert hard.speed[0] == 0.0
    assert not hard.crashed[0]


@pytest.mark.parametrize("v_rel", [10, 20, 30, 40, 50, 60])
def test_the_performance_model_brakes_below_the_ttc_of_the_regulation(v_rel: int):
    closing = v_rel / 3.6
    limit = float(r157_cut_in_avoidable_ttc(closing))
    for ttc, brakes in ((limit - 1e-6, True), (limit + TICK + 1e-6, False)):
        lane = Lane(agent("r157_performance"), [30.0], at_speed(ttc * closing, 30.0 - closing), until=TICK)
        assert (lane.acceleration[0, 0] == -6.0) == brakes
    lane = Lane(
        agent("r157_performance"), [30.0, 30.0], at_speed(np.array([1.0, 0.75]) * limit * closing, 30.0 - closing)
    )
    assert not lane.crashed[0]
    needs = closing * closing / 12.0
    assert lane.crashed[1] == (0.75 * limit * closing < needs)


def test_intrusion_is_a_side_over_the_marking_or_a_short_gap_between_the_flanks():
    for y, marking, gap in ((2.36, False, False), (2.34, True, False), (2.29, True, True)):
        path = at_speed(5.0, 20.0, y)
        for kind, brakes in (("marking", marking), ("gap", gap)):
            lane = Lane(agent("r157_performance", intrusion=kind), [30.0], path, until=TICK)
            assert (lane.acceleration[0, 0] < 0.0) == brakes


@pytest.mark.parametrize(("own", "lead"), [(20.0, 20.0), (30.0, 20.0), (10.0, 15.0)])
def test_rss_responds_just_inside_both_safe_distances(own: float, lead: float):
    safe = float(rss_longitudinal_distance(own, lead))
    for gap, dangerous in ((safe - 1e-6, True), (safe + 1e-6, False)):
        driver = agent("rss")
        lane = Lane(driver, [own], at_speed(gap, lead), until=TICK)
        assert np.isfinite(driver._reaction.since[0]) == dangerous
        assert lane.acceleration[0, 0] == 0.0


def test_rss_lets_a_car_beside_it_pass_until_the_lateral_distance_is_violated_too():
    safe = float(rss_lateral_distance(0.0, -1.0))
    for side, dangerous in ((safe - 1e-6, True), (safe + 1e-6, False)):
        driver = agent("rss")
        Lane(driver, [30.0], at_speed(10.0, 20.0, WIDTH + side, 1.0), until=TICK)
        assert np.isfinite(driver._reaction.since[0]) == dangerous
    lane = Lane(agent("rss"), [30.0], at_speed(10.0, 20.0), until=1.0)
    assert float(np.array(lane.t)[lane.acceleration[:, 0] < 0.0][0]) == pytest.approx(0.75)


@pytest.mark.parametrize(("gap", "asked"), [(60.0, 0.88453 * 4.0), (70.0, 2.1117), (18.0, 4.96)])
def test_the_fuzzy_model_asks_for_the_published_deceleration(gap: float, asked: float):
    driver = agent("fuzzy_safety")
    seen: list[FloatArray] = []
    ask = driver.deceleration
    driver.deceleration = lambda traffic: seen.append(ask(traffic)) or seen[-1]
    lane = Lane(driver, [25.0], at_speed(gap, 15.0), until=1.3)
    assert seen[0][0] == pytest.approx(asked, abs=1e-4)
    a = lane.acceleration[:, 0]
    assert not a[:15].any(), "the reaction time"
    assert a[15] == pytest.approx(-0.5 * 12.65 * TICK)


def test_the_idm_settles_at_its_equilibrium_gap():
    driver = agent("idm", speed=30.0)
    lane = Lane(driver, [20.0], at_speed(60.0, 20.0), until=120.0)
    equilibrium = (2.0 + 1.6 * 20.0) / (1.0 - (20.0 / 30.0) ** 4) ** 0.5
    assert lane.speed[0] == pytest.approx(20.0, abs=0.05)
    assert lane.gap[0] == pytest.approx(equilibrium, abs=1.0)
    assert not Lane(agent("idm"), [20.0], at_speed(500.0, 20.0), until=1.0).acceleration[0, 0] > 0.0


def test_aeb_brakes_in_stages_and_not_beyond_its_range():
    lane = Lane(agent("aeb", latency=0.0, required=50.0), [10.0], at_speed(20.0, 0.0), until=3.0)
    a, t = lane.acceleration[:, 0], np.array(lane.t)
    first, full = float(t[a < 0.0][0]), float(t[a < -4.01][0]) if (a < -4.01).any() else np.inf
    assert first == pytest.approx(0.45), "20 m at 10 m/s: 1.6 s are left after 0.4 s, less than that at the next turn"
    assert full > first + 0.3
    assert a.min() >= -9.0
    late = Lane(agent("aeb", latency=0.2), [10.0], at_speed(20.0, 0.0), until=3.0)
    assert float(t[late.acceleration[:, 0] < 0.0][0]) == pytest.approx(0.65)
    near = Lane(agent("aeb", range=8.0), [10.0], at_speed(20.0, 0.0), until=3.0)
    assert float(t[near.acceleration[:, 0] < 0.0][0]) > 1.2
    warned = Lane(agent("aeb", driver=3.0, warning_ttc=3.9, reaction=1.0), [10.0], at_speed(40.0, 0.0), until=3.0)
    assert float(t[warned.acceleration[:, 0] < 0.0][0]) == pytest.approx(0.15 + 0.2 + 1.0)
    crossing = Lane(agent("aeb"), [10.0], at_speed(15.0, 0.0, 4.0, 3.0), until=2.0, steer=0.1)
    assert crossing.acceleration.min() < -1.0
    passed = Lane(agent("aeb"), [10.0], at_speed(15.0, 0.0, 20.0, 1.0), until=1.0, steer=0.1)
    assert not passed.acceleration.any()


# -- verdict maps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DRIVERS)
def test_verdicts_over_gap_closing_and_lateral_speed_are_monotone_in_the_gap(kind: str):
    gaps, closings, laterals = np.arange(1.0, 60.0, 3.0), np.array([3.0, 7.0, 11.0, 15.0]), np.array([0.6, 1.2, 1.8])
    g, c, u = (part.ravel() for part in np.meshgrid(gaps, closings, laterals, indexing="ij"))
    start = g + c * (LANE - WIDTH) / u  # so that `gap` is left when the flanks come to overlap
    lane = Lane(agent(kind), np.full(len(g), 30.0), at_speed(start, 30.0 - c, LANE, u), until=10.0, steer=0.1)
    crashed = lane.crashed.reshape(len(gaps), len(closings), len(laterals)).astype(int)
    assert (np.diff(crashed, axis=0) <= 0).all(), "more gap never turns avoided into a crash"
    assert crashed[0, -1].any(), "the border lies inside the grid"
    assert not crashed[-1, 0].any()


@pytest.mark.parametrize(("kind", "changes"), [("r157_driver", {"headway": 100.0}), ("r157_performance", {})])
def test_with_a_lead_at_constant_speed_only_the_relative_speed_counts(kind: str, changes: dict[str, Any]):
    gap = np.arange(2.0, 40.0, 1.0)
    verdicts = [Lane(agent(kind, **changes), np.full(38, v), at_speed(gap, v - 9.0)).crashed for v in (20.0, 35.0)]
    np.testing.assert_array_equal(*verdicts)
    assert 0 < verdicts[0].sum() < len(gap)


def test_a_longer_delay_never_turns_a_crash_into_avoided():
    gap = np.arange(5.0, 60.0, 1.0)
    before = np.zeros(len(gap), np.bool_)
    for delay in (0.3, 0.75, 1.2):
        crashed = Lane(agent("r157_driver", delay=delay, ttc=3.0), np.full(len(gap), 30.0), at_speed(gap, 15.0)).crashed
        assert (before <= crashed).all()
        before = crashed


# -- in columns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DRIVERS)
def test_a_run_is_the_same_alone_and_in_a_batch_and_a_used_driver_forgets(kind: str):
    gap, closing = np.array([4.0, 9.0, 14.0, 22.0, 35.0]), np.array([14.0, 9.0, 11.0, 6.0, 8.0])
    used = agent(kind)
    together = Lane(used, np.full(5, 30.0), at_speed(gap, 30.0 - closing, LANE, 1.3), until=5.0, steer=0.1)
    for i in range(5):
        path = at_speed(gap[i : i + 1], 30.0 - closing[i : i + 1], LANE, 1.3)
        alone = Lane(used, [30.0], path, until=5.0, steer=0.1)
        np.testing.assert_array_equal(alone.acceleration[:, 0], together.acceleration[:, i])
    assert len({tuple(column) for column in together.acceleration.T}) > 1


def test_a_bend_is_known_from_the_map_and_the_wheel_is_turned_along_it():
    from mischance.agents._map import RoadMap

    line = chained([(50.0, 0.0), (100.0, 1 / 200.0), (GOES_ON, 0.0)])
    aside = chained([(GOES_ON, 0.0)], 10.0, 0.0, 1.0)
    lanes = lane_rows(appearance.LANE, 0, aside, begin=-9.0, end=9.0, width=3.0, group=1)  # a road that crosses
    for n in range(2):
        lanes += lane_rows(appearance.LANE, 1 + n, line, begin=-inf, end=inf, offset=3.7 * (n + 0.5), width=3.7)
    known = RoadMap.straight(2).with_lanes(table_of_rows(LANE_ROWS, [[], lanes]))
    assert known.lane_width.tolist() == [3.5, 3.7]
    np.testing.assert_array_equal(known.pieces[0, 0], RoadMap.straight(1).pieces[0, 0], "who was told nothing")
    known = RoadMap(known.pieces[1:], known.lane_width[1:])
    angle = 0.25  # 50 m into the arc
    x, y = 50.0 + (200.0 - 2.0) * np.sin(angle), 200.0 - (200.0 - 2.0) * np.cos(angle)
    s, offset, heading, bend = (float(part[0, 0]) for part in known.project(np.array([[x]]), np.array([[y]])))
    assert (s, offset, heading, bend) == pytest.approx((100.0, 2.0, angle, 1 / 200.0))
    assert known.lane_width[0] == 3.7
    end = 0.5  # behind the arc: straight on
    x, y = 50.0 + 200.0 * np.sin(end) + 30.0 * np.cos(end), 200.0 - 200.0 * np.cos(end) + 30.0 * np.sin(end)
    s, offset, heading, bend = (float(part[0, 0]) for part in known.project(np.array([[x]]), np.array([[y]])))
    assert (s, offset, heading, bend) == pytest.approx((180.0, 0.0, end, 0.0), abs=1e-9)


@pytest.mark.parametrize("kind", DRIVERS)
def test_it_plays_a_scenario_of_the_library(kind: str):
    changes = {"agent": json.dumps({"kind": kind}), "sensors": "{}", "faults": "[]", "duration": "4 s"}
    scenario = load("driving/cut_in", changes)
    played = list(play(scenario, draw(scenario, np.arange(2))))
    runs = [record.tables["runs"].run(0) for record in played if record.last]
    assert all(run["verdict"][0] for run in runs)
    path = np.concatenate([r.tables["truth/actors"].columns["y"] for r in played if "truth/actors" in r.tables])
    assert np.isfinite(path).all()
