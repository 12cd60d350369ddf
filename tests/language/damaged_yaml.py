# ruff: noqa: E501 (tables of cases read best as one line each)
"""Generator of damaged scenarios: changes bytes, lines, tokens and structure of valid files, by seed.

`mutants(count, seed)` yields them; `verdict` loads one and says what came of it. Tests and `benchmarks/fuzz.py` share
both.
"""

from __future__ import annotations

import copy
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mischance.errors import MischanceError, ScenarioError
from mischance.language import catalog
from mischance.language.loading import load
from mischance.language.yaml.document import dump, read
from mischance.language.yaml.scalars import is_sound

HERE = Path(__file__).parents[1]
OWN = (HERE / "scenarios" / "every_key.yaml", HERE / "scenarios" / "below.yaml", HERE / "plugins" / "wander.yaml")

NASTY = [
    # YAML
    "&a ", "*a", "<<: ", "!!int ", "!!python/object/apply:os.system ['true']", "! ", "---\n", "...\n", "? ", "- ", ": ",
    "%YAML 1.1\n", "|\n", ">-\n", "\t", "# ", "{", "}", "[", "]", ",", "'", '"', "\\", '"\\0"', '"\\ud800"', '"\\UFFFFFFFF"',
    "[" * 70, "{a: " * 70, "[[" * 30 + "]]" * 30, "~", "null", "true", "no", "on", "1:30", "1_000", "2020-01-01", "[]", "{}",
    # numbers
    "010", "0x10", "0o7", "1e999", "-1e999", ".nan", ".inf", "-.inf", "9" * 19, "9" * 21, "9" * 6000, "1e-400", "-0.0", "-1",
    "0", "1e308", "5e-324", "0.1", "18446744073709551616", "9223372036854775808", "1" * 45 + ".5", "1e5", "٣", "１２",
    # quantities
    "3 m", "3 sec", "-3 s", "3 s s", "50 km/h", "1e308 km", "20 degC", "3 dB", "4000 dB", "50 %", "3 µm", "3 μm", "1 /h",
    # expressions and names
    "9**9**9", "gap.__class__.__mro__", "__import__('os')", "'{0.__class__}'", "(" * 40, "(" * 500, "[x for x in y]",
    "1 << 99999999", "lambda: 0", "(a := 1)", "1 < 2 < 3", "gap[0]", "min(1)", "exp(exp(exp(9)))", "0/0", "1 if 1 else 2",
    "$gap", "$", "$$gap", "$gap.x", "$nothing", "${gap}", "not not not 1", "and", "true and", "-" * 200 + "1", "a" * 401,
    "+".join(["1"] * 130), "ｇap", "gap > 3 m", "e\u0301", "\u4e00", "🚗",
    # distributions
    "{uniform: [1, 2]}", "{normal: [0, {normal: [0, {normal: [0, 1]}]}]}", "{choice: {}}", "{choice: {a: 0}}",
    "{choice: {dry: 1, 2: 1}}", "{mixture: []}", "{mixture: [[1, 2]]}", "{empirical: {file: /etc/passwd, column: x}}",
    "{empirical: {file: ../../x.csv, column: x}}", "{empirical: {values: []}}", "{expr: }", "{expr: $a + $b}", "{lognormall: 1}",
    "{truncated_normal: [0, 1, 2, 1]}", "{poisson: 1e300}", "{weibull: {shape: 0, scale: 1}}", "{beta: [1e-300, 1e300]}",
    "{constant: a b c}", "{uniform: [$gap, $gap]}", "{source: x}", "{gamma: {shape: 1}}", "{exponential: -1}",
    # names of plug-ins and files
    "kind: road", "kind: payments", "kind: camera", "kind: nothing", "kind: a/b.py:C", "kind: ':'", "kind: 'x:y'", "kind: ../x",
    "kind: " + "k" * 3000, "extends: driving/cut_in", "extends: .", "extends: /dev/null", "extends: /etc/passwd", "extends: '\\0'",
    "extends: " + "e" * 3000, "name: a/b:c", "drift.py:Drift", "drift.py:Nothing", "probe.py:Probe", "sensors.front", "sensors.",
    "write: parquet", "write: [parquet, parquet]", "faults: {}", "vary: []", "sensors: null", "simulator: []", "variants: {a: {b: c}}",
    # characters
    "\0", "\x01", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe", "\u202e", "é", "\r", "\r\n", "\n", " ", "\u00a0",
]  # fmt: skip
_TOKEN = re.compile(r"[\w.$/-]+|[^\w\s]")


