"""The ledger: one row a run, all or nothing, readable while it is written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mischance.dataset.ledger import NAME, Ledger
from mischance.dataset.parts import RunRow
from mischance.errors import DatasetError


def rows(first: int, last: int, event: bool = False, weight: float = 1.0) -> list[RunRow]:
    return [RunRow(run, f"digest {run}", event, weight) for run in range(first, last + 1)]


def test_a_part_brings_its_runs_and_sealing_forgets_the_part(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.add_part(0, 3, "000000000-000000007/000000000-000000003", rows(0, 3), 8.0)
        ledger.add_part(4, 6, "000000000-000000007/000000004-000000006", rows(4, 6), 8.0)
        ledger.add_failure(7, "crashed", "its process died", "mischance replay out 7")
        assert [part[:2] for part in ledger.parts()] == [(0, 3), (4, 6)]
        ledger.add_shard(0, 7)
        assert ledger.parts() == []
        assert ledger.sealed() == {0}
        assert ledger.statuses() == {**dict.fromkeys(range(7), "done"), 7: "crashed"}
    with Ledger(tmp_path, read_only=True) as ledger:
        entry = ledger.run(2)
        assert entry is not None
        assert (entry.digest, entry.seconds) == ("digest 2", 2.0)
        assert [entry.run for entry in ledger.failures()] == [7]
        assert ledger.run(8) is None
        assert ledger.check() == ""


def test_what_breaks_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    class BrokenError(Exception):
        pass

    def break_in_the_middle(ledger: Ledger) -> None:
        with ledger.transaction():
            ledger._db.execute("INSERT INTO shards VALUES (0, 7)")
            raise BrokenError

    with Ledger(tmp_path) as ledger:
        with pytest.raises(BrokenError):
            break_in_the_middle(ledger)
        assert ledger.sealed() == set()
        bad = [RunRow(0, "x", False, 1.0), RunRow(1, object(), False, 1.0)]  # type: ignore[arg-type]
        with pytest.raises(DatasetError):
            ledger.add_part(0, 1, "p", bad, 1.0)
        assert ledger.parts() == []
        assert ledger.statuses() == {}


def test_events_are_counted_among_finished_runs(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.add_part(0, 1, "a", rows(0, 1, event=True, weight=0.1), 1.0)
        ledger.add_part(2, 3, "b", rows(2, 3, weight=1.9), 1.0)
        totals = ledger.totals()
    assert (totals.done, totals.events) == (4, 2)


def test_failed_runs_of_a_sealed_shard_become_pending_and_the_rest_stays(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.add_part(0, 2, "s/a", rows(0, 2), 1.0)
        ledger.add_failure(3, "timeout", "too slow", "mischance replay out 3")
        ledger.add_shard(0, 3)
        ledger.reopen_shard(0, 3, "s/s")
        assert ledger.sealed() == set()
        assert ledger.parts() == [(0, 3, "s/s")]
        assert sorted(ledger.statuses()) == [0, 1, 2]


def test_a_reader_sees_whole_transactions_while_somebody_writes(tmp_path: Path) -> None:
    with Ledger(tmp_path) as writer, Ledger(tmp_path, read_only=True) as reader:
        writer.add_part(0, 3, "a", rows(0, 3), 1.0)
        with writer.transaction():
            writer._db.execute("DELETE FROM runs")
            assert reader.totals().done == 4
        assert reader.totals().done == 0
        with pytest.raises(DatasetError, match="readonly"):
            reader.add_failure(1, "failed", "", "")


def test_a_finished_ledger_is_one_file(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.set_meta({"recipe": {"runs": 3}})
        ledger.finish()
    assert [entry.name for entry in tmp_path.iterdir()] == [NAME]
    with Ledger(tmp_path, read_only=True) as ledger:
        assert ledger.meta() == {"recipe": {"runs": 3}}
    assert [entry.name for entry in tmp_path.iterdir()] == [NAME]


def test_a_missing_or_broken_ledger_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no ledger"):
        Ledger(tmp_path, read_only=True)
    (tmp_path / NAME).write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(DatasetError, match="cannot use"):
        Ledger(tmp_path)
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(tmp_path / NAME).execute("SELECT * FROM runs")
