"""Exports, read by others than who wrote them: boxes against instance images, COCO by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

import mischance
from mischance.dataset.merging import merge
from mischance.errors import CatalogError, DatasetError
from mischance.language import catalog
from mischance.opening.exporting import StoredDataset, export
from mischance.sweep.jobs import sweep

pytest.importorskip("pybullet")
COCO = pytest.importorskip("pycocotools.coco").COCO

SCENE = """
mischance: 1
name: tests/export
seed: {seed}
duration: 0.5 s
vary: {{far: {{uniform: [20 m, 90 m]}}}}
simulator:
  kind: road
  road: {{lanes: 3}}
  actors:
    ego: {{speed: 0, lane: 1}}
    bus: {{body: bus, speed: 0, lane: 3, gap: 8 m}}
    truck: {{body: truck, speed: 0, lane: 2, gap: $far}}
sensors:
  front: {{kind: camera, mount: ego.windscreen, size: [160, 120], rate: 5 Hz, passes: [rgb, instance]}}
  rear: {{kind: camera, mount: truck.windscreen, size: [96, 72], rate: 5 Hz, passes: [rgb, instance]}}
write: [parquet, coco]
split: {{by: run, train: 0.5, val: 0.25, test: 0.25}}
event: {{name: collision, when: ego.contacts > 0, margin: min_gap}}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    for name, seed in (("out", 4), ("other", 5)):
        (folder / f"{name}.yaml").write_text(SCENE.format(seed=seed))
        sweep(mischance.load(folder / f"{name}.yaml"), 4 if name == "out" else 2, folder / name, workers=0)
    return folder / "out"


def mask_boxes(dataset: Path, sensor: str, run: int, index: int) -> dict[int, tuple[int, int, int, int]]:
    """Return the tight box of each instance in an instance image: id -> x, y, w, h, by looking at pixels alone."""
    file = dataset / "labels" / sensor / "instance" / f"{run:09d}" / f"{index:09d}.png"
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    found = {}
    for identity in np.unique(image[image > 0]).tolist():
        ys, xs = np.nonzero(image == identity)
        found[identity] = (int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1)
    return found