def originals() -> list[tuple[Path, str]]:
    """Return the valid files: folder and text."""
    files = [*catalog.scenario_files().values(), *OWN]
    return [(path.parent, path.read_text(encoding="utf-8")) for path in files]


def mutants(count: int, seed: int) -> Iterator[tuple[Path, bytes]]:
    """Yield (folder, bytes) of damaged scenarios; the k-th depends on seed and k alone."""
    sound = originals()
    for k in range(count):
        rng = random.Random(f"{seed}/{k}")
        folder, text = sound[k % len(sound)]
        if rng.random() < 0.5:  # half of them stay valid YAML, to test the stages after the parser equally
            text = _tree(text, rng)
        else:
            for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
                how = rng.choice((_characters, _lines, _lines, _tokens, _tokens, _splice, _blocks, _deep))
                text = how(text, rng, sound)
        data = text.encode("utf-8", "surrogatepass")
        if rng.random() < 0.04 and data:
            at = rng.randrange(len(data))
            data = data[:at] + rng.randbytes(rng.randrange(1, 4)) + data[at + rng.randrange(3) :]
        if rng.random() < 0.01:
            data = data[: rng.randrange(len(data) + 1)]
        yield folder, data


def _characters(text: str, rng: random.Random, sound: object) -> str:
    letters = list(text)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(letters) + 1)
        letters[at : at + rng.randrange(3)] = rng.choices(NASTY, k=rng.randrange(2)) + rng.choices(
            "ab:-[]{}#'\" 019\n", k=1
        )
    return "".join(letters)


