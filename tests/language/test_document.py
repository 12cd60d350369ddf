# ruff: noqa: E501 (tables of cases read best as one line each)
"""Reading and writing YAML: every attack gives one line with a position, every tree reads back equal."""

from __future__ import annotations

import random
import string
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mischance.errors import ScenarioError
from mischance.language.yaml import document, parsing
from mischance.language.yaml.document import dump, problems_of, read
from mischance.units import Length, Ratio, Speed

PARSERS = [getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader]


@pytest.fixture(params=PARSERS, ids=["c", "python"])
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parsing, "LOADER", request.param)


def first_line(source: bytes | str) -> str:
    with pytest.raises(ScenarioError) as caught:
        read(source, "f")
    assert all("\n" not in str(problem) for problem in caught.value.problems)
    return str(caught.value.problems[0])


ATTACKS: dict[str, tuple[bytes | str, str]] = {
    "deep list": ("[" * 100_000, "f:1:65: nested deeper than 64 levels"),
    "deep mapping": ("{a: " * 1000, "nested deeper than 64 levels"),
    "billion laughs": ("a: &a [x]\nb: &b [*a, *a]\n", "f:1:4: a: anchors (`&a`) are not allowed"),
    "alias": ("a: *b\n", "f:1:4: a: aliases"),
    "merge key": ("<<: {a: 1}\n", "f:1:1: merge keys"),
    "object": ("a: !!python/object/apply:os.system ['true']\n", "f:1:4: a: tags are not allowed"),
    "int tag": ("a: !!int 3\n", "f:1:4: a: tags are not allowed"),
    "local tag": ("!x a: 1\n", "f:1:1: tags are not allowed"),
    "no tag": ("a: ! 3\n", "f:1:4: a: tags are not allowed"),
    "huge integer": ("a: " + "9" * 6000, "f:1:4: a: a whole number may have 20 digits"),
    "huge hex": ("a: 0x" + "f" * 6000, "f:1:4: a: a whole number may have 20 digits"),
    "overflow": ("a: 1e999", "f:1:4: a: the number is too large (got '1e999')"),
    "nan": ("a: .nan", "f:1:4: a: must be a finite number"),
    "inf": ("a: [1, -.inf]", "f:1:8: a[1]: must be a finite number"),
    "nul": ("a: x\0", "f:1:5: the character U+0000"),
    "escaped nul": ('a: "\\0"', "f:1:4: a: text may hold neither"),
    "surrogate": ("a: \ud800", "f:1:4: the character U+D800"),
    "escaped surrogate": ('a: "\\ud800"', "f:1:"),
    "no character": ('a: "\\UFFFFFFFF"', "f:1:"),
    "byte-order mark": ("\ufeffa: 1", "f:1:1: the file begins with a byte-order mark"),
    "utf-16": ("a: 1".encode("utf-16"), "f:1:1: the file is UTF-16"),
    "png": (b"\x89PNG\r\n\x1a\n\0\0", "f:1:1: not a UTF-8 text"),
    "latin-1": ("a: 1\nb: é".encode("latin-1"), "f:2:4: not a UTF-8 text (byte 0xe9)"),
    "empty": ("", "f:1:1: the file is empty"),
    "only a comment": ("# hi\n", "f:1:1: the file is empty"),
    "bare list": ("- a\n- b\n", "f:1:1: a scenario is a mapping of keys"),
    "bare word": ("hello", "f:1:1: a scenario is a mapping of keys"),
    "duplicate": ("a: 1\nb: 2\na: 3\n", "f:3:1: a: the key occurs twice (first in line 1)"),
    "duplicate in a flow": ("x: {a: 1, 'a': 2}\n", "f:1:11: x.a: the key occurs twice"),
    "tab": ("a:\n\tb: 1\n", "f:2:1: a: a tab cannot indent"),
    "complex key": ("? complex: key\n: 1\n", "f:1:3: a key must be a single word or number"),
    "keys of keys": ("a:\n " + "? " * 30_000, "f:2:4: a key must be a single word or number"),
    "long words": ("a: {" + "x" * 900_000 + ", b: }: 1", "f:1:900"),
    "list key": ("[a]: 1\n", "f:1:1: a key must be a single word or number"),
    "documents": ("a: 1\n---\nb: 2\n", "f:2:1: a file holds one scenario"),
    "leading zero": ("a: 010\n", "f:1:4: a: numbers with a leading zero"),
    "second colon": ("a: b: c\n", "f:1:5: a second `:` cannot stand here"),
    "no colon": ("a: 1\nb\nc: 2\n", "f:3:1: a key without `:`"),
    "open bracket": ("a: [1, 2\n", "f:"),
    "open quote": ('a: "x\n', "the file ends too early"),
    "too large": ("a: " + "x" * (1 << 20), "f:1:1: the file is larger than 1024 KiB"),
    "too many values": ("a: [" + "1," * 50_001 + "]", "more than 50000 values"),
    "other line breaks": ("a: x\u2028b: y", "f:1:5: the character U+2028"),
}


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize("case", ATTACKS)
def test_an_attack_ends_in_one_line_with_its_place(case: str):
    source, expected = ATTACKS[case]
    line = first_line(source)
    assert expected in line
    assert len(line) < 400


