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
    np.testing.assert_allclose(times.columns["t_start"], [0, 8, 9])
    assert times.columns["split"].tolist() == [0, 1, 2]
    with pytest.raises(RunError, match="declares no entity"):
        Splits(Split("entity", 0.5, 0.5, 0.0), 7, 1.0)


def numbered(rows: list[list[int]], runs: np.ndarray, path: str = "truth/x") -> Record:
    """Return a record of a table that speaks of entities by number, one list a run."""
    schema = {"card": Column("int64", role="entity")}
    return Record(runs, 0.0, 1.0, {path: Table.of(schema, [{"card": own} for own in rows])})


def test_every_entity_of_the_truth_has_one_split_whichever_piece_of_time_spoke_of_it() -> None:
    """The entities are listed by hand from the pieces: what comes out is that set, run by run, each once."""
    rng = np.random.default_rng(3)
    runs = np.array([4, 9, 11])
    pieces = [[rng.integers(0, 3000, 900 * (1 - (run == 9))).tolist() for run in runs] for _ in range(4)]
    splits = Splits(Split("entity", 0.6, 0.3, 0.1), 7, 1.0, "card")
    for piece in pieces:
        splits.add(numbered(piece, runs))
    splits.add(numbered([[5000], [5000], [5000]], runs, "labels/x"))  # no truth: nobody comes in
    splits.add(numbered([[6000], [6000], [6000]], runs, "sensors/x"))
    table = splits.finish(runs)
    counts = np.zeros(3)
    for i, _ in enumerate(runs):
        there = {card for piece in pieces for card in piece[i]}
        rows = table.run(i)
        assert rows["card"].tolist() == sorted(there)
        assert len(there) > 2000 or i == 1
        counts += np.bincount(rows["split"], minlength=3)
    total = counts.sum()
    for count, share in zip(counts, (0.6, 0.3, 0.1), strict=True):
        assert abs(count - share * total) < 4 * (total * share * (1 - share)) ** 0.5
    # What was noted is forgotten, and an entity of another run is dealt out by itself.
    splits.add(numbered([[1, 2], [], [3]], runs))
    assert [splits_of.tolist() for splits_of in (splits.finish(runs).columns["card"],)] == [[1, 2, 3]]


def test_an_entity_keeps_its_split_whoever_stands_beside_it_and_differs_from_run_to_run() -> None:
    split = Split("entity", 0.5, 0.3, 0.2)

    def dealt(cards: list[int], run: int, seed: int = 7) -> dict[int, int]:
        splits = Splits(split, seed, 1.0, "card")
        splits.add(numbered([cards], np.array([run])))
        rows = splits.finish(np.array([run])).run(0)
        return dict(zip(rows["card"].tolist(), rows["split"].tolist(), strict=True))

    whole = dealt(list(range(400)), 3)
    assert dealt([399, 7, 50], 3) == {card: whole[card] for card in (7, 50, 399)}
    same = 400 * (0.5**2 + 0.3**2 + 0.2**2)  # independent dealings agree that often
    for other in (dealt(list(range(400)), 4), dealt(list(range(400)), 3, seed=8)):
        agreed = sum(other[card] == whole[card] for card in whole)
        assert abs(agreed - same) < 4 * (same * (1 - same / 400)) ** 0.5


def test_a_share_of_nothing_or_of_all_is_kept_exactly() -> None:
    runs = np.arange(500)
    for shares, code in (((1.0, 0.0, 0.0), 0), ((0.0, 1.0, 0.0), 1), ((0.0, 0.0, 1.0), 2)):
        assert set(Splits(Split("run", *shares), 7, 1.0).finish(runs).columns["split"].tolist()) == {code}


def test_texts_and_names_speak_of_the_same_entities() -> None:
    split, runs = Split("entity", 0.5, 0.3, 0.2), np.array([3])
    found = []
    for column, values in (
        (Column("category", names=("ann", "bob", "cy")), [2, -1, 0, 0, 1]),
        (Column("text"), ["cy", None, "ann", "ann", "bob"]),
    ):
        splits = Splits(split, 7, 1.0, "who")
        splits.add(Record(runs, 0.0, 1.0, {"truth/x": Table.of({"who": column}, [{"who": values}])}))
        found.append(parts_of(splits.finish(runs), 0))
    assert list(found[0]) == ["ann", "bob", "cy"]
    assert found[0] == found[1]


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
    changes = {
        "split": f"{{by: entity, train: {share}, val: 0.2, test: 0.1}}",
        "duration": "2 h",
        "simulator.cards": "1000",
    }
    result = sweep(load("payments/card_testing", changes), 2, tmp_path / "data", workers=0)
    assert result.ok
    dataset = open(tmp_path / "data")
    splits = dataset.table("splits")
    cards = dataset.table("cards")
    assert len(cards) == 2 * 1000
    paid = dataset.table("transactions")
    assert set(zip(splits["run"], splits["card"], strict=True)) == set(zip(cards["run"], cards["card"], strict=True))
    assert set(zip(splits["run"], splits["card"], strict=True)) > set(zip(paid["run"], paid["card"], strict=True))
    assert not splits.duplicated(["run", "card"]).any()
    for part, wanted in (("train", share), ("val", 0.2), ("test", 0.1)):
        found = (splits["split"] == part).mean()
        assert abs(found - wanted) < 4 * (wanted * (1 - wanted) / len(splits)) ** 0.5
    assert dataset.columns("splits")["card"].role == "entity"
