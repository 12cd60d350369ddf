"""Splits: shares are kept, and the answer for a run or an entity depends on the seed and on that alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mischance.api.runs import Record
from mischance.api.tables import Column, Table
from mischance.dataset.splits import PARTS, Splits
from mischance.errors import RunError, ScenarioError
from mischance.language.loading import load
from mischance.language.scenario import Split
from mischance.opening.reading import open  # noqa: A004
from mischance.sweep.jobs import sweep
from tests.dataset.small_world import records
from tests.support import PLUGINS


def test_splits_keep_their_shares_and_depend_on_the_run_alone() -> None:
    runs = np.arange(20_000)
    codes = Splits(Split("run", 0.8, 0.15, 0.05), 7, 1.0).finish(runs).columns["split"]
    for code, share in enumerate((0.8, 0.15, 0.05)):
        assert abs((codes == code).mean() - share) < 4 * (share * (1 - share) / len(runs)) ** 0.5
    assert (
        Splits(Split("run", 0.8, 0.15, 0.05), 7, 1.0).finish(runs[100:110]).columns["split"] == codes[100:110]
    ).all()
    times = Splits(Split("time", 0.8, 0.1, 0.1), 7, 10.0).finish(np.array([5]))
    np.testing.assert_allclose(times.columns["t_end"], [8, 9, 10])
    entities = Splits(Split("entity", 0.5, 0.5, 0.0), 7, 1.0, "event_id")
    entities.add(next(records(np.arange(4), 7, 4)))
    table = entities.finish(np.arange(4))
    assert set(table.columns["split"].tolist()) <= {0, 1}
    assert all(len(set(run["event_id"].tolist())) == len(run["event_id"]) for run in map(table.run, range(4)))
    with pytest.raises(RunError, match="declares no entity"):
        Splits(Split("entity", 0.5, 0.5, 0.0), 7, 1.0)


def named(codes: list[list[int]], names: tuple[str, ...], runs: np.ndarray) -> Record:
    """Return a record whose table `truth/x` speaks of entities by name, codes of one list a run."""
    schema = {"who": Column("category", names=names, role="entity")}
    return Record(runs, 0.0, 1.0, {"truth/x": Table.of(schema, [{"who": own} if own else {} for own in codes])})


def parts_of(table: Table, i: int) -> dict[str, str]:
    rows = table.run(i)
    return {str(who): PARTS[code] for who, code in zip(rows["who"], rows["split"], strict=True)}


def test_entities_with_names_are_dealt_out_by_name_whatever_their_codes_and_neighbours() -> None:
    split = Split("entity", 0.4, 0.3, 0.3)
    one, two = Splits(split, 7, 1.0, "who"), Splits(split, 7, 1.0, "who")
    runs = np.array([3, 4, 5])
    one.add(named([[0, 1, 1, -1], [], [2]], ("ann", "bob", "cy"), runs))
    table = one.finish(runs)
    assert table.schema["who"].dtype == "text"
    assert list(parts_of(table, 0)) == ["ann", "bob"]
    assert parts_of(table, 1) == {}
    two.add(named([[2, 1], [0]], ("cy", "bob", "ann"), runs[[0, 2]]))
    alone = two.finish(runs[[0, 2]])
    assert parts_of(alone, 0) == parts_of(table, 0)
    assert parts_of(alone, 1) == parts_of(table, 2)
    # A batch in which nobody comes has the same columns.
    one.add(named([[]], ("ann",), runs[:1]))
    assert one.finish(runs[:1]).schema == table.schema


def test_an_entity_that_no_table_has_is_said() -> None:
    splits = Splits(Split("entity", 0.8, 0.1, 0.1), 7, 1.0, "nobody")
    splits.add(named([[0]], ("ann",), np.array([0])))
    with pytest.raises(RunError, match="no truth table has the column 'nobody'"):
        splits.finish(np.array([0]))


def test_a_world_without_entities_is_refused_where_it_is_written() -> None:
    with pytest.raises(ScenarioError) as refused:
        load(PLUGINS / "wander.yaml", {"split": "{by: entity}"})
    (problem,) = refused.value.problems
    assert "no entity to split by" in problem.message
    assert problem.path == "split.by"


def test_cards_of_the_payments_world_are_split_from_end_to_end(tmp_path: Path) -> None:
    share = 0.7
    changes = {"split": f"{{by: entity, train: {share}, val: 0.2, test: 0.1}}", "duration": "2 h"}
    result = sweep(load("payments/card_testing", changes), 2, tmp_path / "data", workers=0)
    assert result.ok
    dataset = open(tmp_path / "data")
    splits = dataset.table("splits")
    cards = dataset.table("cards")
    assert set(zip(splits["run"], splits["card"], strict=True)) >= set(zip(cards["run"], cards["card"], strict=True))
    assert not splits.duplicated(["run", "card"]).any()
    trained = (splits["split"] == "train").mean()
    assert abs(trained - share) < 4 * (share * (1 - share) / len(splits)) ** 0.5
    assert dataset.columns("splits")["card"].role == "entity"
