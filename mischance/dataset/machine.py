"""Facts on a machine that may explain why floats differ in their last bits."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from typing import Any


def facts() -> dict[str, Any]:
    """Return facts on this machine that may explain differing last bits; they go to the ledger, not the manifest."""
    import numpy as np
    import pyarrow as pa

    config: Mapping[str, Any] = np.show_config(mode="dicts") or {}
    simd = config.get("SIMD Extensions", {})
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "simd": sorted({*simd.get("baseline", ()), *simd.get("found", ())}),
    }


def differing_facts(stored: Mapping[str, Any]) -> list[str]:
    """Return a line for each fact in which this machine differs from the one that made the dataset."""
    lines = []
    for key, now in facts().items():
        then = stored.get(key)
        if then == now or then is None:
            continue
        if key == "simd":
            gone, new = sorted(set(then) - set(now)), sorted(set(now) - set(then))
            changes = [*(f"without {name}" for name in gone), *(f"with {name}" for name in new)]
            lines.append(f"NumPy runs {', '.join(changes)} here")
        else:
            lines.append(f"{key} is {now} here, was {then}")
    return lines
