"""A renderer's settings: set in a scenario, drawn, shared by sensors that ask for the same, kept with a user's file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

import mischance
from mischance.api.protocols import declares
from mischance.api.tables import AnyArray
from mischance.errors import RunError, ScenarioError
from mischance.language import catalog
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import Player
from mischance.play.sampling import draw

# Another value of every setting of every renderer; a setting that does not stand here fails.
OTHERS: dict[str, dict[str, str]] = {
    "tiny": {
        "shadow": "false",
        "sun_azimuth": "-60 deg",
        "sun_elevation": "15 deg",
        "ambient": "20 %",
        "sunlight": "0.9",
        "shadow_darkness": "80 %",
        "shadow_reach": "4 m",
        "visibility": "60 m",
        "smooth": "true",
    }
}
STREET = """
mischance: 1
name: tests/street
duration: 0.1 s
simulator:
  kind: road
  actors:
    ego: {speed: 20 m/s}
    other: {speed: 20 m/s, gap: 12 m, lane: 1}
    third: {speed: 20 m/s, gap: 30 m, lane: 1}
sensors: {}
"""
LOOK = "kind: camera, size: [64, 48], rate: 1 Hz, passes: [rgb]"
GREY = '''"""A picture of one shade."""
import numpy as np
from pydantic import BaseModel
from mischance.api.scene import Frames

class Settings(BaseModel, extra="forbid"):
    shade: int = 77

class Grey:
    def __init__(self, settings):
        self.settings = settings
    def draw(self, scene, t, pose, camera):
        width, height = camera.size
        return Frames(t, {"rgb": np.full((len(t), height, width, 3), self.settings.shade, np.uint8)})
    def close(self):
        pass
'''


def scene(sensors: str, vary: str = "{}") -> Scenario:
    """Return a short drive behind two cars."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "street.yaml"
        file.write_text(STREET, encoding="utf-8")
        return load(file, {"vary": vary, "sensors": sensors})


def images(scenario: Scenario, runs: int = 1) -> tuple[dict[str, list[AnyArray]], dict[str, int]]:
    """Play runs; return the images of every sensor, one array a run, and how often each renderer was built."""
    found: dict[str, list[AnyArray]] = {}
    with Player(scenario) as player:
        for record in player.play(draw(scenario, range(runs))):
            for name, frames in record.frames.items():
                sensor = name.split("/")[1]
                found.setdefault(sensor, []).extend(one.passes["rgb"][:1] for one in frames if len(one.t))
        return found, dict(player.built)


def picture(settings: str) -> AnyArray:
    found, _ = images(scene(f"{{front: {{{LOOK}, renderer: {settings}}}}}"))
    return found["front"][0]


@pytest.mark.parametrize("kind", [entry.name for entry in catalog.entries("renderers")])
def test_every_setting_of_a_renderer_changes_the_picture(kind: str) -> None:
    model = declares(catalog.find("renderers", kind)).settings
    assert OTHERS.get(kind, {}).keys() == model.model_fields.keys(), "each setting needs another value, in OTHERS"
    plain = picture(kind)
    assert plain.std() > 5, "there is something to see"
    assert np.array_equal(plain, picture(f"{{kind: {kind}}}")), "its name alone means its defaults"
    same = [
        key
        for key, value in OTHERS[kind].items()
        if np.array_equal(plain, picture(f"{{kind: {kind}, {key}: {value}}}"))
    ]
    assert not same, f"settings without an effect: {same}"
    for key, field in model.model_fields.items():
        assert field.default is not None, key


def test_sensors_share_a_renderer_where_its_settings_are_equal_and_only_there() -> None:
    sensors = ", ".join(
        f"{name}: {{{LOOK}, renderer: {settings}}}"
        for name, settings in {
            "a": "tiny", "b": "{kind: tiny, visibility: 1500 m}", "c": "{kind: tiny, visibility: 60 m}",
            "d": "{visibility: 0.06 km, kind: tiny}",
        }.items()
    )  # fmt: skip
    found, built = images(scene(f"{{{sensors}}}"))
    assert built["renderers.Tiny"] == 2
    a, b, c, d = (found[name][0] for name in "abcd")
    assert np.array_equal(a, b)
    assert np.array_equal(c, d)
    # haze: contrast is lost towards the horizon's colour, which is brighter than the road
    assert c.mean() > a.mean() + 5


