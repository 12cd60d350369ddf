"""`begins`: calendar time with its offset, or an error at its place."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import mischance.language.scenario
from mischance.errors import ScenarioError
from mischance.language.calendar import calendar_time
from mischance.language.loading import load
from mischance.language.yaml.document import read
from tests.support import PLUGINS

WANDER = (PLUGINS / "wander.yaml").read_text()


def with_begins(folder: Path, value: str) -> Path:
    # Beside the plug-ins' own folder nothing is found, so the file's references are made absolute.
    file = folder / "mine.yaml"
    file.write_text(f"begins: {value}\n{WANDER}".replace('kind: "', f'kind: "{PLUGINS}/'))
    return file


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-03-02T06:00:00+01:00", datetime(2026, 3, 2, 5, tzinfo=UTC)),
        ("2026-03-02T06:00:00Z", datetime(2026, 3, 2, 6, tzinfo=UTC)),
        ("2024-02-29T23:59:59.25-09:30", datetime(2024, 3, 1, 9, 29, 59, 250_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_what_its_offset_makes_it(text: str, wanted: datetime) -> None:
    assert calendar_time(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-03-02T06:00:00", "no offset"),
        ("2026-03-02", "date and time"),
        ("2026-03-02 06:00:00+01:00", "date and time"),
        ("2026-W10-1T06:00:00+01:00", "date and time"),
        ("2026-02-29T06:00:00+01:00", "no such time"),
        ("2026-03-02T24:00:00+01:00", "no such time"),
        ("2026-03-02T06:00:00+24:00", "no such time"),
        ("0026-03-02T06:00:00+01:00", "1700 to 2200"),
        ("2201-03-02T06:00:00+01:00", "1700 to 2200"),
    ],
)
def test_what_is_no_time_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calendar_time(text)


def test_a_scenario_keeps_its_calendar_as_text_and_it_is_part_of_the_identity(tmp_path: Path) -> None:
    text = "2026-03-02T06:00:00+01:00"
    scenario = load(with_begins(tmp_path, text))
    assert scenario.begins == text
    assert read(scenario.text(), "resolved").tree["begins"] == text
    later = load(with_begins(tmp_path, "2026-03-02T06:00:01+01:00"))
    assert later.identity() != scenario.identity()
    assert calendar_time(later.begins) - calendar_time(scenario.begins) == timedelta(seconds=1)
    assert load(PLUGINS / "wander.yaml").begins == ""


@pytest.mark.parametrize("value", ["2026-03-02T06:00:00", "'2026-03-02T06:00:00'", "2026", "2026-02-30T06:00:00Z"])
def test_a_wrong_calendar_is_an_error_at_its_place(tmp_path: Path, value: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        load(with_begins(tmp_path, value))
    (problem,) = refused.value.problems
    assert (problem.line, problem.column, problem.path) == (1, 9, "begins")
    assert problem.hint


def test_the_schema_asks_for_an_offset() -> None:
    schema = json.loads((Path(mischance.language.scenario.__file__).parent / "scenario.schema.json").read_text())
    pattern = schema["properties"]["begins"]["anyOf"][0]["pattern"]
    assert re.search(pattern, "2026-03-02T06:00:00+01:00")
    assert not re.search(pattern, "2026-03-02T06:00:00")
