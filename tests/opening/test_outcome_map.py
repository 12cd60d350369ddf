"""A map's cells hold the runs of their place, its limits are Clopper's and Pearson's, and no run is lost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from mischance.api.tables import AnyArray, Column
from mischance.errors import DatasetError
from mischance.opening.outcome_map import outcome_map

COLUMNS = {
    "gap": Column(unit="m"),
    "speed": Column(unit="m/s"),
    "weather": Column("category"),
    "event": Column("bool", role="label"),
    "undecided": Column("bool"),
    "margin": Column(role="value"),
    "require.kept": Column("bool"),
    "require.gentle": Column("bool"),
}


def runs(**columns: object) -> dict[str, AnyArray]:
    found = {name: np.array(values) for name, values in columns.items()}
    n = len(next(iter(found.values())))
    return {"event": np.zeros(n, np.bool_), "margin": np.ones(n), **found}


def test_each_point_of_a_grid_is_a_cell_with_its_own_runs() -> None:
    seen = runs(
        gap=[5.0, 5.0, 5.0, 9.0, 9.0],
        speed=[20.0, 20.0, 30.0, 30.0, 30.0],
        event=[True, False, True, False, False],
        margin=[-2.0, 1.0, -4.0, 3.0, 8.0],
    )
    rows = outcome_map(seen, COLUMNS, "gap", "speed").frame().set_index(["gap", "speed"])
    assert list(rows.index) == [(5.0, 20.0), (5.0, 30.0), (9.0, 20.0), (9.0, 30.0)]
    assert rows["runs"].tolist() == [2, 1, 0, 2]
    assert rows["failed"].tolist() == [1, 1, 0, 0]
    np.testing.assert_array_equal(rows["share"], [0.5, 1.0, np.nan, 0.0])
    np.testing.assert_array_equal(rows["margin_median"], [-0.5, -4.0, np.nan, 5.5])
    np.testing.assert_array_equal(rows["margin_min"], [-2.0, -4.0, np.nan, 3.0])


def test_limits_are_those_of_a_binomial_test_with_undecided_runs_both_ways() -> None:
    failed, undecided = np.zeros(23, np.bool_), np.zeros(23, np.bool_)
    failed[:4], undecided[20:] = True, True
    seen = runs(gap=[1.0] * 23 + [2.0] * 7, speed=[1.0] * 23 + [2.0] * 7)
    seen["event"], seen["undecided"] = np.append(failed, [False] * 7), np.append(undecided, [False] * 7)
    row = outcome_map(seen, COLUMNS, "gap", "speed").frame().iloc[0]
    assert (row["runs"], row["failed"], row["undecided"], row["share"]) == (20, 4, 3, 0.2)
    assert row["low"] == pytest.approx(binomtest(4, 23).proportion_ci(0.95).low, rel=1e-9)
    assert row["high"] == pytest.approx(binomtest(7, 23).proportion_ci(0.95).high, rel=1e-9)
    last = outcome_map(seen, COLUMNS, "gap", "speed").frame().iloc[3]
    assert last["low"] == 0.0
    assert last["high"] == pytest.approx(1 - 0.025 ** (1 / 7), rel=1e-9)  # none of seven


def test_a_run_fails_by_any_requirement_and_by_the_event_where_there_is_none() -> None:
    seen = runs(gap=[1.0, 1.0, 2.0, 2.0], speed=[1.0, 2.0, 1.0, 2.0], event=[True, True, True, False])
    assert outcome_map(seen, COLUMNS, "gap", "speed").failed.sum() == 3
    seen |= {
        "require.kept": np.array([True, True, False, True]),
        "require.gentle": np.array([True, False, False, True]),
    }
    required = outcome_map(seen, COLUMNS, "gap", "speed")
    assert required.failed.tolist() == [[0, 1], [1, 0]]  # rows are speeds, columns gaps
    # what was broken before a run was cut short stays broken
    seen["undecided"] = np.array([True, True, False, False])
    cut = outcome_map(seen, COLUMNS, "gap", "speed")
    assert cut.failed.tolist() == [[0, 1], [1, 0]]
    assert cut.undecided.tolist() == [[1, 0], [0, 0]]


def test_drawn_values_fall_into_equal_parts_of_their_range_and_none_is_lost() -> None:
    rng = np.random.default_rng(5)
    gap, speed = rng.uniform(2.0, 12.0, 500), rng.normal(20.0, 3.0, 500)
    event = gap < 5.0
    found = outcome_map(runs(gap=gap, speed=speed, event=event, margin=gap - 5.0), COLUMNS, "gap", "speed", cells=8)
    expected, _, _ = np.histogram2d(speed, gap, bins=8)
    assert found.runs.tolist() == expected.astype(int).tolist()
    assert (found.failed.sum(), found.runs.sum()) == (event.sum(), 500)
    rows = found.frame()
    assert (rows["gap_to"] - rows["gap_from"]).to_numpy() == pytest.approx(np.ptp(gap) / 8)
    inside = rows[rows["runs"] > 0]
    assert (inside["gap_from"] - 5.0 <= inside["margin_min"] + 1e-9).all()
    assert (inside["margin_median"] <= inside["gap_to"] - 5.0 + 1e-9).all()


def test_words_are_cells_in_alphabetical_order() -> None:
    seen = runs(gap=[1.0, 2.0, 1.0], weather=np.array(["rain", "dry", "fog"], object), event=[True, False, False])
    found = outcome_map(seen, COLUMNS, "gap", "weather")
    assert found.up.values.tolist() == ["dry", "fog", "rain"]
    assert found.failed.tolist() == [[0, 0], [0, 0], [1, 0]]


@pytest.mark.parametrize(
    ("across", "up", "said"),
    [
        ("gapp", "speed", "did you mean 'gap'"),
        ("gap", "gap", "one parameter"),
        ("speed", "gap", "'speed' is 3.0 in every run"),
        ("gap", "holes", "not finite"),
    ],
)
def test_a_map_that_cannot_be_drawn_says_why(across: str, up: str, said: str) -> None:
    seen = runs(gap=[1.0, 2.0], speed=[3.0, 3.0], holes=[1.0, np.nan])
    with pytest.raises(DatasetError) as caught:
        outcome_map(seen, {**COLUMNS, "holes": Column()}, across, up)
    assert said in f"{caught.value.message}; {caught.value.hint}"
