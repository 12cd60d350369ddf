"""Damaged scenarios give a scenario or problems with positions: no traceback, no hang."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.language.damaged_yaml import mutants, room, verdict


def play(count: int, seed: int, folder: Path) -> Counter[str]:
    """Load `count` mutants; return the number of each outcome."""
    places = room(folder)
    outcomes: Counter[str] = Counter()
    for k, (source, data) in enumerate(mutants(count, seed)):
        found = verdict(places[source], data)
        outcomes[found.outcome] += 1
        if not found.sound:
            kept = Path(os.environ.get("TMPDIR", "/tmp")) / f"mutant_{seed}_{k}.yaml"
            kept.write_bytes(data)
            pytest.fail(f"mutant {k} of seed {seed} ({kept}): {found.outcome}: {found.text}")
    return outcomes


def test_mutants_are_loaded_or_refused(tmp_path: Path):
    outcomes = play(450, 11, tmp_path)
    assert outcomes["refused"] > 150  # else the damage would be too slight …
    assert outcomes[""] > 15  # … or so heavy that only the parser is tested


@pytest.mark.slow
def test_twenty_thousand_mutants_are_loaded_or_refused(tmp_path: Path):
    outcomes = play(20_000, 12, tmp_path)
    assert sum(outcomes.values()) == 20_000


def test_the_same_seed_gives_the_same_mutants():
    assert list(mutants(30, 5)) == list(mutants(30, 5))
    assert list(mutants(30, 5)) != list(mutants(30, 6))