# Shape -> what opens n levels, and where the 65th one stands.
DEEP: dict[str, tuple[Callable[[int], str], str]] = {
    "flow lists": (lambda n: "[" * n, "f:1:65: "),
    "flow mappings": (lambda n: "{a: " * n, "f:1:257: "),
    "flow lists in mappings": (lambda n: "{a: [" * (n // 2) + "{" * (n % 2), "f:1:161: "),
    "flow lists below keys": (lambda n: "a:\n b:\n  " + "[" * (n - 2), "f:3:65: "),
    "flow lists over lines": (lambda n: "[\n" * n, "f:65:1: "),
    "flow lists after letters of two bytes": (lambda n: 'a: ["é", ' + "[" * (n - 2), "f:1:72: "),
    "flow lists after carriage returns": (lambda n: "a: 1\r\nb:\r\n " + "[" * (n - 1), "f:3:65: "),
    "block mappings": (lambda n: "".join(f"{' ' * i}a:\n" for i in range(n)), "f:65:65: "),
    "block lists": (lambda n: "- " * n, "f:1:129: "),
    "block lists in mappings": (lambda n: "".join(f"{'  ' * i}- a:\n" for i in range(n // 2)) + " " * (n // 2 * 2) + "- ", "f:33:65: "),
}  # fmt: skip


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    "levels", [65, 1001, 30_000, *(pytest.param(levels, marks=pytest.mark.slow) for levels in (999, 1300))]
)
@pytest.mark.parametrize("shape", DEEP)
def test_our_limit_of_levels_speaks_before_the_parsers(shape: str, levels: int):
    make, place = DEEP[shape]
    if levels > 1300 and shape.startswith("block") and shape != "block lists":
        pytest.skip("indentation alone would pass the limit of bytes")
    line = first_line(make(levels))
    assert line.startswith(place)
    assert "nested deeper than 64 levels" in line


@pytest.mark.usefixtures("_parser")
def test_64_levels_are_taken():
    inner = read(f"a: {'[' * 63}{']' * 63}", "f").tree["a"]
    for _ in range(62):
        (inner,) = inner
    assert inner == []
    assert first_line(f"a: {'[' * 64}{']' * 64}") == "f:1:67: nested deeper than 64 levels"


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "place"),
    [("KEY: 1", "1:1"), ("a: 1\nKEY: 2", "2:1"), ("a:\n  KEY: 2", "2:3"), ("a: 1\n'KEY': 2", "2:1"), ("- KEY: 1", "1:3"),
     ("a: {b: 1, KEY: 1}", "1:11"), ("a: {'KEY': 1}", "1:5"), ("a: {\"KEY\" : 1}", "1:5"), ("a: [KEY: 1]", "1:5"),
     ("é: 1\nKEY: 2", "2:1"), ("? KEY: 1", "1:3")],
)  # fmt: skip
def test_a_key_that_no_parser_looks_ahead_for_is_named(text: str, place: str):
    word = first_line(text.replace("KEY", "é" * 1030))
    assert word.startswith(f"f:{place}: "), word
    assert "a key may have 1024 characters (got 103" in word
    assert "`? `" in word
    marks = 3 if '"KEY" ' in text else 2 if "'KEY'" in text else 0
    assert first_line(text.replace("KEY", "é" * (1025 - marks))) != word
    if text[0] not in "-?":
        read(text.replace("KEY", "é" * (1024 - marks)), "f")


def test_the_alternative_is_named():
    assert "extends" in first_line("a: *b")
    assert "extends" in first_line("<<: {a: 1}")
    assert "write 10" in first_line("a: 010")


def test_all_problems_come_at_once_in_order_but_not_without_end():
    with pytest.raises(ScenarioError) as caught:
        read("b: 010\na: .inf\nb: 1\nc: 1e999\n", "f")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3, 4]
    with pytest.raises(ScenarioError) as caught:
        read("a: 1\n" * 9999, "f")
    assert len(caught.value.problems) == document.MAX_PROBLEMS


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        *((text, None) for text in ("", "~", "null", "Null", "NULL")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *((text, text) for text in ("no", "on", "y", "1:30", "1_000", "2024-01-01", "50 km/h", "0b1", "tRue", "-", "+", ".", "=")),
        ("0", 0), ("-7", -7), ("+7", 7), ("0x10", 16), ("0o10", 8), ("9" * 20, int("9" * 20)),
        (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-1.5E-3", -0.0015), ("007.5", 7.5), ("0." + "1" * 60, "0." + "1" * 60),
        ("'7'", "7"), ('"true"', "true"), ("''", ""), ("'~'", "~"), ("|-\n  7", "7"), (">-\n  010", "010"), ("'.nan'", ".nan"),
    ],
)  # fmt: skip
def test_scalars_of_yaml_1_2(text: str, meaning: object):
    if text in ("-",):
        text = f"'{text}'"
    found = read(f"a: {text}\n", "f").tree["a"]
    assert found == meaning
    assert type(found) is type(meaning)


def test_places_of_values_and_keys():
    doc = read(
        "name: x\nactors:\n  - kind: car\n    pos: [1, 2]\n  - {kind: dog}\n'a b': ~\n0.8: 0.9\n'0.8 ': 1\n", "f"
    )
    assert doc.value_mark(("name",)) == (1, 7)
    assert doc.key_mark(("name",)) == (1, 1)
    assert doc.value_mark(("actors", 0, "pos", 1)) == (4, 14)
    assert doc.key_mark(("actors", 0, "pos")) == (4, 5)
    assert doc.value_mark(("actors", 1, "kind")) == (5, 12)
    assert doc.value_mark(("actors", 1, "missing", 3)) == doc.value_mark(("actors", 1)) == (5, 5)
    assert doc.key_mark(("a b",)) == (6, 1)
    assert doc.key_value(("0.8",)) == 0.8
    assert doc.key_value(("0.8 ",)) == "0.8 "
    problem = doc.problem(("actors", 1, "kind"), "must be a car", "write car")
    assert str(problem) == "f:5:12: actors[1].kind: must be a car; write car"


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_words = st.one_of(_texts, st.sampled_from(["no", "010", "1e5", "~", "", " x", "x ", "- a", "a: b", "a #b", "50 km/h", ".nan", "...", "---", "<<", "\u2028", "\ufeff", "\x85", "%", "-3 m", "#", "?", "a\n b\n", "\t"]))  # fmt: skip
_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(1 - 10**20, 10**20 - 1), st.floats(allow_nan=False, allow_infinity=False), _words
)  # fmt: skip
_trees = st.dictionaries(
    _words,
    st.recursive(_leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=4), max_leaves=12),
    max_size=5,
)  # fmt: skip


