# ruff: noqa: E501 (tables of cases read best as one line each)
"""Problems of a scenario: exact positions, all at once, also across `extends`, variants and `--set`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mischance.errors import MischanceError, ScenarioError
from mischance.language.loading import load

# A small scenario with all kinds of keys; the cases below change one line of it.
TEXT = """\
mischance: 1
name: tests/errors
seed: 7
duration: 6 s
vary:
  gap: {lognormal: {median: 18 m, sigma: 0.5}}
  speed: {uniform: [60 km/h, 130 km/h]}
  rest: {expr: speed / 2}
  weather: {choice: [dry, wet]}
constraints: [gap > 3 m]
simulator:
  kind: road
  friction: 0.8
  actors:
    ego: {speed: $speed}
    lead: {speed: 20 m/s, gap: $gap}
agent: {kind: braking}
sensors:
  imu: {kind: imu, rate: 100 Hz}
faults:
  - {target: ego.brakes, kind: fade, at: 1 s, chance: 0.1}
event: {name: collision, when: ego.contacts > 0, margin: min_gap}
measure: [min_gap]
split: {train: 0.8, val: 0.1, test: 0.1}
variants:
  near: {gap: 9 m}
write: [parquet]
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def complaints(text: str, source: str = "s.yaml", overrides: Mapping[str, str] | None = None) -> list[str]:
    Path("s.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(source, overrides)
    found = [str(problem) for problem in caught.value.problems]
    assert found == str(caught.value).split("\n")
    assert [(p.file, p.line, p.column) for p in caught.value.problems] == sorted(
        (p.file, p.line, p.column) for p in caught.value.problems
    )
    return found


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


def test_the_text_itself_is_sound():
    Path("s.yaml").write_text(TEXT)
    assert load("s.yaml").name == "tests/errors"
    assert load("s.yaml:near").name == "tests/errors:near"


# Replacement, and all expected messages.
CASES: dict[str, tuple[str, str, list[str]]] = {
    "unknown key": ("seed: 7", "sede: 7", ["3:1: sede: unknown key; did you mean 'seed'?"]),
    "unknown version": ("mischance: 1", "mischance: 2", ["1:12: mischance: must be 1 (got 2)"]),
    "missing key": ("duration: 6 s\n", "", ["1:1: duration: is missing"]),
    "missing setting": ("ego: {speed: $speed}", "ego: {}", ["15:10: simulator.actors.ego.speed: is missing"]),
    "missing argument": ("median: 18 m, ", "", ["6:20: vary.gap.lognormal: lognormal lacks "]),
    "missing kind": ("  kind: road\n", "", ["12:3: simulator: `kind` is missing: it names the plug-in; `mischance list simulators` shows them"]),
    "null": ("duration: 6 s", "duration:", ["4:10: duration: expected a time such as '0.8 s' (got nothing)"]),
    "no unit like that": ("6 s\n", "6 sex\n", ["4:11: duration: unknown unit 'sex' (got '6 sex'); did you mean 'sec'?"]),
    "another dimension": ("6 s\n", "6 m\n", ["4:11: duration: expected a time such as '0.8 s' (got '6 m')"]),
    "list for mapping": ("vary:\n", "vary: []\nvari:\n", ["5:7: vary: must be a mapping (got [])", "6:1: vari: unknown key; did you mean 'vary'?"]),
    "mapping for list": ("constraints: [gap > 3 m]", "constraints: {gap: 3}", ["10:14: constraints: must be a list (got a mapping of 1)"]),
    "word for list": ("write: [parquet]", "write: parquet", ["27:8: write: must be a list (got 'parquet'); write [parquet]"]),
    "word for plug-in": ("agent: {kind: braking}", "agent: braking", ["17:8: agent: must be a mapping (got 'braking'); write {kind: braking}"]),
    "null sensors": ("sensors:\n  imu: {kind: imu, rate: 100 Hz}", "sensors:", ["18:9: sensors: must be a mapping (got nothing)"]),
    "null sensor": ("imu: {kind: imu, rate: 100 Hz}", "imu:", ["19:7: sensors.imu: must be a mapping (got nothing)"]),
    "no such plug-in": ("kind: road", "kind: roda", ["12:9: simulator.kind: simulators has no plug-in called 'roda'; did you mean 'road'?"]),
    "no such format": ("write: [parquet]", "write: [parquet, [coco], cocoo]", ["27:18: write[1]: must be text (got a list of 1)", "27:26: write[2]: writers has no plug-in called 'cocoo'; did you mean 'coco'?"]),
    "format twice": ("write: [parquet]", "write: [parquet, {kind: parquet}]", ["27:18: write[1]: 'parquet' occurs twice; keep one of them"]),
    "setting of a plug-in": ("100 Hz", "100 Hz, noise: 1", ["19:34: sensors.imu.noise: unknown key; did you mean 'gyro_noise'?"]),
    "bound": ("100 Hz", "-1 Hz", ["19:26: sensors.imu.rate: must be > 0 Hz (got '-1 Hz')"]),
    "$ in seed": ("seed: 7", "seed: $gap", ["3:7: seed: must be a whole number (got '$gap'); a drawn value can stand in plug-ins and faults, and in other distributions"]),
    "$ in duration": ("6 s\n", "$gap\n", ["4:11: duration: expected a time such as '0.8 s' (got '$gap'); a drawn value can stand"]),
    "$ in name": ("tests/errors", "$gap", ["2:7: name: does not have the right form (got '$gap'); a name is letters"]),
    "$ in split": ("{train: 0.8", "{train: $gap", ["24:16: split.train: expected a ratio such as '5 %' (got '$gap'); a drawn value can stand"]),
    "$ in tags": ("seed: 7", "tags: [3, $gap]", ["3:8: tags[0]: must be text (got 3); quote it: '3'"]),
    "$ of another dimension": ("friction: 0.8", "friction: $gap", ["13:13: simulator.friction: expected a ratio such as '5 %' (got '$gap', which is about 18 m)"]),
    "$ beyond a bound": ("friction: 0.8", "friction: $rest", ["13:13: simulator.friction: must be ≤ 2 (got '$rest', which is about 13.19)"]),
    "$ that passes one on": ("{expr: speed / 2}\n  weather: {choice: [dry, wet]}", "$gap\n  weather: {choice: [dry, wet]}\nplan: {grid: {rest: [1 s]}}", ["10:22: plan.grid.rest[0]: expected a length such as '12 m' (got '1 s')"]),
    "$ word": ("friction: 0.8", "friction: $weather", ["13:13: simulator.friction: expected a ratio such as '5 %' (got '$weather', which is a word such as 'dry')"]),
    "$ nobody draws": ("friction: 0.8", "friction: $gasp", ["13:13: simulator.friction: no drawn value is called 'gasp'; did you mean 'gap'?"]),
    "$ in a place of text": ("kind: imu,", "kind: imu, mount: $gap,", ["19:27: sensors.imu.mount: must be text (got '$gap', which is about 18 m)"]),
    "expression of a law": ("{expr: speed / 2}", "{expr: $speed  // 2}", ["8:24: vary.rest.expr: '//' is not allowed; use `/`"]),
    "name in a law": ("{expr: speed / 2}", "{normal: [$speed, 2 * sped]}", ["8:31: vary.rest.normal[1]: no drawn value is called 'sped'; did you mean 'speed'?"]),
    "quoted expression": ("[gap > 3 m]", "['gap > 3 n']", ["10:24: constraints[0]: unknown unit 'n'"]),
    "folded expression": ("[gap > 3 m]", "\n  - >\n    gap >\n    3 n", ["11:5: constraints[0]: column 9 of the expression: unknown unit 'n'"]),
    "name in a condition": ("when: ego.contacts > 0", "when: ego.contact > 0", ["22:32: event.when: nothing is called 'ego.contact' here; did you mean 'ego.contacts'?"]),
    "cycle": ("speed: {uniform: [60 km/h, 130 km/h]}", "speed: rest + 1", ["7:10: vary.speed: these values depend on each other: speed -> rest -> speed"]),
    "no distribution": ("{uniform: [60 km/h, 130 km/h]}", "{unifrom: [1, 2]}", ["7:11: vary.speed.unifrom: no distribution is called 'unifrom'; did you mean 'uniform'?"]),
    "reserved": ("  rest:", "  event:", ["8:3: vary.event: 'event' is a column of every dataset; choose another name"]),
    "measure as drawn value": ("  rest:", "  min_gap:", ["8:3: vary.min_gap: 'min_gap' is a measure of the world; choose another name"]),
    "bad name": ("  rest:", "  3x:", ["8:3: vary.3x: the name does not have the right form; a name is letters, digits and _, and does not begin with a digit"]),
    "no such target": ("target: ego.brakes", "target: eggo.brakes", ["21:14: faults[0].target: nothing in this world is called 'eggo.brakes'; did you mean 'ego.brakes'?"]),
    "no such sensor": ("target: ego.brakes", "target: sensors.inu", ["21:14: faults[0].target: there is no sensor 'inu'; did you mean 'sensors.imu'?"]),
    "no such fault": ("kind: fade", "kind: fate", ["21:32: faults[0].kind: 'ego.brakes' has no fault 'fate'; did you mean 'fade'?"]),
    "onset in metres": ("at: 1 s", "at: $gap", ["21:42: faults[0].at: expected a time such as '0.8 s' (got $gap, a length)"]),
    "onset in words": ("at: 1 s", "at: $weather", ["21:42: faults[0].at: must be a number (got $weather, which draws words)"]),
    "onset before": ("at: 1 s", "at: -1 s", ["21:42: faults[0].at: must be ≥ 0 (got -1)"]),
    "no probability": ("chance: 0.1", "chance: 1.1", ["21:55: faults[0].chance: must be between 0 and 1 (got 1.1)"]),
    "two ways to count": ("chance: 0.1", "chance: 0.1, rate: 3 /h", ["21:5: faults[0]: say one of chance, count and rate (got chance and rate)"]),
    "forced alone": ("chance: 0.1", "forced: 0.1", ["21:55: faults[0].forced: goes with `chance`"]),
    "forced what": ("chance: 0.1", "chance: 0.1, forced: [x]", ["21:68: faults[0].forced: expected a ratio such as '5 %' (got a list of 1)"]),
    "faults as a mapping": ("faults:\n  - {target", "faults:\n  x: {target", ["21:3: faults: must be a list (got a mapping of 1)"]),
    "constraint of another dimension": ("[gap > 3 m]", "[gap > 3 m, 0.5 * gap > 3 kg]", ["10:38: constraints[1]: compares a length (0.5 * gap) with a mass (3 kg); write a length such as '12 m'"]),
    "event of another dimension": ("when: ego.contacts > 0", "when: ego.contacts > 0 and min_gap < gap - 2 s", ["22:69: event.when: subtracts a time (2 s) from a length (gap); write a length"]),
    "margin of two dimensions": ("margin: min_gap", "margin: 'min(speed, min_gap)'", ["22:70: event.margin: min mixes a speed (speed) with a length (min_gap)"]),
    "computed of two dimensions": ("speed / 2", "speed / 2 + 1 - gap", ["8:32: vary.rest.expr: subtracts a length (gap) from a speed (speed / 2 + 1)"]),
    "requirement of another dimension": ("seed: 7", "require: {a: 'always 3 kg < max(min_gap, 0)'}", ["3:22: require.a: compares a mass (3 kg) with a length (max(min_gap, 0)); write a length"]),
    "compared with a computed value": ("[gap > 3 m]", "[gap > rest]", ["10:21: constraints[0]: compares a length (gap) with a speed (rest)"]),
    "no such measure": ("[min_gap]", "[min_gasp, 3]", ["23:11: measure[0]: 'road' has no measure 'min_gasp'; did you mean 'min_gap'?", "23:21: measure[1]: must be text (got 3); quote it: '3'"]),
    "shares": ("train: 0.8", "train: 0.9", ["24:8: split: the shares must add up to 1 (got 1.1)"]),
    "variant of nothing": ("near: {gap: 9 m}", "near: {gasp: 9 m}", ["26:10: variants.near.gasp: nothing of that name to change; did you mean 'gap'?"]),
    "variant's value": ("near: {gap: 9 m}", "near: {gap: {normal: [1]}}", ["26:24: variants.near.gap.normal: normal takes 2 arguments (got 1)"]),
    "variant of the version": ("near: {gap: 9 m}", "near: {mischance: 1}", ["26:10: variants.near.mischance: 'mischance' cannot be changed"]),
    "require": ("seed: 7", "require: {a: ' ', b: 3}", ["3:14: require.a: does not have the right form (got ' '); it must not be empty", "3:22: require.b: must be text (got 3); quote it: '3'"]),
    "correlate": ("seed: 7", "correlate: {gaussian: [[gap, sped, 2], [gap, gap, 0], [gap, weather, 0]]}", ["3:24: correlate.gaussian[0]", "3:30: correlate.gaussian[0][1]: no drawn value is called 'sped'", "3:36: correlate.gaussian[0][2]: a correlation is between -1 and 1 (got 2)", "3:40: correlate.gaussian[1]: a value cannot be correlated with itself", "3:61: correlate.gaussian[2][1]: 'weather' draws words"][1:]),
    "plan": ("seed: 7", "plan: {grid: {gap: [9 n, 9 s], gasp: [1], weather: [3]}, lhs: 0}", ["3:7: plan: say one of grid, lhs and sobol (got grid and lhs)", "3:21: plan.grid.gap[0]: unknown unit 'n'", "3:26: plan.grid.gap[1]: expected a length such as '12 m' (got '9 s')", "3:32: plan.grid.gasp: no drawn value is called 'gasp'", "3:53: plan.grid.weather[0]: must be a word (got 3)", "3:63: plan.lhs: must be > 0 (got 0)"]),
    "exposure": ("seed: 7", "exposure: {rate: 3 m, source: 3}", ["3:18: exposure.rate: expected a frequency or rate such as '10 Hz' (got '3 m')", "3:31: exposure.source: must be text (got 3)"]),
    "no such parent": ("seed: 7", "extends: driving/cut_inn", ["3:10: extends: there is no scenario or file 'driving/cut_inn'; did you mean 'driving/cut_in'?"]),
    "itself": ("seed: 7", "extends: ./s.yaml", ["3:10: extends: the scenarios extend each other: s.yaml -> s.yaml"]),
    "parent's name too long": ("seed: 7", f"extends: {'a' * 5000}", ["3:10: extends: there is no scenario or file 'aaaa"]),
    "plug-in's name too long": ("kind: road", f"kind: {'a' * 5000}.py:Foo", ["12:9: simulator.kind: there is no file "]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_at_its_place(case: str):
    old, new, expected = CASES[case]
    found = complaints(changed(old, new))
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(f"s.yaml:{start}")


@pytest.mark.parametrize(
    "text",
    ["gap > 3", "3 > gap", "gap > 3 km", "gap > 50 % * gap", "gap > speed * 1 s", "gap / speed > 2 s", "gap * gap > 3",
     "gap > bare", "bare > 3 kg", "gap / gap < 3 kg", "sqrt(gap * 3 m) > 1 m", "where(gap > 3, gap, 1) > 3 ft",
     "clip(gap, 1, 3 m) + 2 > -min(gap, 0)", "speed - 5 km/h > rest and not gap < 1 m", "warm - 5 K > 20 degC",
     "loud > 3 dB and loud > 50 %", "gap % 2 s < 1", "gap ** 2 > 3 s"],
)  # fmt: skip
def test_a_bare_number_and_what_is_not_known_fit_every_dimension(text: str):
    drawn = "vary:\n  bare: {uniform: [1, 2]}\n  warm: {uniform: [1 K, 2 K]}\n  loud: {uniform: [10 %, 50 %]}"
    Path("s.yaml").write_text(changed("vary:", drawn).replace("gap > 3 m", f'"{text}"'))
    assert load("s.yaml").constraints[0].text == text


def test_signals_have_the_units_of_their_columns():
    promises = (
        "require:\n  a: always ego.gap > 0 s\n  b: always ego.gap < 3 m or (ego.lane < 1 kg and ego.hit)\n"
        "  c: for 2 s ego.speed < speed until ego.speed > gap\nagent:"
    )
    assert [line.partition(": ")[2] for line in complaints(changed("agent:", promises))] == [
        "require.a: compares a length (ego.gap) with a time (0 s); write a length such as '12 m'",
        "require.c: compares a speed (ego.speed) with a length (gap)",
    ]


def test_one_round_shows_all_problems_even_where_the_types_are_wrong_too():
    text = TEXT
    for old, new in [
        ("seed: 7", "seed: x"), ("gap > 3 m", "gapp > 3 m"), ("friction: 0.8", "friction: -1"),
        ("rate: 100 Hz", "rate: 100 Hx"), ("kind: fade", "kind: fate"), ("at: 1 s", "at: 1 m"),
        ("ego.contacts", "ego.contact"), ("[min_gap]", "[min_gapp]"), ("train: 0.8", "train: 0.7"),
        ("near: {gap", "near: {gapp"), ("[parquet]", "[parkett]"),
    ]:  # fmt: skip
        assert text.count(old) == 1
        text = text.replace(old, new)
    lines = [int(line.split(":")[1]) for line in complaints(text)]
    assert lines == [3, 10, 13, 19, 21, 21, 22, 23, 24, 26, 27]


def test_problems_end_at_a_hundred():
    text = TEXT + "require:\n" + "".join(f"  a{i}: {i}\n" for i in range(500))
    found = complaints(text)
    assert len(found) <= 101
    assert any("more than 99 problems" in line for line in found)


# -- where a value was written ----------------------------------------------------------------------------------------


def test_a_problem_names_the_file_in_which_the_value_was_written():
    Path("sub").mkdir()
    Path("sub/base.yaml").write_text(changed("friction: 0.8", "friction: -1").replace("9 m", "9 n"))
    child = "mischance: 1\nname: tests/child\nextends: sub/base.yaml\nvary:\n  speed: {uniform: [1 m/s, 2 n]}\n"
    found = complaints(child + "agent: {kind: braking, ttc: -1}\nsimulator: {settle: -2}\n")
    assert [line.split(": ")[:2] for line in found] == [
        ["s.yaml:5:28", "vary.speed.uniform[1]"],
        ["s.yaml:6:29", "agent.ttc"],
        ["s.yaml:7:21", "simulator.settle"],
        [f"{Path('sub/base.yaml')}:13:13", "simulator.friction"],
        [f"{Path('sub/base.yaml')}:26:15", "variants.near.gap"],
    ]


def test_what_a_file_replaces_whole_is_not_looked_for_in_the_file_below():
    """Settings of another kind of plug-in are not inherited: a missing key is reported at `kind`."""
    Path("base.yaml").write_text(TEXT)
    child = "mischance: 1\nname: tests/child\nextends: base\nsensors:\n  imu: {kind: camera, rate: 5 Hz, siez: 3}\n"
    (line,) = complaints(child)
    assert line == "s.yaml:5:35: sensors.imu.siez: unknown key; did you mean 'size'?"
    child = "mischance: 1\nname: tests/child\nextends: base\nsimulator:\n  kind: tests.nothing:X\n"
    assert complaints(child)[0].startswith("s.yaml:5:9: simulator.kind: ")


def test_variants_and_the_command_line_are_places_too():
    text = TEXT + "  # a comment\n"
    assert complaints(text.replace("near: {gap: 9 m}", "near: {simulator.friction: -1}"), "s.yaml:near") == [
        "s.yaml:26:30: simulator.friction: must be > 0 (got -1)"
    ]
    assert complaints(text, "s.yaml:near", {"simulator.friction": "-2", "gap": " {normal: [1 m, x]}"}) == [
        "--set gap:1:17: vary.gap.normal[1]: no drawn value is called 'x'; known: gap, speed, rest, weather",
        "--set simulator.friction:1:1: simulator.friction: must be > 0 (got -2)",
    ]
    assert complaints(text, "s.yaml", {"constraints.0": "gap > 3 parsec"})[0].startswith(
        "--set constraints.0:1:9: constraints[0]: unknown unit 'parsec'"
    )
    assert complaints(text, "s.yaml", {"seed": "[1"})[0].startswith("--set seed:")
    with pytest.raises(ScenarioError) as caught:
        load("s.yaml", seed=2**63)
    assert str(caught.value).startswith("--seed:1:1: seed: must be < ")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("gasp", "nothing of that name to change"), ("mischance", "nothing of that name"), ("extends", "nothing of"),
        ("seed.x", "seed has no parts (it is 7)"), ("faults.9.at", "faults is a list of 1 without an entry 9"),
        ("faults.x", "faults is a list of 1 without an entry x"), ("sensors.0.rate", "sensors is a mapping without a key 0"),
        ("", "nothing of"), ("vary..x", "nothing of"), ("vary.gap.²", ""),
    ],
)  # fmt: skip
def test_a_change_that_leads_nowhere_is_refused(key: str, message: str):
    Path("s.yaml").write_text(TEXT)
    with pytest.raises(MischanceError) as caught:
        load("s.yaml", {key: "1"})
    assert message in str(caught.value)


def test_variants_of_the_file_below_are_there_and_one_above_replaces_its_namesake():
    Path("base.yaml").write_text(TEXT.replace("near: {gap: 9 m}", "near: {gap: 9 m}\n  far: {gap: 90 m, seed: 8}"))
    Path("s.yaml").write_text("mischance: 1\nname: a/b\nextends: base\nvariants: {near: {seed: 9}}\n")
    assert load("s.yaml:far").seed == 8
    near = load("s.yaml:near")
    assert (near.seed, near.name) == (9, "a/b:near")
    assert near.vary["gap"].kind == "lognormal"


def test_files_are_found_beside_the_file_that_names_them():
    Path("sub").mkdir()
    Path("sub/figures.csv").write_text("x\n1\n2\n")
    plugin = Path(__file__).parents[1] / "plugins" / "probe.py"
    Path("sub/probe.py").write_text(plugin.read_text())
    base = changed("{expr: speed / 2}", "{empirical: {file: figures.csv, column: x}}")
    Path("sub/base.yaml").write_text(base.replace("imu: {kind: imu, rate: 100 Hz}", "meter: {kind: 'probe.py:Probe'}"))
    Path("s.yaml").write_text("mischance: 1\nname: a/b\nextends: sub/base\n")
    assert {name: path.resolve() for name, path in load("s.yaml").files.items()} == {
        "inputs/figures.csv": Path("sub/figures.csv").resolve(),
        "inputs/probe.py": Path("sub/probe.py").resolve(),
    }


def test_names_that_cannot_be_files_are_refused_without_a_traceback():
    for name in (
        "a" * 5000,
        "a\0b",
        "driving/../driving/cut_in",
        "/",
        ".",
        "",
        ":",
        "driving/cut_in:",
        "driving/cut_in:x",
    ):
        with pytest.raises(MischanceError):
            load(name)


def test_a_large_file_is_not_read_to_its_end():
    Path("s.yaml").write_bytes(b"a: x\n")
    with Path("s.yaml").open("r+b") as file:
        file.truncate(1 << 40)  # sparse: reading it all would take a terabyte
    with pytest.raises(ScenarioError, match="larger than 1024 KiB"):
        load("s.yaml")


# -- the command line -------------------------------------------------------------------------------------------------

HEAD = "mischance: 1\nname: a/b\n"
ATTACKS: dict[str, tuple[bytes, str]] = {
    "deep list": (b"[" * 100_000, ":1:65: nested deeper than 64 levels"),
    "billion laughs": (b"a: &a [x]\nb: [*a, *a]\n", ":1:4: a: anchors"),
    "alias": (b"a: *b\n", ":1:4: a: aliases"),
    "merge": (b"<<: {a: 1}\n", ":1:1: merge keys"),
    "object": (b"a: !!python/object/apply:os.system ['true']\n", ":1:4: a: tags"),
    "int tag": (b"a: !!int 3\n", ":1:4: a: tags"),
    "huge integer": (b"seed: " + b"9" * 6000, ":1:7: seed: a whole number may have 20 digits"),
    "overflow": (b"seed: 1e999\n", ":1:7: seed: the number is too large"),
    "not a number": (b"seed: .nan\n", ":1:7: seed: must be a finite number"),
    "nul": (b"a: x\0", ":1:5: the character U+0000"),
    "surrogate": (b'a: "\\ud800"', ":1:"),
    "byte-order mark": (b"\xef\xbb\xbfa: 1", ":1:1: the file begins with a byte-order mark"),
    "png": (b"\x89PNG\r\n\x1a\n\0\0", ":1:1: not a UTF-8 text"),
    "empty": (b"", ":1:1: the file is empty"),
    "bare list": (b"- a\n", ":1:1: a scenario is a mapping"),
    "duplicate": (b"a: 1\na: 2\n", ":2:1: a: the key occurs twice"),
    "tab": (b"a:\n\tb: 1\n", ":2:1: a: a tab cannot indent"),
    "complex key": (b"? a: b\n: 1\n", ":1:3: a key must be"),
    "leading zero": (b"seed: 010\n", ":1:7: seed: numbers with a leading zero"),
}
EXPRESSIONS = {
    "dunder": ("gap.__class__.__mro__ > 0", ""), "format": ("'{0.__class__}'", ":1:"), "power": ("9**9**9 > 0", None),
    "string times": ("'a' * 9", ""), "list times": ("[0] * 9", ""), "import": ("__import__(0) > 1", ""),
    "parentheses": ("(" * 200 + "1" + ")" * 200, ""), "too long": ("(" * 500, ""), "comprehension": ("[x for x in gap]", ""),
    "shift": ("1 << 9999999", ""), "lambda": ("(lambda: 0)()", ""), "walrus": ("(a := 1) > 0", ""), "index": ("gap[0] > 1", ""),
    "chain": ("1 < gap < 2", ""), "keyword": ("min(a=1)", ""), "unicode": ("ｇap > 1", ""), "comment": ("gap > 1 \\# x", ""),
}  # fmt: skip


def test_an_attack_is_refused_in_one_line_by_the_command_line(tmp_path: Path):
    """In one process, through the command line's entry point: exit 2, one line with a position, no traceback."""
    folder = tmp_path / "attacks"
    folder.mkdir()
    expected = {}
    for name, (text, place) in ATTACKS.items():
        (folder / f"{name}.yaml").write_bytes(text)
        expected[name] = place
    for name, (expression, place) in EXPRESSIONS.items():
        if place is not None:
            quoted = expression.replace("\\", "").replace('"', '\\"')
            (folder / f"e {name}.yaml").write_text(TEXT.replace("[gap > 3 m]", f'["{quoted}"]'))
            expected[f"e {name}"] = ":10:"
    probe = (
        "import sys\nfrom mischance.cli.commands import main\n"
        "for file in sys.argv[1:]:\n"
        "    sys.stderr.write(f'>>> {file}\\n')\n    sys.stderr.flush()\n"
        "    try:\n        main(['validate', file])\n    except SystemExit as end:\n"
        "        sys.stderr.write(f'<<< {end.code}\\n')\n"
    )
    files = [str(folder / f"{name}.yaml") for name in expected]
    done = subprocess.run(
        [sys.executable, "-c", probe, *files], capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stderr.split(">>> ")[1:]
    assert len(said) == len(expected)
    for place, text in zip(expected.values(), said, strict=True):
        file, *lines, end = text.splitlines()
        assert end == "<<< 2", text
        assert len(lines) == 1, text
        assert place in lines[0], text
        assert lines[0].startswith(file)
        assert len(lines[0]) < 500


def test_a_power_of_powers_is_only_infinite():
    Path("s.yaml").write_text(TEXT.replace("[gap > 3 m]", "[9**9**9 > gap]"))
    (condition,) = load("s.yaml").constraints
    assert condition({"gap": 1.0}) is True
