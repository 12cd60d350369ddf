"""The modules that a source may import are found in it, without importing any."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mischance.language.imports import reachable

SOURCES = {
    "top.py": "import json\nimport numpy\nfrom pack.inner import leaf\n",
    "pack/__init__.py": "",
    "pack/side.py": "",
    "pack/inner/__init__.py": "",
    "pack/inner/leaf.py": "from . import near\nfrom .. import side\nfrom ..other.far import name\n",
    "pack/inner/near.py": "def late():\n    import alone\n",
    "pack/other/__init__.py": "",
    "pack/other/far.py": "name = 1\n",
    "pack/unused.py": "",
    "alone.py": "",
}


def test_imports_are_followed_wherever_they_stand_and_however_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    found = reachable({"top": tmp_path / "top.py"}, [])
    assert {str(path.relative_to(tmp_path)) for path in found.values()} == set(SOURCES) - {"pack/unused.py"}
    assert found["pack.other.far"] == tmp_path / "pack/other/far.py"
    assert not {name for name in set(sys.modules) - before if name.partition(".")[0] in ("pack", "alone", "top")}
    # of a package below the plug-in's own folder, all is part of it: a name may be computed
    whole = reachable({"": tmp_path / "top.py"}, [str(tmp_path)])
    assert {str(path.relative_to(tmp_path)) for path in whole.values()} == set(SOURCES)
