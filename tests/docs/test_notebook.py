"""The notebook of docs/ runs, as a script and cell by cell in a kernel, and shows what its text says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import nbformat
import pytest

import mischance

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "first.ipynb"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(found)
    return found


def test_it_is_stored_without_results(notebook: nbformat.NotebookNode):
    """Results would be those of another version some day; each reader makes them anew."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) >= 6
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def script_of(notebook: nbformat.NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code") + "\n"


def test_its_cells_run_as_a_script(notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "first.py"
    text, swept = re.subn(r"\.sweep\(\d+\)", ".sweep(3)", script_of(notebook))  # all runs: in the kernel below
    assert swept == 1
    script.write_text(text, encoding="utf-8")
    left = runpy.run_path(str(script), run_name="__main__")
    data = left["data"]
    assert isinstance(data, mischance.Dataset)
    assert len(data.runs) == 3
    assert data.failures == {}
    assert left["worst"]["margin"] == data.runs["margin"].min()


@pytest.mark.slow
def test_it_runs_in_a_kernel_and_shows_pictures_tables_and_a_run(
    notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from nbclient import NotebookClient

    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))  # nothing is read from or left in a home
    (tmp_path / "work").mkdir()
    NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path / "work")}}
    ).execute()
    shown = {
        cell.source: [
            output.data for output in cell.outputs if output.output_type in ("execute_result", "display_data")
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    for source, kind in (
        ("scenario.preview()", "image/png"),
        ("data.preview()", "image/png"),
        ("data.replay(", "text/html"),
        ("data.runs[[", "text/html"),
        ("sweep(", "text/html"),
    ):
        (found,) = (data for text, data in shown.items() if source in text)
        assert any(kind in one for one in found), f"{source} shows {[list(one) for one in found]}"
    (replayed,) = (data[-1]["text/html"] for text, data in shown.items() if "data.replay(" in text)
    assert ": identical" in replayed
    (runs,) = (int(n) for n in re.findall(r"plays (\d+) runs", notebook.cells[0].source))
    (folder,) = (tmp_path / "work" / "outputs").glob("*/manifest.json")
    data = mischance.open(folder.parent)
    assert len(data.runs) == runs
    assert 0 < data.probability().count < runs, "a first sweep shows runs with the event, and runs without"
    assert "<iframe" in replayed