def _lines(text: str, rng: random.Random, sound: list[tuple[Path, str]]) -> str:
    lines = text.split("\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.randrange(5)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(to, lines[at])
    elif how == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif how == 3:
        lines[at] = rng.choice(("  ", " ", "- ", "\t")) + lines[at] if rng.random() < 0.5 else lines[at].lstrip()
    else:
        lines.insert(at, rng.choice(rng.choice(sound)[1].split("\n")))
    return "\n".join(lines)


def _tokens(text: str, rng: random.Random, sound: object) -> str:
    found = list(_TOKEN.finditer(text))
    if not found:
        return rng.choice(NASTY)
    token, other = rng.choice(found), rng.choice(found)
    new = rng.choice((rng.choice(NASTY), other[0], "", token[0] * 2, token[0][:-1]))
    return text[: token.start()] + new + text[token.end() :]


def _splice(text: str, rng: random.Random, sound: object) -> str:
    """Replace the value after a colon, in a line or inside brackets."""
    found = list(re.finditer(r": ([^\n,{}\[\]]+|[\[{][^\n]*)", text))
    if not found:
        return text + rng.choice(NASTY)
    value = rng.choice(found)
    return text[: value.start(1)] + rng.choice(NASTY) + text[value.end(1) :]


def _blocks(text: str, rng: random.Random, sound: list[tuple[Path, str]]) -> str:
    """Move, drop or copy a whole top-level part."""
    parts = re.split(r"(?m)^(?=[a-z])", text)
    other = re.split(r"(?m)^(?=[a-z])", rng.choice(sound)[1])
    at = rng.randrange(len(parts))
    how = rng.randrange(4)
    if how == 0:
        del parts[at]
    elif how == 1:
        parts[at] = rng.choice(other)
    elif how == 2:
        parts.append(rng.choice(other))
    else:
        parts[at] = parts[at].split(":")[0] + ": " + rng.choice(NASTY) + "\n"
    return "".join(parts)


def _tree(text: str, rng: random.Random) -> str:
    """Change the tree that a text holds: drop, replace, swap, wrap or rename parts of it."""
    tree = read(text, "f").tree
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        places = list(_places(tree))
        node, key = rng.choice(places)
        other, name = rng.choice(places)
        how = rng.randrange(7)
        if how == 0:
            del node[key]
        elif how == 1:
            node[key] = rng.choice(
                (None, True, 0, -1, 3, 0.5, 1e308, 10**19, "", [], {}, [[]], {"kind": "road"}, "$gap", "x")
            )
        elif how == 2:
            node[key] = copy.deepcopy(other[name])
        elif how == 3:
            node[key] = rng.choice(([node[key]], {"a": node[key]}, {"uniform": [0, node[key]]}, [node[key]] * 3))
        elif how == 4 and isinstance(node, dict):
            node[rng.choice((key + "x", key[1:], str(name), "kind", "$gap", "a" * 500))] = node.pop(key)
        elif how == 5 and isinstance(node[key], str):
            node[key] = _words(node[key], rng)
        else:
            node[key] = next((word for word in iter(lambda: rng.choice(NASTY), None) if is_sound(word)), "")
    return dump(tree)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (mapping or list, key or index) of everything in a tree."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _words(text: str, rng: random.Random) -> str:
    found = list(_TOKEN.finditer(text))
    if not found:
        return "x"
    token = rng.choice(found)
    new = rng.choice((token[0] + "x", token[0][1:], "3 m", "(", "gap", "min(", "1e400", "**", "not", "$x"))
    return text[: token.start()] + new + text[token.end() :]


def _deep(text: str, rng: random.Random, sound: object) -> str:
    n = rng.choice((3, 15, 17, 40, 63, 64, 65, 3000))
    inner = rng.choice(("1", "$gap", "x"))
    deep = rng.choice((
        "[" * n + inner + "]" * n, "{a: " * n + inner + "}" * n, "{normal: [0, " * n + inner + "]}" * n, "(" * n + inner + ")" * n,
        "{mixture: [[1, " * n + inner + "]]}" * n,
    ))  # fmt: skip
    at = text.find(": ", rng.randrange(len(text) + 1))
    return text + f"\nx: {deep}" if at < 0 else text[: at + 2] + deep + text[at + 2 + rng.randrange(6) :]


@dataclass(frozen=True)
class Verdict:
    """Outcome of one mutant: '' for a valid scenario, 'refused', or the name of an unexpected exception; CPU time [s]."""

    outcome: str
    seconds: float
    text: str = ""

    @property
    def sound(self) -> bool:
        return self.outcome in ("", "refused")


def verdict(folder: Path, data: bytes) -> Verdict:
    """Load one mutant as a file of that folder, validation and all."""
    file = folder / "mutant.yaml"
    file.write_bytes(data)
    start = time.process_time()
    outcome, text = "", ""
    try:
        scenario = load(file)
    except ScenarioError as error:
        outcome, text = "refused", error.message
        if not all(p.line >= 1 and p.column >= 1 and p.file and "\n" not in str(p) for p in error.problems):
            outcome = "a problem without its place"
    except MischanceError as error:
        outcome, text = "refused", error.message
    except Exception as error:
        outcome, text = type(error).__name__, str(error)[:200]
    seconds = time.process_time() - start
    if outcome == "":
        try:
            scenario.text()
        except Exception as error:
            outcome, text = f"text(): {type(error).__name__}", str(error)[:200]
    return Verdict(outcome, seconds, text)


def room(folder: Path) -> dict[Path, Path]:
    """Copy the files that valid scenarios refer to into a folder; return the new place of each of their folders."""
    places: dict[Path, Path] = {}
    for i, (source, _) in enumerate(originals()):
        if source not in places:
            places[source] = folder / str(i)
            places[source].mkdir()
            for path in source.iterdir():
                if path.suffix in (".py", ".csv", ".yaml") and not path.name.startswith("_"):
                    (places[source] / path.name).write_bytes(path.read_bytes())
    return places
