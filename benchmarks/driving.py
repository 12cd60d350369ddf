"""Scenarios a CPU second of the road world, beside what Scenic and highway-env do in the same process.

    python benchmarks/driving.py [--runs N] [--repeats N] [--case WORD] [--memory [N]] [--profile]

A scenario: two cars, a cut-in, 5 s at 100 Hz, contacts resolved, no camera. Counted is the processor time of this
one process with everything that a sweep does but writing files: draws, play, tables, events, labels, outcome. Cases
take turns; shown are the median over the repeats, the lowest and the highest, and the ratio to the bar or the peer.

The peers (`pip install 'mischance[peers]'`; left out where they are missing) are no equals in what they do. Scenic
samples where two cars start and how fast, and plays nothing. `highway-fast-v0` steps 20 vehicles at 5 Hz, takes an
overlap for a crash and has no impact; its episodes are cut to the same 5 s.

`--memory` plays N runs (100,000) and prints the peak memory on the way.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw

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

SCENIC = """
ego_speed = Range(60, 130) / 3.6
gap = TruncatedNormal(18, 9, 1, 80)
closing = Normal(20, 6) / 3.6
ego = new Object at (1.75, 0), with width 1.8, with length 4.5, with speed ego_speed
intruder = new Object at (5.25, gap + 4.5), with width 1.8, with length 4.5, with speed ego_speed - closing
require gap > 3
require intruder.speed > 5
"""


def scenario(agent: str = "", motion: str = "false") -> Any:
    """Return the benchmark's scenario with that line for the agent."""
    with TemporaryDirectory() as folder:  # the scenario keeps nothing of it but what it has read
        path = Path(folder) / "cut_in.yaml"
        (Path(folder) / "driver.py").write_text(CALLABLE)
        path.write_text(SCENARIO.replace("AGENT", agent).replace("MOTION", motion))
        return load(path)


def ours(spec: Any) -> Callable[[int], int]:
    """Return what plays n runs and returns how many ended in a contact."""

    def run(n: int) -> int:
        hit = 0
        for first in range(0, n, 1024):
            for record in play(spec, draw(spec, range(first, min(first + 1024, n)))):
                if record.last:
                    hit += int(np.sum(record.tables["runs"].columns["event"]))
        return hit

    run(4)  # compile, or load what was compiled
    return run


def sampled(spec: Any) -> Callable[[int], int]:
    """Return what draws n runs and plays none."""

    def run(n: int) -> int:
        draw(spec, range(n))
        return 0

    return run


def scenic() -> Callable[[int], int] | None:
    """Return what lets Scenic sample n scenes; None where it is not installed."""
    try:
        import scenic as peer
    except ImportError:
        return None
    scene = peer.scenarioFromString(SCENIC, mode2D=True)

    def run(n: int) -> int:
        for _ in range(n):
            scene.generate()
        return 0

    run(2)
    return run


def highway() -> Callable[[int], int] | None:
    """Return what lets highway-env play n episodes of 5 s; None where it is not installed."""
    try:
        import gymnasium
        import highway_env  # noqa: F401  # it registers its environments
    except ImportError:
        return None
    env = gymnasium.make("highway-fast-v0")

    def run(n: int) -> int:
        crashed = 0
        for episode in range(n):
            env.reset(seed=episode)
            for _ in range(5):  # a step is 1 s
                _, _, terminated, truncated, _ = env.step(1)
                if terminated or truncated:
                    crashed += 1
                    break
        return crashed

    run(1)
    return run


def compare(runs: int, repeats: int, word: str) -> None:
    """Time all cases in turns and print them."""
    warnings.simplefilter("ignore")
    bare = scenario()
    cases: dict[str, tuple[Callable[[int], int] | None, int, float]] = {
        "no agent": (ours(bare), runs, 500.0),
        "no agent, with motion": (ours(scenario(motion="true")), runs, 500.0),
        "constant": (ours(scenario("agent: {kind: constant}")), runs, 500.0),
        "braking": (ours(scenario("agent: {kind: braking}")), runs, 500.0),
        "IDM": (ours(scenario("agent: {kind: idm}")), runs, 500.0),
        "AEB": (ours(scenario("agent: {kind: aeb}")), runs, 500.0),
        "Regulation 157, model 1": (ours(scenario("agent: {kind: r157_driver}")), runs, 500.0),
        "Regulation 157, 5.2.5": (ours(scenario("agent: {kind: r157_performance}")), runs, 500.0),
        "RSS": (ours(scenario("agent: {kind: rss}")), runs, 500.0),
        "fuzzy safety model": (ours(scenario("agent: {kind: fuzzy_safety}")), runs, 500.0),
        "a Python function, 20 Hz": (ours(scenario('agent: {kind: "driver.py:drive"}')), max(runs // 4, 1), 100.0),
        "draws only": (sampled(bare), runs, 0.0),
        "Scenic: samples only": (scenic(), max(runs // 4, 1), 0.0),
        "highway-fast-v0: 5 s": (highway(), max(runs // 64, 1), 0.0),
    }
    kept = {name: case for name, case in cases.items() if word in name}
    speeds: dict[str, list[float]] = {name: [] for name in kept}
    hits = dict.fromkeys(kept, 0.0)
    for _ in range(repeats):
        for name, (run, n, _) in kept.items():
            if run is not None:
                start = time.process_time()
                hits[name] = run(n) / n
                speeds[name].append(n / (time.process_time() - start))
    for name, (run, _, bar) in kept.items():
        if run is None:
            print(f"{name:28s} not installed: pip install 'mischance[peers]'")
            continue
        middle, low, high = median(speeds[name]), min(speeds[name]), max(speeds[name])
        note = f"{middle / bar:5.2f} x the bar of {bar:.0f}" if bar else ""
        print(f"{name:28s} {middle:8.1f} /CPU s  [{low:.1f}, {high:.1f}]  {hits[name]:6.1%} contacts  {note}")
    if "no agent" in speeds:
        for name in ("Scenic: samples only", "highway-fast-v0: 5 s"):
            if speeds.get(name):
                mine = "draws only" if "Scenic" in name else "no agent"
                print(f"{mine} / {name}: {median(speeds[mine]) / median(speeds[name]):.1f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def memory(runs: int) -> None:
    """Play runs and print the peak memory every tenth of the way."""
    spec = scenario("agent: {kind: r157_driver}")
    step = max(runs // 10, 1)
    for first in range(0, runs, step):
        for begin in range(first, min(first + step, runs), 1024):
            for _ in play(spec, draw(spec, range(begin, min(begin + 1024, first + step, runs)))):
                pass
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{min(first + step, runs):8d} runs   peak memory {peak:.0f} MB", flush=True)


def main(arguments: Mapping[str, Any]) -> None:
    """Do what was asked for."""
    if arguments["memory"]:
        memory(arguments["memory"])
    elif arguments["profile"]:
        import cProfile

        run = ours(scenario("agent: {kind: r157_driver}"))
        cProfile.runctx("run(2048)", {"run": run}, {}, sort="cumtime")
    else:
        compare(arguments["runs"], arguments["repeats"], arguments["case"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--case", default="")
    parser.add_argument("--memory", type=int, nargs="?", const=100_000, default=0)
    parser.add_argument("--profile", action="store_true")
    main(vars(parser.parse_args()))
