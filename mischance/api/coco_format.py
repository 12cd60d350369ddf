"""COCO's image and annotation entries, from the rows of a camera's labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

INFO = {"description": "mischance: rare events, made to order", "version": "1.0", "contributor": "", "url": ""}


def annotation_entry(row: Mapping[str, Any], image_id: int) -> dict[str, Any]:
    """Return an object's entry, without its own id, the number of its category and the size of its mask.

    `category` is still a name, and `segmentation` the run-length code alone.
    """
    return {
        "image_id": image_id,
        "category": row["category"],
        "bbox": [row["x"], row["y"], row["w"], row["h"]],
        "area": row["visible"],
        "iscrowd": 0,
        "segmentation": row["counts"],
        "attributes": {
            "actor": row["actor"],
            "instance": row["instance"],
            "occlusion": round(1.0 - row["visible"] / row["amodal"], 6),
            "truncated": row["truncated"],
            "distance": round(row["distance"], 4),
        },
    }


def category_entries(numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the entries of categories: name -> number."""
    return [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()]


def compact_json(value: object) -> str:
    """Return JSON without blanks, its keys sorted."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
