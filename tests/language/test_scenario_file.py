"""The whole language: every key is read and typed, and the resolved text reproduces the scenario."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from mischance.errors import RunError
from mischance.language import catalog
from mischance.language.distributions.parsing import KINDS
from mischance.language.loading import load
from mischance.language.scenario import FaultEntry, Scenario, ScenarioModel
from mischance.language.template import starter_text
from mischance.language.yaml.document import dump, read
from mischance.play.sampling import draw

HERE = Path(__file__).parents[1]
EVERY_KEY = HERE / "scenarios" / "every_key.yaml"


def every_name() -> list[str]:
    """Return all scenarios of the project, with all their variants."""
    files = {**catalog.scenario_files(), str(EVERY_KEY): EVERY_KEY}
    files[str(HERE / "plugins" / "wander.yaml")] = HERE / "plugins" / "wander.yaml"
    found = []
    for source, path in files.items():
        variants = read(path.read_bytes(), str(path)).tree.get("variants") or {}
        found += [source, *(f"{source}:{variant}" for variant in variants)]
    return found


def few() -> list[Any]:
    """Return all names, with the variants of all files but the first of each folder marked as slow."""
    first: dict[str, str] = {}
    found: list[Any] = []
    for name in every_name():
        source, _, variant = name.partition(":")
        kept = first.setdefault(source.rpartition("/")[0], source) == source
        found.append(pytest.param(name, marks=[pytest.mark.slow] if variant and not kept else []))
    return found


def again(scenario: Scenario, folder: Path) -> Scenario:
    """Write a scenario as a dataset does, with its files, and load that."""
    folder.mkdir()
    for name, path in scenario.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    (folder / "scenario.yaml").write_text(scenario.text(), encoding="utf-8")
    return load(folder / "scenario.yaml")


def test_the_every_key_file_has_every_key():
    tree = read(EVERY_KEY.read_bytes(), "every_key").tree
    assert set(tree) == set(ScenarioModel.model_fields) - {"worlds", "links", "agents"}, (
        "these stand instead of `simulator` and `agent`"
    )
    assert {key for fault in tree["faults"] for key in fault} == set(FaultEntry.model_fields)
    kinds = {key for law in tree["vary"].values() if isinstance(law, dict) for key in law if key != "source"}
    assert kinds == set(KINDS) - {"truncnormal"}  # another spelling of truncated_normal


def test_every_key_arrives_where_it_belongs():
    scenario = load(EVERY_KEY)
    assert scenario.duration == 8.0
    assert scenario.seed == 7
    assert list(scenario.sensors) == ["rear", "front", "imu"]  # the first is that of the file below
    assert scenario.agent is not None
    assert scenario.agent.drawn == {"measured"}
    assert scenario.simulator.drawn == {"friction", "ego_speed", "cut_speed", "lane", "gap"}
    assert scenario.vary["gap"].source == "chosen by hand"
    assert list(scenario.vary).index("cut_speed") > list(scenario.vary).index("closing")
    frozen, biased, faded = scenario.faults
    assert (frozen.forced, frozen.target, frozen.kind) == (0.5, "sensors.front", "freeze")
    assert biased.rate is not None
    assert biased.rate.typical() == pytest.approx(3 / 3600)
    assert faded.count is not None
    assert faded.lasts is None
    assert scenario.event is not None
    assert scenario.event.margin is not None
    assert len(scenario.constraints) == 2
    assert scenario.measure == ("min_ttc", "min_thw", "max_drac", "min_gap")
    assert scenario.split.train == pytest.approx(0.8)
    assert [writer.kind for writer in scenario.writers] == ["parquet", "coco"]
    assert scenario.plan is not None
    assert scenario.plan.size == 6
    assert scenario.correlation is not None
    assert scenario.correlation.names == ("gap", "closing")
    assert set(scenario.files) == {"inputs/figures.csv"}
    assert scenario.tree["exposure"] == {"rate": pytest.approx(0.3 / 3600), "source": "made up"}
    assert scenario.tree["plan"]["grid"]["ego_speed"] == [pytest.approx(v / 3.6) for v in (60, 90, 130)]
    crash = load(f"{EVERY_KEY}:crash")
    assert crash.vary["gap"].kind == "uniform"
    assert crash.faults[0].chance is not None
    assert crash.faults[0].chance.typical() == 0.5
    assert crash.simulator.tree["actors"]["intruder"]["lane"] == 2


def test_every_key_can_be_drawn():
    draws = draw(load(EVERY_KEY), range(50))
    assert all(each.values["gap"] > 3.0 for each in draws)
    assert {each.values["weather"] for each in draws} == {"dry", "rain"}
    assert all(each.values["passed"] == each.values["gap"] for each in draws)
    assert all(each.values["held"] >= 0.0 for each in draws)


@pytest.mark.parametrize("source", few())
def test_the_resolved_text_is_a_fixed_point(source: str, tmp_path: Path):
    scenario = load(source)
    second = again(scenario, tmp_path / "a")
    assert second.text() == scenario.text()
    assert second.identity() == scenario.identity()
    assert set(second.files) == set(scenario.files)
    assert again(second, tmp_path / "b").text() == scenario.text()


@pytest.mark.parametrize("source", few())
def test_the_resolved_text_draws_the_same(source: str, tmp_path: Path):
    scenario = load(source)
    second = again(scenario, tmp_path / "a")
    for one, other in zip(draw(scenario, range(20)), draw(second, range(20)), strict=True):
        assert (one.values, one.faults, one.log_weight) == (other.values, other.faults, other.log_weight)
        assert one.settings.model_dump() == other.settings.model_dump()


def test_files_of_one_name_in_two_folders_keep_apart(tmp_path: Path):
    for folder, figure in (("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text(f"x\n{figure}\n")
        shutil.copyfile(HERE / "plugins" / "probe.py", tmp_path / folder / "probe.py")
    (tmp_path / "two" / "probe.py").write_text((tmp_path / "two" / "probe.py").read_text() + "\n# another\n")
    shutil.copyfile(HERE / "plugins" / "drift.py", tmp_path / "drift.py")
    (tmp_path / "s.yaml").write_text(
        "mischance: 1\nname: a/b\nduration: 1 s\nsimulator: {kind: 'drift.py:Drift'}\n"
        "vary:\n  a: {empirical: {file: one/x.csv, column: x}}\n  b: {empirical: {file: two/x.csv, column: x}}\n"
        "sensors:\n  a: {kind: 'one/probe.py:Probe'}\n  b: {kind: 'two/probe.py:Probe'}\n"
    )
    scenario = load(tmp_path / "s.yaml")
    names = {"drift.py", "probe.py", "probe_2.py", "x.csv", "x_2.csv"}
    assert set(scenario.files) == {f"inputs/{name}" for name in names}
    second = again(scenario, tmp_path / "out")
    assert second.text() == scenario.text()
    assert draw(second, [0])[0].values == draw(scenario, [0])[0].values == {"a": 1.0, "b": 2.0}


# -- generated scenarios ----------------------------------------------------------------------------------------------

UNITS = {"m": ["12 m", "3.5", "40 cm"], "s": ["1 s", "20 ms", "0.5"], "": ["3", "0.25", "7"]}


def law(rng: random.Random, unit: str, depth: int = 0) -> Any:
    """Return the tree of some distribution over quantities of one dimension."""

    def number() -> Any:
        text = rng.choice(UNITS[unit])
        return text if text[-1].isalpha() else float(text)

    def arg() -> Any:
        return law(rng, unit, depth + 1) if depth < 2 and rng.random() < 0.15 else number()

    return rng.choice([
        number,
        lambda: {"uniform": [0, arg()]},
        lambda: {"normal": {"mean": arg(), "sigma": number()}, "source": rng.choice(["", "a: b # c", "é\n"])},
        lambda: {"lognormal": {"median": number(), "sigma": 0.3}},
        lambda: {"choice": {str(float(i + 1)): rng.randint(1, 9) for i in range(rng.randint(1, 4))}},
        lambda: {"mixture": [[rng.randint(1, 5), law(rng, unit, depth + 1)] for _ in range(2)]},
        lambda: {"empirical": {"values": [rng.uniform(0, 9) for _ in range(rng.randint(1, 5))]}},
        lambda: {"constant": number()},
        lambda: {"exponential": {"mean": number()}},
    ])()  # fmt: skip


def generated(rng: random.Random) -> dict[str, Any]:
    """Return the tree of a valid scenario of the tests' small world."""
    words = {"choice": {word: rng.randint(1, 4) for word in ("dry", "wet and cold", "é-1")[: rng.randint(1, 3)]}}
    vary = {f"v{i}": law(rng, "") for i in range(rng.randint(0, 4))} | {"word": words, "late": law(rng, "s")}
    vary["sum"] = " + ".join(["1", *(name for name in vary if name.startswith("v"))])
    fault: dict[str, Any] = {"target": "plant", "kind": "drift", "at": rng.choice(["$late", law(rng, "s")])}
    fault[rng.choice(["chance", "count"])] = rng.choice([0, 0.5, {"choice": {"0": 1, "1": 2}}])
    if rng.random() < 0.5:
        fault["lasts"] = law(rng, "s")
    return {
        "mischance": 1,
        "name": "tests/generated",
        "about": rng.choice(["", "a: b", "- x", "# no", "'", '"', "two\nlines", "0x10", "null", "é…"]),
        "tags": rng.sample(["a", "1", "true", "a-b", " c "], 2),
        "seed": rng.randrange(2**63),
        "duration": rng.choice(["3 s", 2, 0.1, "1 min"]),
        "vary": vary,
        "simulator": {"kind": "drift.py:Drift", **({"noise": "$sum"} if rng.random() < 0.5 else {})},
        "sensors": {name: {"kind": "probe.py:Probe"} for name in rng.sample(["a", "b", "_c"], rng.randint(0, 3))},
        "faults": [fault] * rng.randint(0, 2),
        "event": {"name": "e", "when": "peak > v0 m" if "v0 m" in vary else "peak > 1 V"},
        "constraints": rng.sample(["late > -1 s", "sum > -1e9"], rng.randint(0, 2)),
        "split": {"by": rng.choice(["run", "time"]), "train": 0.5, "val": "25 %", "test": 0.25},
        "write": rng.choice([[], ["parquet"], [{"kind": "parquet"}]]),
    }


