"""Measures frame by frame: two cases computed by hand, and agreement with the road's measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Draw
from mischance.api.tables import join_tables
from mischance.driving.encounters import encounters
from mischance.errors import TruthError
from mischance.simulators.road import Road


def rows(*actors: tuple[str, dict[str, Any]], t: Any = (0.0,)) -> dict[str, Any]:
    """Return rows of actors that keep their velocity; cars of 4.5 m x 1.9 m."""
    t = np.asarray(t, float)
    found: dict[str, list[Any]] = {
        name: [] for name in ("t", "actor", "x", "y", "yaw", "vx", "vy", "acceleration", "length", "width")
    }
    for time in t:
        for name, car in actors:
            one = {
                "x": 0.0,
                "y": 0.0,
                "yaw": 0.0,
                "vx": 0.0,
                "vy": 0.0,
                "acceleration": 0.0,
                "length": 4.5,
                "width": 1.9,
                **car,
            }
            one["x"] += one["vx"] * time
            one["y"] += one["vy"] * time
            for column, value in {"t": time, "actor": name, **one}.items():
                found[column].append(value)
    return found


def test_the_reference_case_by_hand():
    """Gap 30 m, 20 behind 10 m/s, both 1.9 m wide and centred."""
    met = encounters(rows(("ego", {"vx": 20.0}), ("lead", {"x": 34.5, "vx": 10.0})), brakes=8.0)
    assert met.others == ("lead",)
    worst = met.worst()["lead"]
    assert worst["min_distance"] == pytest.approx(30.0)
    assert worst["min_ttc"] == pytest.approx(3.0)
    assert worst["min_thw"] == pytest.approx(1.5)
    assert worst["max_drac"] == pytest.approx(100 / 60)
    assert worst["max_btn"] == pytest.approx(100 / 60 / (0.8 * 9.80665), rel=1e-3)
    assert worst["max_required_lateral"] == pytest.approx(0.422, abs=5e-4)
    braking = encounters(rows(("ego", {"vx": 20.0}), ("lead", {"x": 34.5, "vx": 10.0, "acceleration": -2.0})))
    assert braking.worst()["lead"]["min_mttc"] == pytest.approx(2.416, abs=5e-4)


def test_who_is_beside_or_behind_is_not_followed():
    met = encounters(
        rows(("ego", {"vx": 20.0}), ("beside", {"x": 20.0, "y": 3.5}), ("behind", {"x": -20.0, "vx": 30.0}))
    )
    assert np.isnan(met.gap[0, 1])
    for name in met.others:
        assert met.worst()[name]["max_drac"] == 0.0
        assert met.worst()[name]["min_thw"] == np.inf


def test_who_crosses_after_the_ego_has_a_post_encroachment_time():
    """The ego leaves the place of crossing after 20 + 0.95 + 2.25 m, the other enters it after 24 - 0.95 - 2.25 m."""
    t = np.arange(0, 101) / 20
    crossing = {"x": 20.0, "y": -24.0, "yaw": np.pi / 2, "vy": 8.0}
    worst = encounters(rows(("ego", {"vx": 10.0}), ("other", crossing), t=t)).worst()["other"]
    assert worst["pet"] == pytest.approx(20.8 / 8 - 23.2 / 10, abs=0.1)
    assert worst["encroachment"] == pytest.approx(2 * 3.2 / 10, abs=0.1)
    never = encounters(rows(("ego", {"vx": 10.0}), ("other", {**crossing, "x": 200.0}), t=t)).worst()["other"]
    assert never["pet"] == np.inf


def test_it_agrees_with_what_the_road_measures():
    change = {"kind": "change_lane", "at": 0.5, "to": 1, "takes": 2.0}
    tree = {"actors": {"ego": {"speed": 25.0}, "slow": {"speed": 20.0, "lane": 2, "gap": 25.0, "behaviour": [change]}}}
    world = Road(Road.Settings.model_validate(tree))
    chunks = [world.start([Draw(7, 0)], [Streams(7, 0)]), world.advance(4.0, None)]
    table = join_tables([chunk.tables["actors"] for chunk in chunks])
    columns: dict[str, Any] = dict(table.run(0))
    columns["actor"] = [table.schema["actor"].names[code] for code in columns["actor"]]
    worst = encounters(columns).worst()["slow"]
    own = {name: values[0] for name, values in world.outcome()[0].columns.items()}
    assert worst["min_distance"] == pytest.approx(own["min_gap"], abs=0.3)  # rows are 0.05 s apart
    assert worst["min_ttc"] == pytest.approx(own["min_ttc"], abs=0.06)
    assert worst["max_drac"] == pytest.approx(own["max_drac"], rel=0.05)
    assert worst["rss_time"] > 0.5


def test_rows_that_do_not_fit_are_refused_in_words():
    good = rows(("ego", {}), ("lead", {"x": 30.0}), t=[0.0, 0.05])
    with pytest.raises(TruthError, match="no actor 'me'; there are ego, lead"):
        encounters(good, actor="me")
    with pytest.raises(TruthError, match="no column 'yaw'"):
        encounters({name: values for name, values in good.items() if name != "yaw"})
    with pytest.raises(TruthError, match="everybody at every time"):
        encounters({name: values[:-1] for name, values in good.items()})