def same(a: Any, b: Any) -> bool:
    """Equal, with equal types: 1, 1.0 and True are three values here."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return all(map(same, a, b)) and len(a) == len(b) if isinstance(a, list) else bool(a == b)


@given(_trees, st.sampled_from(PARSERS))
def test_what_is_dumped_reads_back_equal(tree: dict[str, Any], parser: Any):
    text = dump(tree, header="a header\n# of two lines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "LOADER", parser)
        assert same(read(text, "f").tree, tree)
        assert same(read(text.encode(), "f").tree, tree)


def test_long_keys_and_readable_text():
    assert read(dump({"k" * 3000: {"é" * 2000: [1]}}), "f").tree == {"k" * 3000: {"é" * 2000: [1]}}
    tree = {"speed": "50 km/h", "of": [640, 480], "in": {"when": "ego.gap > 3 m"}, "on": "010"}
    assert dump(tree) == 'speed: 50 km/h\nof: [640, 480]\nin:\n  when: ego.gap > 3 m\non: "010"\n'


@pytest.mark.parametrize("leaf", [float("nan"), float("inf"), 10**20, object(), b"x", "\0", "\ud800"])
def test_what_no_scenario_can_hold_is_not_dumped(leaf: object):
    with pytest.raises(ValueError):
        dump({"a": leaf})


SEED_DOCUMENT = """\
mischance: 1
name: driving/cut_in   # a comment
tags: [driving, 'un-r157']
duration: 8 s
vary:
  gap: {lognormal: {median: 18 m, sigma: 0.5}}
  friction: {choice: {0.8: 0.90, 0.4: 0.08}}
  about: >
    folded text
    of two lines