def test_yolo_boxes_are_the_tight_boxes_of_the_instance_images(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "yolo"
    counts = export(dataset, "yolo", out)
    data = yaml.safe_load((out / "data.yaml").read_text())
    listed = mischance.open(dataset).table("truth/bodies")["kind"].cat.categories.tolist()
    assert [data["names"][k] for k in range(data["nc"])] == listed
    objects = mischance.open(dataset).table("labels/front/objects")
    rear = mischance.open(dataset).table("labels/rear/objects")
    known = {"front": objects, "rear": rear}
    part = mischance.open(dataset).table("splits").set_index("run")["split"].astype(str)
    assert part.nunique() > 1
    seen = empty = 0
    for name in ("train", "val", "test"):
        pictures = {file.stem for file in (out / data["path"] / data[name]).glob("*.png")}
        texts = {file.stem: file for file in (out / "labels" / name).glob("*.txt")}
        assert pictures == set(texts), "each image has its text, also one without objects"
        assert len(pictures) == counts[f"images in {name}"]
        for stem, file in texts.items():
            identity, sensor, run, index = stem.split("_")
            assert mischance.open(dataset).manifest["dataset"].startswith(identity)
            assert part[int(run)] == name
            picture = cv2.imread(str(out / "images" / name / f"{stem}.png"))
            height, width = picture.shape[:2]
            rows = known[sensor]
            mine = rows[(rows["run"] == int(run)) & (rows["index"] == int(index))]
            boxes = mask_boxes(dataset, sensor, int(run), int(index))
            wanted = sorted(
                (listed.index(kind), *boxes[instance])
                for kind, instance in zip(mine["category"], mine["instance"], strict=True)
            )
            text = file.read_text()
            if not text:
                assert not wanted
                empty += 1
                continue
            table = np.loadtxt(io.StringIO(text), ndmin=2)
            assert table.shape[1] == 5
            assert ((table[:, 1:] >= 0) & (table[:, 1:] <= 1)).all()
            scale = np.array([width, height, width, height])
            pixels = table[:, 1:] * scale
            corners = np.concatenate([pixels[:, :2] - pixels[:, 2:] / 2, pixels[:, 2:]], axis=1)
            found = sorted(
                (int(row[0]), *np.rint(box).astype(int).tolist()) for row, box in zip(table, corners, strict=True)
            )
            assert found == wanted
            assert np.abs(corners - np.rint(corners)).max() < 1e-4  # whole pixels, to the last digit that is written
            seen += len(wanted)
    assert seen == counts["objects"] > 4
    assert empty


def test_coco_per_part_is_read_by_pycocotools(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "coco"
    export(dataset, "coco", out, {"sensors": ["front"]})
    part = mischance.open(dataset).table("splits").set_index("run")["split"].astype(str)
    ids: list[int] = []
    for name in ("train", "val", "test"):
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(out / "annotations" / f"instances_{name}.json"))
        assert {image["run"] for image in coco.imgs.values()} == set(part.index[part == name])
        assert {image["file_name"] for image in coco.imgs.values()} == {
            file.name for file in (out / "images" / name).glob("*.png")
        }
        ids += [*coco.imgs, *(-mark for mark in coco.anns)]
        for image in coco.imgs.values():
            file = dataset / "labels/front/instance" / f"{image['run']:09d}" / f"{image['index']:09d}.png"
            truth = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            for mark in coco.imgToAnns[image["id"]]:
                mask = coco.annToMask(mark).astype(bool)
                assert np.array_equal(mask, truth == mark["attributes"]["instance"])
    assert len(ids) == len(set(ids)), "ids are unique over the parts"
    own = json.loads((dataset / "labels/front/coco.json").read_text())
    assert own["categories"] == json.loads((out / "annotations/instances_val.json").read_text())["categories"]


def test_the_datasets_own_annotations_say_the_part(dataset: Path) -> None:
    part = mischance.open(dataset).table("splits").set_index("run")["split"].astype(str)
    own = json.loads((dataset / "labels/front/coco.json").read_text())
    assert {(image["run"], image["split"]) for image in own["images"]} == set(part.items())


def test_a_merged_dataset_exports_under_names_of_its_own(dataset: Path, tmp_path: Path) -> None:
    merge([dataset, dataset.parent / "other"], tmp_path / "both")
    names = []
    for source in (dataset, dataset.parent / "other", tmp_path / "both"):
        out = tmp_path / f"yolo_{source.name}"
        export(source, "yolo", out)
        names.append({file.name for file in out.rglob("*.png")})
    assert len(names[2]) == len(names[0]) + len(names[1])
    assert not names[0] & names[1]
    own = json.loads((tmp_path / "both/labels/front/coco.json").read_text())
    files = [image["file_name"] for image in own["images"]]
    assert len(files) == len(set(files)) == len({image["id"] for image in own["images"]})
    for file in files:
        assert (tmp_path / "both" / file).is_file()
    before = [
        json.loads((source / "labels/front/coco.json").read_text()) for source in (dataset, dataset.parent / "other")
    ]
    assert len(own["annotations"]) == sum(len(one["annotations"]) for one in before)
    assert own["categories"] == before[0]["categories"] == before[1]["categories"]


# -- every exporter -----------------------------------------------------------------------------------------------

EXPORTERS = [entry.name for entry in catalog.entries("exporters")]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("kind", EXPORTERS)
def test_an_export_is_the_same_each_time_whole_or_absent(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    before = contents(dataset)
    counts = export(dataset, kind, tmp_path / "one")
    assert export(dataset, kind, tmp_path / "two") == counts
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(dataset) == before, "an export reads"
    assert str(tmp_path).encode() not in b"".join(contents(tmp_path / "one").values())
    with pytest.raises(DatasetError, match="is there already"):
        export(dataset, kind, tmp_path / "one")

    def broken(self: StoredDataset, sensor: str) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(StoredDataset, "images", broken)
    with pytest.raises(DatasetError, match="no space left"):
        export(dataset, kind, tmp_path / "three")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize("kind", EXPORTERS)
def test_what_cannot_be_exported_is_said(dataset: Path, tmp_path: Path, kind: str) -> None:
    with pytest.raises(DatasetError, match="no images of a sensor 'fronts'") as refused:
        export(dataset, kind, tmp_path / "out", {"sensors": ["fronts"]})
    assert "front" in refused.value.hint
    with pytest.raises(DatasetError, match=f"exporter '{kind}': sensor: ") as refused:
        export(dataset, kind, tmp_path / "out", {"sensor": ["front"]})
    assert "sensors" in refused.value.hint
    with pytest.raises(CatalogError, match="exporters has no plug-in"):
        export(dataset, f"{kind}x", tmp_path / "out")
    with pytest.raises(DatasetError, match="is no dataset"):
        export(tmp_path, kind, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_settings_of_yolo_say_which_cameras_and_which_objects(dataset: Path, tmp_path: Path) -> None:
    known = {name: mischance.open(dataset).table(f"labels/{name}/objects")["visible"] for name in ("front", "rear")}
    least = int(np.median(known["front"])) + 1
    for name, settings, wanted in (
        ("all", {}, sum(map(len, known.values()))),
        ("front", {"sensors": ["front"]}, len(known["front"])),
        ("large", {"min_visible": least}, sum(int((seen >= least).sum()) for seen in known.values())),
    ):
        assert export(dataset, "yolo", tmp_path / name, settings)["objects"] == wanted > 0
    assert (known["front"] < least).any()
