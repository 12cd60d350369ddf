"""Every option of the scenario language has a witness: a change of it under which a dataset differs where it should.

An option without an entry in `WITNESSES` fails by name, and so does one whose change moves nothing. Settings of
plug-ins are not options of the language: renderers' are in tests/play/test_renderer_settings.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest

import mischance
from mischance.language import catalog
from mischance.language.distributions.parsing import KINDS
from mischance.language.loading import load
from mischance.language.scenario import (
    CorrelateEntry,
    EventEntry,
    ExposureEntry,
    FaultEntry,
    LinkEntry,
    PlanEntry,
    ScenarioModel,
    SplitEntry,
)
from mischance.play.player import Player
from mischance.play.sampling import draw
from tests.shell import mischance as shell
from tests.support import PLUGINS

RUNS = 3
MODELS = {
    "": ScenarioModel, "event": EventEntry, "faults": FaultEntry, "exposure": ExposureEntry,
    "correlate": CorrelateEntry, "plan": PlanEntry, "links": LinkEntry, "split": SplitEntry,
}  # fmt: skip


class Witness(NamedTuple):
    """Two scenarios that differ in one option, and where their datasets must differ: folder or file, '' = refused."""

    where: str
    change: Mapping[str, str]
    before: Mapping[str, str] = {}
    base: str = "wander"


def fault(**keys: str) -> dict[str, str]:
    """Return `faults` with one fault of the plant, with further keys."""
    own = {"target": "plant", "kind": "drift", "at": "1 s", "lasts": "1 s", "severity": "3"} | keys
    return {"faults": "[{" + ", ".join(f"{key}: {value}" for key, value in own.items()) + "}]"}


def link(*without: str, **keys: str) -> dict[str, str]:
    """Return `links` with one link that begins a leak where a tank is full, with further keys."""
    own = {"from": "first.full", "to": "second.wall", "kind": "leak", "severity": "0.2 m/s", "lasts": "1.5 s"}
    own |= {key.rstrip("_"): value for key, value in keys.items()}
    shown = ", ".join(f"{key}: {value}" for key, value in own.items() if key not in without)
    return {"links": f"[{{{shown}}}]"}


def faults(change: dict[str, str], where: str = "labels", **before: str) -> Witness:
    return Witness(where, fault(**(before | change)), fault(**before))


def links(where: str, before: dict[str, str], change: dict[str, str]) -> Witness:
    return Witness(where, change, before, base="cascade")


DRIVEN = {"from_": "second.x", "map": "[[0.1 m, 0 m/s], [0.4 m, 0.3 m/s]]", "to": "third.wall"}
BEYOND = {"from_": "third.hum", "above": "0.5", "clear": "-0.5", "to": "second.wall"}
PAIR = {"vary": "{noise: {uniform: [0.2, 0.9]}, strength: {uniform: [1, 5]}}"}

WITNESSES: dict[str, Witness] = {
    "mischance": Witness("", {"mischance": "2"}),
    "name": Witness("README.md", {"name": "tests/other"}),
    "about": Witness("README.md", {"about": "Something else."}),
    "seed": Witness("runs", {"seed": "12"}),
    "begins": Witness("README.md", {"begins": "2026-03-02T06:00:00+01:00"}),
    "duration": Witness("runs", {"duration": "3 s"}),
    "vary": Witness("runs", {"vary.noise": "{uniform: [0.3, 0.9]}"}),
    "simulator": Witness("runs", {"simulator.pull": "2.0"}),
    "worlds": Witness("truth", {"worlds.second.limit": "0.1"}, base="cascade"),
    "links": links("truth", {}, {"links": "[]"}),
    "agent": Witness("runs", {"agent": "null"}),
    "sensors": Witness("sensors", {"sensors.slow.rate": "5"}),
    "faults": Witness("labels", {"faults": "[]"}),
    "require": Witness("runs", {"require": "{low: always x < 0.5}"}),
    "event": Witness("runs", {"event.when": "peak > 0.5"}),
    "correlate": Witness("runs", {"correlate": "{gaussian: [[noise, strength, 0.9]]}"}, PAIR),
    "constraints": Witness("runs", {"constraints": "[noise > 0.5]"}),
    "plan": Witness("runs", {"plan": "{grid: {noise: [0.2, 0.4, 0.6]}}"}),
    "measure": Witness("runs", {"measure": "[peak]"}),
    "split": Witness("splits", {"split": "{train: 0.5, val: 0, test: 0.5}"}),
    "write": Witness("truth", {"write": "[{kind: parquet, leave_out: [truth/signal]}]"}),
    "exposure": Witness("README.md", {"exposure": "{rate: 0.3 /h}"}),
    "exposure.rate": Witness("README.md", {"exposure.rate": "0.4 /h"}, {"exposure": "{rate: 0.3 /h}"}),
    "exposure.source": Witness("README.md", {"exposure.source": "a census"}, {"exposure": "{rate: 0.3 /h}"}),
    "event.when": Witness("runs", {"event.when": "peak > 0.5"}),
    "event.margin": Witness("runs", {"event.margin": "3.0 - peak"}),
    "faults.target": faults({"target": "sensors.slow", "kind": "offset"}),
    "faults.kind": faults({"kind": "drifft"}, where=""),
    "faults.at": faults({"at": "2 s"}),
    "faults.lasts": faults({"lasts": "2 s"}),
    "faults.severity": faults({"severity": "1"}),
    "faults.ramp": faults({"ramp": "0.5 s"}, where="truth"),
    "faults.chance": faults({"chance": "0.05"}),
    "faults.count": faults({"count": "2"}, at="{uniform: [1 s, 4 s]}"),
    "faults.rate": faults({"rate": "0.5"}, at="{uniform: [1 s, 4 s]}"),
    "faults.forced": faults({"forced": "0.9"}, chance="0.1"),
    "faults.number": faults({"number": "7"}, at="{uniform: [1 s, 4 s]}"),
    "correlate.gaussian": Witness(
        "runs", {"correlate": "{gaussian: [[noise, strength, -0.9]]}"},
        {"correlate": "{gaussian: [[noise, strength, 0.9]]}", **PAIR},
    ),
    "plan.grid": Witness("runs", {"plan": "{grid: {noise: [0.2, 0.4, 0.6]}}"}),
    "plan.lhs": Witness("runs", {"plan": "{lhs: 6}"}),
    "plan.sobol": Witness("runs", {"plan": "{sobol: 8}"}),
    "split.by": Witness("", {"split.by": "entity"}),
    "split.train": Witness("splits", {"split": "{train: 0, val: 0.5, test: 0.5}"}),
    "split.val": Witness("splits", {"split": "{train: 0, val: 1, test: 0}"}),
    "split.test": Witness("splits", {"split": "{train: 0, val: 0, test: 1}"}),
    "links.from": links("truth", link(), link(from_="third.full")),
    "links.subject": links("truth", link(), link(subject="nobody")),
    "links.above": links("truth", link(**BEYOND), link(**BEYOND | {"above": "0.9"})),
    "links.below": links("truth", link(**BEYOND), link("above", "clear", **BEYOND, below="0.1")),
    "links.clear": links("truth", link(**BEYOND), link("clear", **BEYOND)),
    "links.hold": links("truth", link(**BEYOND), link(**BEYOND, hold="0.1 s")),
    "links.to": links("truth", link(), link(to="third.wall")),
    "links.kind": links("", link(), link(kind="leek")),
    "links.severity": links("truth", link(), link(severity="0.1 m/s")),
    "links.value": links(
        "truth", link("kind", "severity", "lasts", to="second.inflow", value="0.1"),
        link("kind", "severity", "lasts", to="second.inflow", value="0.2"),
    ),
    "links.map": links(
        "truth", link("severity", "lasts", **DRIVEN),
        link("severity", "lasts", **DRIVEN | {"map": "[[0.1 m, 0 m/s], [0.4 m, 0.1 m/s]]"}),
    ),
    "links.every": links(
        "truth", link("severity", "lasts", **DRIVEN), link("severity", "lasts", **DRIVEN, every="0.5 s")
    ),
    "links.after": links("truth", link(), link(after="0.4 s")),
    "links.lasts": links("truth", link(), link(lasts="0.5 s")),
}  # fmt: skip
# Options whose witness is a test of their own, by its name in this file.
APART = {
    "extends": "test_extends_takes_over", "variants": "test_a_variant_changes", "agents": "test_agents_of_worlds",
    "tags": "test_scenarios_are_found_by_tags", "event.name": "test_the_event_is_called_by_its_name",
    "event.level": "test_the_level_is_what_its_expression_says",
    # Nothing is computed with it: it is kept for the reader of a dataset.
    "faults.source": "test_what_is_a_note_is_kept",
}  # fmt: skip
LAWS = {
    "choice": "{choice: [0.3, 0.4]}", "expr": "{expr: 0.1 * strength}", "constant": "{constant: 0.4}",
    "uniform": "{uniform: [0.3, 0.9]}", "loguniform": "{loguniform: [0.2, 0.9]}", "normal": "{normal: [0.5, 0.01]}",
    "lognormal": "{lognormal: {median: 0.5, sigma: 0.3}}", "exponential": "{exponential: {mean: 0.5}}",
    "truncated_normal": "{truncated_normal: {mean: 0.5, sigma: 0.1, low: 0.2, high: 0.9}}",
    "truncnormal": "{truncnormal: {mean: 0.5, sigma: 0.1, low: 0.3, high: 0.9}}",
    "weibull": "{weibull: {shape: 1.5, scale: 0.5}}", "gamma": "{gamma: {shape: 2, scale: 0.2}}",
    "beta": "{beta: [2, 5]}", "triangular": "{triangular: [0.2, 0.3, 0.9]}", "poisson": "{poisson: 0.5}",
    "mixture": "{mixture: [[0.5, {uniform: [0.2, 0.3]}], [0.5, {uniform: [0.8, 0.9]}]]}",
    "empirical": "{empirical: {values: [0.2, 0.3, 0.7]}}",
}  # fmt: skip


def options() -> list[str]:
    """Return every key of the language, as `plan.grid`; those of `links` by the words that a file has."""
    return [
        f"{where}.{field.alias or name}".strip(".")
        for where, model in MODELS.items()
        for name, field in model.model_fields.items()
    ]


@cache
def dataset(base: str, changes: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Sweep a few runs; return file -> hash of what came out, without what says the scenario itself."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        defaults = {"write": "[parquet]", "duration": "4 s"} if base == "wander" else {}
        scenario = load(PLUGINS / f"{base}.yaml", defaults | dict(changes))
        result = mischance.sweep(scenario, RUNS if base == "wander" else 2, out, workers=0)
        if not result.ok:
            raise mischance.MischanceError("runs failed")
        found = {}
        for file in sorted(out.rglob("*")):
            name = file.relative_to(out).as_posix()
            if file.is_file() and name.split("/")[0] not in ("scenario.yaml", "manifest.json", "ledger.sqlite"):
                found[name] = hashlib.sha256(_said(file)).hexdigest()
        return found


def _said(file: Path) -> bytes:
    """Return a file's bytes; of a card without the line of its dataset's id, which every change moves."""
    raw = file.read_bytes()
    if file.name != "README.md":
        return raw
    return b"\n".join(line for line in raw.splitlines() if b"dataset id" not in line.lower())


def part(files: Mapping[str, str], where: str) -> dict[str, str]:
    return {name: sha for name, sha in files.items() if name == where or name.startswith(f"{where}/")}


def test_every_option_has_a_witness() -> None:
    assert not set(options()) ^ (WITNESSES.keys() | APART.keys())
    assert not set(KINDS) ^ LAWS.keys()
    assert all(name in globals() for name in APART.values())


@pytest.mark.parametrize("option", WITNESSES)
def test_an_option_changes_what_comes_out(option: str) -> None:
    where, change, before, base = WITNESSES[option]
    plain = dataset(base, tuple(before.items()))
    changed = tuple((dict(before) | dict(change)).items())
    if not where:
        with pytest.raises(mischance.MischanceError):
            dataset(base, changed)
        return
    assert part(plain, where) or part(dataset(base, changed), where), f"there is nothing at {where}"
    assert part(plain, where) != part(dataset(base, changed), where), f"{option} changes nothing in {where}"


@pytest.mark.parametrize("kind", LAWS)
def test_every_distribution_draws_something_of_its_own(kind: str) -> None:
    plain, other = (
        [one.values["noise"] for one in draw(load(PLUGINS / "wander.yaml", changes), range(RUNS))]
        for changes in ({}, {"vary.noise": LAWS[kind]})
    )
    assert plain != other


def test_extends_takes_over(tmp_path: Path) -> None:
    file = tmp_path / "more.yaml"
    file.write_text(f"mischance: 1\nname: tests/more\nextends: {PLUGINS / 'wander.yaml'}\n", encoding="utf-8")
    assert load(file).duration == load(PLUGINS / "wander.yaml").duration


def test_a_variant_changes(tmp_path: Path) -> None:
    file = tmp_path / "v.yaml"
    file.write_text(
        f"mischance: 1\nname: tests/v\nextends: {PLUGINS / 'wander.yaml'}\nvariants: {{short: {{duration: 2 s}}}}\n",
        encoding="utf-8",
    )
    assert load(f"{file}:short").duration == 2.0
    assert load(file).duration == 6.0


def test_agents_of_worlds() -> None:
    with pytest.raises(mischance.MischanceError, match="agents of several worlds need `worlds`"):
        load(PLUGINS / "wander.yaml", {"agent": "null", "agents": "{one: {kind: constant, world: plant}}"})


def test_scenarios_are_found_by_tags() -> None:
    found = {entry.name: entry.tags for entry in catalog.entries("scenarios")}
    assert len(set(found.values())) > 1
    for name in ("driving/cut_in", "payments/card_testing"):
        assert found[name] == load(name).tags != ()


def test_the_event_is_called_by_its_name(tmp_path: Path) -> None:
    for name in ("crossing", "rising"):
        done = shell(
            "run", "wander.yaml", "--no-preview", "--set", f"event.name={name}", "--out", tmp_path / name, cwd=PLUGINS
        )
        assert done.returncode == 0, done.stderr
        assert f"{name}: in " in done.stdout + done.stderr


def test_the_level_is_what_its_expression_says() -> None:
    found = []
    for level in ("x", "2 * x"):
        scenario = load(PLUGINS / "wander.yaml", {"event.level": level})
        with Player(scenario) as player:
            found.append(player.levels(draw(scenario, [0]))[1][0])
    once, twice = (np.asarray(one.value) for one in found)
    assert np.array_equal(found[0].t, found[1].t)
    assert len(once) > 100
    assert np.abs(twice - 2 * once).max() < 1e-12


def test_what_is_a_note_is_kept() -> None:
    tree = load(PLUGINS / "wander.yaml", fault(source="a data sheet")).tree
    assert tree["faults"][0]["source"] == "a data sheet"
