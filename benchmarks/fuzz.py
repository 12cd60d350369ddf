"""How damaged scenarios fare: count, failures, the slowest, CPU time and peak memory.

Run `python benchmarks/fuzz.py --mutants 20000`. Every mutant goes the whole way through `load`.
Exit code 1 if one ends in anything but a scenario or problems with their places, or takes longer than 250 ms of CPU.
"""

from __future__ import annotations

import argparse
import heapq
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from mutants import mutants, room, verdict

BAR = 0.250  # CPU time of one load [s]


def main() -> int:
    """Load the mutants and print; return 1 if one failed or was slow."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=20_000, help="how many")
    parser.add_argument("--seed", type=int, default=12, help="which")
    parser.add_argument("--keep", type=Path, help="a folder for those that failed or were slow")
    given = parser.parse_args()
    outcomes: Counter[str] = Counter()
    slowest: list[tuple[float, int]] = []
    bad = 0
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        places = room(Path(folder))
        for source, data in list(mutants(len(places) * 2, given.seed)):
            verdict(places[source], data)  # what is imported at first use is no mutant's time
        for k, (source, data) in enumerate(mutants(given.mutants, given.seed)):
            found = verdict(places[source], data)
            outcomes[found.outcome or "loaded"] += 1
            heapq.heappush(slowest, (found.seconds, k))
            if len(slowest) > 5:
                heapq.heappop(slowest)
            if not found.sound or found.seconds > BAR:
                bad += 1
                print(f"mutant {k}: {found.outcome or 'loaded'} in {found.seconds * 1000:.0f} ms: {found.text[:200]}")
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / f"{given.seed}_{k}.yaml").write_bytes(data)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"mutants    {given.mutants:,} of seed {given.seed}: "
        + ", ".join(f"{n:,} {o}" for o, n in outcomes.most_common())
    )
    print(f"failures   {bad}")
    print(
        "slowest    "
        + ", ".join(f"{seconds * 1000:.1f} ms (mutant {k})" for seconds, k in sorted(slowest, reverse=True))
    )
    print(f"CPU        {time.process_time() - start:.1f} s, making the mutants included; peak memory {memory:.0f} MB")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
