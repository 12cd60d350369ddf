"""Exports a finished dataset through an exporter of the catalog; the new folder is whole or absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.appearance import BODIES
from mischance.api.exporting import LabelledImage
from mischance.api.names import padded
from mischance.api.protocols import declares
from mischance.dataset.new_folder import new_folder
from mischance.dataset.splits import PARTS
from mischance.errors import DatasetError, suggest
from mischance.language import catalog
from mischance.opening.reading import Dataset
from mischance.opening.splits import SplitOf

if TYPE_CHECKING:
    from pydantic import BaseModel


class StoredDataset:
    """A dataset as exporters see it: see `mischance.api.exporting.Stored`.

    Raises:
        DatasetError: the folder is no finished dataset.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.identity: str = dataset.manifest["dataset"]
        self._splits = SplitOf(dataset.table("splits")) if dataset.has("splits") else None
        self.parts: Sequence[str] = PARTS
        self.categories: Sequence[str] = self._categories()

    def cameras(self) -> Sequence[str]:
        """Return the sensors whose images have labels."""
        tables = self._dataset.tables()
        return [name.split("/")[1] for name in tables if name.startswith("labels/") and name.endswith("/images")]

    def images(self, sensor: str) -> Iterator[LabelledImage]:
        """Yield the images of a sensor, in order of runs and time, a file of the table at a time."""
        for rows in self._dataset.batches(f"labels/{sensor}/images"):
            runs = np.unique(rows["run"]).tolist()
            objects: dict[tuple[int, int], list[dict[str, Any]]] = {}
            if self._dataset.has(f"labels/{sensor}/objects"):
                for row in self._dataset.arrow(f"labels/{sensor}/objects", runs).to_pylist():
                    objects.setdefault((row["run"], row["index"]), []).append(row)
            t = rows["t"].to_numpy(np.float64)
            number = np.zeros(len(rows), np.int64)  # all in the first part where nothing divides them
            if self._splits is not None:
                number = self._splits.of(rows["run"].to_numpy(), t, t, {})
            for row, part in zip(rows.to_dict("records"), number.tolist(), strict=True):
                run, index = int(row["run"]), int(row["index"])
                yield LabelledImage(
                    name=f"{self.identity[:8]}_{sensor}_{padded(run)}_{padded(index)}",
                    file=self._dataset.path / "sensors" / sensor / "frames" / padded(run) / f"{padded(index)}.png",
                    sensor=sensor, run=run, index=index, t=row["t"], t_shown=row["t_shown"], width=row["width"],
                    height=row["height"], part=PARTS[part] if part >= 0 else "", objects=objects.get((run, index), []),
                )  # fmt: skip

    def _categories(self) -> list[str]:
        """Return every kind of body in the world's order, then categories that stand in no list, by name."""
        names: dict[str, None] = {}
        for table in self._dataset.tables():
            if table.startswith("truth/") and table.rpartition("/")[2].rpartition(".")[2] == BODIES:
                for rows in self._dataset.batches(table, ["kind"]):
                    names |= dict.fromkeys(map(str, rows["kind"].cat.categories))
        seen: set[str] = set()
        for sensor in self.cameras():
            if self._dataset.has(f"labels/{sensor}/objects"):
                for rows in self._dataset.batches(f"labels/{sensor}/objects", ["category"]):
                    seen |= set(rows["category"].astype(str))
        return list(names | dict.fromkeys(sorted(seen)))


def export(
    dataset: Path | str, kind: str, out: Path | str, settings: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Write a finished dataset in another format into a new folder; return how many of each kind were written.

    Args:
        dataset: its folder.
        kind: name of an exporter: coco, yolo, or that of another package.
        out: the new folder; it must not exist, or be empty.
        settings: of the exporter.

    Raises:
        DatasetError: the dataset is not finished, has nothing that the format holds, or `out` is there already; a
            setting is none, or has a wrong value.
        CatalogError: there is no such exporter.
    """
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DatasetError(f"{target} is there already", "an export makes a new folder: choose another with --out")
    cls = catalog.find("exporters", kind)
    chosen = _settings(kind, declares(cls).settings, settings or {})
    stored = StoredDataset(Dataset(dataset))
    with new_folder(target, "exporting") as draft:
        return dict(cls(chosen, draft).export(stored))


def _settings(kind: str, model: type[BaseModel], given: Mapping[str, Any]) -> BaseModel:
    from pydantic import ValidationError

    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = f"it knows: {', '.join(model.model_fields)}"
        hint = (suggest(key, model.model_fields) if first["type"] == "extra_forbidden" else "") or known
        raise DatasetError(f"exporter {kind!r}: {key}: {first['msg']}", hint) from error


__all__ = ["StoredDataset", "export"]