def test_a_drawn_setting_is_that_of_its_run() -> None:
    given = scene(
        f"{{front: {{{LOOK}, renderer: {{kind: tiny, visibility: $sight}}}}}}",
        vary="{sight: {choice: [40 m, 80 m, 2 km]}}",
    )
    draws = draw(given, range(12))
    values = [one.values["sight"] for one in draws]
    assert len(set(values)) == 3
    found, _ = images(given, 12)
    fixed = {value: picture(f"{{kind: tiny, visibility: {value!r}}}") for value in set(values)}
    for value, image in zip(values, found["front"], strict=True):
        assert np.array_equal(image, fixed[value]), value


def test_a_drawn_setting_out_of_range_is_told_with_its_key() -> None:
    given = scene(
        f"{{front: {{{LOOK}, renderer: {{kind: tiny, visibility: $sight}}}}}}", vary="{sight: {uniform: [1 m, 5 m]}}"
    )
    (one,) = draw(given, [0])
    bad = replace(one, values={**one.values, "sight": -1.0})
    with Player(given) as player, pytest.raises(RunError, match=r"renderer\.visibility"):
        list(player.play([bad]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{kind: tiny, visibilty: 60 m}", r"sensors\.front\.renderer\.visibilty: unknown key; did you mean"),
        ("{kind: tiny, visibility: -1 m}", r"sensors\.front\.renderer\.visibility: must be > 0 m"),
        ("{kind: tiny, visibility: 3 kg}", r"sensors\.front\.renderer\.visibility: "),
        ("{kind: tiny, visibility: $nobody}", r"no drawn value is called 'nobody'"),
        ("{kind: tinny}", r"sensors\.front\.renderer\.kind: renderers has no plug-in called 'tinny'; did you"),
        ("{visibility: 60 m}", r"sensors\.front\.renderer: `kind` is missing"),
        ("{kind: [tiny]}", r"sensors\.front\.renderer\.kind: `kind` must be text"),
        ("[tiny]", r"sensors\.front\.renderer: "),
        ("tinny", r"sensors\.front\.renderer: renderers has no plug-in called 'tinny'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_renderer_is_told_where_it_stands(settings: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as caught:
        scene(f"{{front: {{{LOOK}, renderer: {settings}}}}}")
    assert len(caught.value.problems) == 1, "one mistake, one message"


def test_the_resolved_scenario_has_every_setting_and_reads_back_the_same(tmp_path: Path) -> None:
    given = scene(f"{{front: {{{LOOK}, renderer: {{kind: tiny, sun_azimuth: 90 deg}}}}}}")
    tree: Any = given.tree["sensors"]["front"]["renderer"]
    assert tree.keys() == {"kind", *OTHERS["tiny"]}
    assert tree["sun_azimuth"] == pytest.approx(np.pi / 2)
    (tmp_path / "again.yaml").write_text(given.text(), encoding="utf-8")
    assert load(tmp_path / "again.yaml").identity() == given.identity()
    assert given.identity() != scene(f"{{front: {{{LOOK}}}}}").identity()


def test_a_users_renderer_takes_its_settings_and_goes_into_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "grey.py"
    file.write_text(GREY)
    given = scene(f'{{front: {{{LOOK}, renderer: {{kind: "{file}:Grey", shade: 12}}}}}}')
    found, built = images(given)
    assert np.unique(found["front"][0]).tolist() == [12]
    assert built["renderers.Grey"] == 1
    assert mischance.sweep(given, 1, tmp_path / "out", workers=0).ok
    assert (tmp_path / "out" / "inputs" / "grey.py").read_text() == GREY
    text = (tmp_path / "out" / "scenario.yaml").read_text()
    assert str(tmp_path) not in text
    assert "inputs/grey.py:Grey" in text
    file.unlink()
    assert mischance.replay(tmp_path / "out", 0).identical
