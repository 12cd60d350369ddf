"""Datasets in Python: tables as pandas, the event's probability, and pictures that show themselves."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from mischance.dataset.draft import SCENARIO, looking
from mischance.errors import DatasetError
from mischance.estimate.dataset import sample_of_dataset
from mischance.estimate.probability import Probability, event_probability
from mischance.opening import reading
from mischance.scripting.pictures import Picture, ReplayPage
from mischance.scripting.plain_errors import plain_errors

if TYPE_CHECKING:
    import pandas as pd


class Dataset(reading.Dataset):
    """A dataset folder, as `mischance.open` and `Scenario.sweep` return it. Tables are read when asked for.

    ```python
    data = mischance.open("outputs/cut_in")
    data.runs                    # one row a run: drawn values, measures, event, verdict
    data.table("actors")         # any table by its name; data.tables() lists them
    data.probability()           # of the event, with its interval
    data.replay(17)              # in a notebook: the run as a page to watch
    ```
    """

    @property
    @plain_errors
    def runs(self) -> pd.DataFrame:
        """One row a run: what it drew, its measures, whether the event happened, margin, verdict and reason."""
        return self.table("runs")

    @property
    @plain_errors
    def events(self) -> pd.DataFrame:
        """What happened: run, event_id, parent_id (its cause), t [s], kind, subject, details."""
        return self.table("events")

    @property
    def failures(self) -> dict[int, str]:
        """Run -> why it could not be played to its end."""
        with looking(self.path) as ledger:
            return {each.run: (each.error or each.status).split("\n")[0] for each in ledger.failures()}

    @plain_errors
    def probability(self) -> Probability:
        """Return the probability of the event with its 95 % interval, or the reason why there is none.

        Runs that failed or were cut short are counted both ways.
        """
        from mischance.language.loading import load

        scenario = load(self.path / SCENARIO)
        return event_probability(sample_of_dataset(self.path, scenario, undecided=self.failures))

    @plain_errors
    def replay(self, run: int, *, compare: bool = True, out: Path | str | None = None) -> ReplayPage:
        """Play one run again, compare it with what is stored, and draw what is stored as a page to watch.

        Args:
            run: its number.
            compare: False only draws.
            out: file to write, `.html`; beside the dataset where not given.

        Raises:
            DatasetError: there is no such run, or it has no positions to draw.
        """
        from mischance.reports.replay.animation import replay_page
        from mischance.sweep.jobs import replay

        again = replay(self.path, run) if compare else None
        place = self.path.resolve()
        file = Path(out) if out is not None else place.with_name(f"{place.name}.run{run}.html")
        return ReplayPage(replay_page(self.path, run, file), again)

    @plain_errors
    def preview(self) -> Picture:
        """Return the picture `preview.png` of the dataset; it is drawn where it is not there yet.

        Raises:
            DatasetError: an image is damaged, or the picture cannot be written.
        """
        from mischance.reports.preview.picture import contact_sheet

        file = self.path / "preview.png"
        return Picture(file if file.is_file() else contact_sheet(self.path, file))

    @plain_errors
    def verify(self) -> list[str]:
        """Hash every file again; return what differs from the manifest, is foreign or missing. Empty: all is whole."""
        from mischance.dataset.draft import verify

        return verify(self.path)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what the dataset is, and how often the event happened."""
        try:
            found = self.probability()
            line = f"{found.count:,} of {found.runs:,} runs with the event; probability {found}"
        except DatasetError as error:
            line = error.message
        tables = ", ".join(self.tables())
        rows = [f"<b>{html.escape(str(self.path))}</b>", html.escape(line), f"tables: {html.escape(tables)}"]
        return "<br>".join(rows)


@plain_errors
def open(path: Path | str) -> Dataset:  # noqa: A001
    """Open a dataset folder.

    Raises:
        DatasetError: it is none.
    """
    return Dataset(path)


__all__ = ["Dataset", "open"]