def test_generated_scenarios_resolve_to_fixed_points_that_draw_alike(tmp_path: Path):
    for name in ("drift.py", "probe.py"):
        shutil.copyfile(HERE / "plugins" / name, tmp_path / name)
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for name in ("drift.py", "probe.py"):
        shutil.copyfile(tmp_path / name, inputs / name)
    for i in range(100):
        tree = generated(random.Random(i))
        (tmp_path / "s.yaml").write_text(dump(tree), encoding="utf-8")
        scenario = load(tmp_path / "s.yaml")
        (tmp_path / "r.yaml").write_text(scenario.text(), encoding="utf-8")
        second = load(tmp_path / "r.yaml")
        assert second.text() == scenario.text(), tree
        assert (second.about, second.tags, second.seed) == (tree["about"], tuple(tree["tags"]), tree["seed"])
        if i % 4:  # drawing takes longer than reading
            continue
        try:
            first = draw(scenario, [0, 5])
        except RunError as error:  # a constraint that is hardly ever kept, a drawn argument that is impossible
            with pytest.raises(RunError, match=error.message[:10].replace("(", ".")):
                draw(second, [0, 5])
            continue
        assert [each.values for each in draw(second, [0, 5])] == [each.values for each in first]


# -- starters ---------------------------------------------------------------------------------------------------------


def test_the_starter_is_sound_and_says_what_its_lines_mean(tmp_path: Path):
    (tmp_path / "s.yaml").write_text(starter_text())
    scenario = load(tmp_path / "s.yaml")
    assert scenario.name == "my/first"
    assert starter_text().startswith("# yaml-language-server: $schema=")
    assert starter_text().count("#") > 8
    assert max(map(len, starter_text().splitlines()[1:])) <= 110


@pytest.mark.parametrize("source", [one for one in few() if not one.values[0].startswith("/")])
def test_a_copy_of_a_library_scenario_draws_as_it_does(source: str, tmp_path: Path):
    (tmp_path / "s.yaml").write_text(starter_text(source), encoding="utf-8")
    copy, original = load(tmp_path / "s.yaml"), load(source)
    for one, other in zip(draw(copy, range(5)), draw(original, range(5)), strict=True):
        assert (one.values, one.faults, one.settings) == (other.values, other.faults, other.settings)
