"""The sample that a dataset is: events, weights and strata of its runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from mischance.estimate.probability import Sample
from mischance.play.sampling import acceptance, forced_strata

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from mischance.api.tables import BoolArray
    from mischance.language.scenario import Scenario


def sample_of_dataset(dataset: Path, scenario: Scenario, undecided: Collection[int] = ()) -> Sample:
    """Return the runs of a finished dataset as a sample.

    Args:
        dataset: its folder.
        scenario: what was played, with the seed of the sweep.
        undecided: numbers of further runs that were tried and have no outcome.
    """
    import pyarrow.parquet as pq

    files = sorted((dataset / "runs").glob("*.parquet"))
    wanted = ["run", "event", "weight", "undecided"]
    columns = [pq.read_table(file, columns=[n for n in wanted if n in pq.read_schema(file).names]) for file in files]
    run = np.concatenate([np.empty(0, np.int64), *[table["run"].to_numpy() for table in columns]])
    event = np.concatenate([np.empty(0, np.bool_), *[table["event"].to_numpy() for table in columns]])
    weight = np.concatenate([np.empty(0), *[table["weight"].to_numpy() for table in columns]])
    cut = np.concatenate([np.empty(0, np.bool_), *[_undecided(table) for table in columns]])
    kept = None
    if scenario.constraints and not (scenario.plan and scenario.plan.kind == "grid"):
        found = acceptance(scenario, scenario.seed)
        weight, kept = weight / found.rate, (found.kept, found.draws)
    lost = np.array(sorted(undecided), np.int64)
    # What a lost run weighs is not known here: as much as any, so that the upper limit holds.
    weight = np.append(weight, np.full(len(lost), weight.max(initial=1.0) if len(weight) else 1.0))
    runs = np.append(run, lost)
    stratum, share = forced_strata(scenario, runs) or (None, None)
    event = np.append(event.astype(np.bool_), np.zeros(len(lost), np.bool_))
    unknown = np.append(cut.astype(np.bool_), np.ones(len(lost), np.bool_))
    return Sample(runs, event, weight, unknown, stratum, share, kept, scenario.plan)


def _undecided(table: pa.Table) -> BoolArray:
    """Return which runs were cut short; where nothing says so, none was."""
    if "undecided" in table.column_names:
        found: BoolArray = table["undecided"].to_numpy()
        return found
    return np.zeros(len(table), np.bool_)


__all__ = ["sample_of_dataset"]