faults:
  - {target: sensors.front, kind: freeze, chance: 1e-1}
  - target: "plant"
    kind: |
      x
"""


def mutants(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    pieces = [
        *string.printable,
        "\u2028",
        "é",
        "\0",
        "&a ",
        "*a",
        "!!int ",
        "<<: ",
        "---\n",
        "? ",
        "010",
        ".nan",
        "{",
        "[" * 70,
        "- ",
        ": ",
    ]
    found = []
    for _ in range(count):
        text = list(SEED_DOCUMENT)
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(text))
            text[at : at + rng.randrange(4)] = rng.choices(pieces, k=rng.randrange(3))
        found.append("".join(text))
    return found


def test_mutants_are_read_alike_by_both_parsers_or_refused():
    for text in mutants(400, seed=11):
        outcomes: list[Any] = []
        placed: list[bool] = []
        for parser in PARSERS:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(parsing, "LOADER", parser)
                try:
                    found = read(text, "f")
                    outcomes.append((found.tree, dict(found.marks)))
                except ScenarioError as error:
                    outcomes.append(None)
                    placed += [p.line >= 1 and p.column >= 1 and "\n" not in str(p) for p in error.problems]
        assert all(placed), text
        if None not in outcomes:
            assert outcomes[0] == outcomes[1], text


@given(st.binary(max_size=200))
def test_any_bytes(source: bytes):
    try:
        found = read(source, "f")
    except ScenarioError as error:
        lines = str(error).split("\n")
    else:
        lines = []
        assert isinstance(found.tree, dict)
    assert all(line.startswith("f:") for line in lines)


# -- pydantic's errors in words ---------------------------------------------------------------------------------------


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Vehicle(Part):
    kind: Literal["vehicle"]
    speed: Speed = Field(0.0, ge=0)
    vehicle: Length = 0.0


class Pedestrian(Part):
    kind: Literal["pedestrian"]
    start: Length = 0.0


class World(Part):
    name: str = Field(min_length=1)
    level: Literal["low", "high"] = "low"
    runs: int = Field(1, ge=1)
    share: Ratio = Field(0.5, le=1)
    either: dict[str, Speed] | Speed = 0.0
    actors: list[Annotated[Vehicle | Pedestrian, Field(discriminator="kind")]] = []
    named: dict[str, Vehicle] = {}


def complaints(text: str) -> list[str]:
    doc = read(text, "f")
    with pytest.raises(ValidationError) as caught:
        World.model_validate(doc.tree)
    return [str(problem) for problem in doc.problems(problems_of(caught.value, doc.tree, World))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\nactors:\n  - kind: vehicel\n", "f:3:11: actors[0].kind: must be one of vehicle, pedestrian (got 'vehicel'); did you mean 'vehicle'?"),
        ("name: x\nactors:\n  - speed: 3\n", "f:3:5: actors[0].kind: is missing"),
        ("name: x\nactors:\n  - kind: pedestrian\n    strat: 3\n", "f:4:5: actors[0].strat: unknown key; did you mean 'start'?"),
        ("name: x\nactors:\n  - kind: vehicle\n    speed: -3\n", "f:4:12: actors[0].speed: must be ≥ 0 m/s (got -3)"),
        ("name: x\nactors:\n  - kind: vehicle\n    speed: -3 km/h\n", "f:4:12: actors[0].speed: must be ≥ 0 m/s (got '-3 km/h')"),
        ("name: x\nactors:\n  - kind: vehicle\n    vehicle: 3\n    speed: 3 m\n", "f:5:12: actors[0].speed: expected a speed such as '50 km/h' (got '3 m')"),
        ("name: x\nnamed: {a: {kind: vehicle, spead: 3}}\n", "f:2:28: named.a.spead: unknown key; did you mean 'speed'?"),
        ("level: high\n", "f:1:1: name: is missing"),
        ("name: 7\n", "f:1:7: name: must be text (got 7); quote it: '7'"),
        ("name: ''\n", "f:1:7: name: must not be empty (got '')"),
        ("name: x\nlevel: hgih\n", "f:2:8: level: must be one of low, high (got 'hgih'); did you mean 'high'?"),
        ("name: x\nruns: 0\n", "f:2:7: runs: must be ≥ 1 (got 0)"),
        ("name: x\nruns: 1.5\n", "f:2:7: runs: must be a whole number (got 1.5)"),
        ("name: x\nruns: many\n", "f:2:7: runs: must be a whole number (got 'many')"),
        ("name: x\nshare: 120 %\n", "f:2:8: share: must be ≤ 1 (got '120 %')"),
        ("name: x\nshare: '1'\n", "f:2:8: share: expected a ratio such as '5 %' (got '1'); a bare number takes no quotes"),
        ("name: x\neither: 3 s\n", "f:2:9: either: expected a speed such as '50 km/h' (got '3 s')"),
        ("name: x\neither: {a: 3 s}\n", "f:2:13: either.a: expected a speed such as '50 km/h' (got '3 s')"),
        ("name: x\nactors: 3\n", "f:2:9: actors: must be a list (got 3)"),
        ("name: x\nnmae: x\n", "f:2:1: nmae: unknown key; did you mean 'name'?"),
        (f"name: x\nlevel: {'z' * 99}\n", f"f:2:8: level: must be one of low, high (got '{'z' * 38}…')"),
    ],
)  # fmt: skip
def test_what_pydantic_refuses_is_said_in_words(text: str, expected: str):
    assert complaints(text) == [expected]


def test_all_of_pydantics_errors_come_at_once_sorted_by_place():
    text = "level: x\nruns: 0\nzzz: 1\n"
    assert [line.split(":")[1] for line in complaints(text)] == ["1", "1", "2", "3"]
    assert len(complaints("name: x\nactors:\n" + "  - {kind: x}\n" * 5000)) == 101


def test_reading_needs_no_numpy():
    code = "import mischance.language.yaml.document, sys; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
