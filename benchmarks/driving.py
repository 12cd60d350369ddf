"""Scenarios a CPU second of the road world: two actors, 5 s at 100 Hz, contacts resolved, no camera.

    python benchmarks/driving.py [--runs N] [--profile]

Counts the processor time of this one process, with everything that a sweep does but writing files: draws, play,
tables, events, labels, outcome. Bars: 500 a second without agent or with one of ours, 100 with a Python callable.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mischance.drawing import draw
from mischance.episode import play
from mischance.loading import load

SCENARIO = """
mischance: 1
name: benchmark/cut_in
seed: 7
duration: 5 s
vary:
  ego_speed: {uniform: [60 km/h, 130 km/h]}
  gap:       {lognormal: {median: 18 m, sigma: 0.5}}
  closing:   {normal: [20 km/h, 6 km/h]}
  cut_speed: {expr: ego_speed - closing}
  friction:  {choice: {0.8: 0.90, 0.4: 0.08, 0.1: 0.02}}
constraints: [gap > 3 m, cut_speed > 5 m/s]
simulator:
  kind: road
  motion: MOTION
  friction: $friction
  actors:
    ego: {speed: $ego_speed, lane: 1}
    intruder:
      speed: $cut_speed
      lane: 2
      gap: $gap
      gap_at: 1 s
      behaviour: [{kind: change_lane, at: 1 s, to: 1, takes: 2 s}]
AGENT
faults:
  - {target: ego.brakes, kind: fade, at: {uniform: [0 s, 2 s]}, severity: 0.6, chance: 0.1}
event: {name: collision, when: ego.contacts > 0, margin: min_gap}
write: []
"""

CALLABLE = """
def drive(observation, t):
    rows = observation["truth"]["actors"]
    who = rows["actor"][-2:].tolist()
    ego, other = who.index("ego") - 2, who.index("intruder") - 2
    gap = rows["x"][other] - rows["x"][ego] - 4.5
    near = abs(rows["y"][other] - rows["y"][ego]) < 2.0 and 0.0 < gap < 1.5 * rows["speed"][ego]
    return {"actor": "ego", "acceleration": -6.0 if near else 0.0, "steer": 0.0}
"""


def scenario(agent: str = "", motion: str = "false") -> Any:
    """Return the benchmark's scenario with that line for the agent."""
    with TemporaryDirectory() as folder:  # the scenario keeps nothing of it but what it has read
        path = Path(folder) / "cut_in.yaml"
        (Path(folder) / "driver.py").write_text(CALLABLE)
        path.write_text(SCENARIO.replace("AGENT", agent).replace("MOTION", motion))
        return load(path)


def rate(spec: Any, runs: int) -> tuple[float, int]:
    """Return scenarios a CPU second, and how many ended in a contact."""
    for _ in play(spec, draw(spec, range(4))):  # compile, or load what was compiled
        pass
    start = time.process_time()
    hit = 0
    for first in range(0, runs, 1024):
        for record in play(spec, draw(spec, range(first, min(first + 1024, runs)))):
            if record.last:
                hit += int(np.sum(record.tables["runs"].columns["event"]))
    return runs / (time.process_time() - start), hit


def main(arguments: Mapping[str, Any]) -> None:
    """Print one line a case."""
    runs = arguments["runs"]
    cases = {
        "no agent": scenario(),
        "no agent, with motion": scenario(motion="true"),
        "IDM driver": scenario("agent: {kind: idm}"),
        "Regulation 157 driver": scenario("agent: {kind: r157_driver}"),
        "RSS driver": scenario("agent: {kind: rss}"),
        "a Python function, 20 Hz": scenario('agent: {kind: "driver.py:drive"}'),
    }
    for name, spec in cases.items():
        if arguments["case"] and arguments["case"] not in name:
            continue
        if arguments["profile"]:
            import cProfile

            cProfile.runctx("rate(spec, runs)", {"rate": rate, "spec": spec, "runs": runs}, {}, sort="cumtime")
            continue
        speed, hit = rate(spec, runs)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:26s} {speed:8.0f} scenarios / CPU s   {hit / runs:6.1%} contacts   peak memory {memory:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2048)
    parser.add_argument("--case", default="")
    parser.add_argument("--profile", action="store_true")
    main(vars(parser.parse_args()))
