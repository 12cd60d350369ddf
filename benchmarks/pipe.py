"""Cost of the way from records to files, against pyarrow's own writing of the same and hashing of the same bytes.

    python benchmarks/pipe.py [--repeats 7] [--million 1] [--quick]

Part 1: (a) rows of eight numeric columns, (b) log lines of 100 bytes, (c) samples of a float32 signal go from a trivial
world through digest, writing and sealing, as a job that holds its whole shard. In the same run pyarrow writes the same
columns in the same row groups with the same settings and page checksums, and SHA-256 is taken once of the rows' bytes
(the digest) and once of the file's. Cost is CPU time; shown are medians and the middle half.
Part 2: peak memory of one run of 10^6, 10^7 and 3 * 10^7 rows, each in a process of its own.
Part 3: what a run costs in which nothing happens, in batches of 1,000 and 4,096 runs: drawn, played, written, sealed.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mischance.api.arrow import arrow_batch, parquet_options, signal_batch
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Record
from mischance.api.strings import strings
from mischance.api.tables import EVENTS, LABELS, AnyArray, Column, Schema, Signals, Table
from mischance.dataset.parts import PartWriter, commit
from mischance.dataset.shards import Shard, seal
from mischance.dataset.table_files import ROW_GROUP, SIGNAL_GROUP

PIECE = 65_536  # rows in one record
NUMBERS: Schema = {
    "t": Column(unit="s", encoding="delta", role="time"),
    "event_id": Column("int64", encoding="delta", role="key"),
    "cents": Column("int64", unit="ct", encoding="delta"),
    "card": Column("int64", encoding="plain", role="entity"),
    "x": Column(unit="m"),
    "y": Column(unit="m"),
    "kind": Column("category", names=("chip", "web", "tap")),
    "declined": Column("bool"),
}
LINES: Schema = {"line": Column("utf8")}
CHANNEL: Schema = {"a": Column("float32", unit="m/s2")}
OUTCOME: Schema = {
    "event": Column("bool"),
    "margin": Column(),
    "verdict": Column("text"),
    "reason": Column("text"),
}
NOTHING = """
mischance: 1
name: bench/nothing
about: A scenario in which nothing happens.
seed: 1
duration: 1 s
vary: {{a: {{uniform: [0, 1]}}}}
simulator: {{kind: "{kind}:Nothing"}}
write: []
"""
RUNS: Schema = {"weight": Column(), "event": Column("bool")}
BARS = {"rows": 3.0, "lines": 1.5, "samples": 60.0}  # aims, in millions a second
MOST = 1.25


class All:
    """Keeps every table."""

    def __init__(self, folder: Path) -> None:
        del folder

    def keeps(self, path: str) -> bool:
        """Return that the dataset stores it."""
        del path
        return True

    def write(self, record: Record) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def numbers(n: int) -> dict[str, AnyArray]:
    """Return one piece of transactions."""
    rng = np.random.default_rng(1)
    return {
        "t": np.cumsum(rng.exponential(0.01, n)),
        "event_id": np.arange(n),
        "cents": rng.integers(1, 100_000, n),
        "card": rng.integers(0, 10**9, n),
        "x": rng.normal(0.0, 100.0, n),
        "y": rng.normal(0.0, 100.0, n),
        "kind": rng.integers(0, 3, n).astype(np.int32),
        "declined": rng.random(n) < 0.1,
    }


def lines(n: int) -> AnyArray:
    """Return log lines of 100 bytes."""
    rng = np.random.default_rng(2)
    mark, took = rng.integers(0, 2**60, n).tolist(), rng.integers(1, 1000, n).tolist()
    text = (
        f"2026-03-02T06:00:{i % 60:02d}.{i % 1000:03d}Z host{i % 7} shop[{i % 997}]: request {a:015x} took {b} ms, sent"
        for i, a, b in zip(range(n), mark, took, strict=True)
    )
    return strings([f"{line:100.100}" for line in text])


def piece(case: str, n: int) -> dict[str, Any]:
    """Return the tables or signals of one record of one run."""
    if case == "rows":
        return {"tables": {"truth/x": Table(NUMBERS, numbers(n), np.array([0, n]))}}
    if case == "lines":
        return {"tables": {"truth/x": Table(LINES, {"line": lines(n)}, np.array([0, n]))}}
    rng = np.random.default_rng(3)
    wave = np.sin(np.arange(n) * 0.01) + 0.1 * rng.normal(size=n)
    return {"signals": {"truth/x": Signals.of(48_000.0, 0, wave.astype(np.float32).reshape(1, n, 1), CHANNEL)}}


def records(case: str, total: int, n: int) -> Iterator[Record]:
    """Yield one run of `total` rows, n at a time, and its last record."""
    run = np.zeros(1, np.int64)
    made = piece(case, n)
    for k in range(total // n):
        now = made
        if "signals" in made:
            one = made["signals"]["truth/x"]
            now = {"signals": {"truth/x": Signals(one.rate, k * n, one.values, one.channels, one.counts)}}
        yield Record(run, float(k), float(k + 1), **{"tables": {}, **now})
    yield last(run)


def last(runs: AnyArray) -> Record:
    """Return the last record of a batch in which nothing happened."""
    n = len(runs)
    columns = {"weight": np.ones(n), "event": np.zeros(n, np.bool_)}
    tables = {"runs": Table(RUNS, columns, np.arange(n + 1)), "labels": Table.empty(LABELS, n)}
    return Record(runs, 1.0, 1.0, {**tables, "events": Table.empty(EVENTS, n)}, last=True)


def through_the_pipe(out: Path, told: Iterator[Record], runs: int = 1) -> None:
    """Take records to the final files of a shard."""
    shard = Shard(0, runs - 1)
    part = out / "parts" / shard.name / shard.name
    writer = PartWriter(out / "parts" / ".made", {"all": All}, shard=range(runs))
    for record in told:
        writer.write(record)
    writer.close()
    commit(out / "parts" / ".made", part)
    seal(out, shard, [part])


class _Hashed:
    """A file that is hashed as it is written, with nothing else to it."""

    closed = False

    def __init__(self, path: Path) -> None:
        self._file, self._hash, self._size = path.open("wb", buffering=0), hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self._size += len(data)
        return self._file.write(data) or 0

    def tell(self) -> int:
        return self._size

    def flush(self) -> None: ...

    def close(self) -> None:
        self._file.close()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def by_pyarrow(out: Path, case: str, total: int, n: int) -> Callable[[], None]:
    """Return a function that writes the same columns with pyarrow alone, and hashes the rows' bytes once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    group = SIGNAL_GROUP if case == "samples" else ROW_GROUP
    made, zero = piece(case, group), np.zeros(1, np.int64)
    if case == "samples":
        batch = signal_batch(made["signals"]["truth/x"], zero)
        data = [made["signals"]["truth/x"].values.tobytes()]
    else:
        table = made["tables"]["truth/x"]
        batch = arrow_batch(table, zero)
        columns = table.columns.values()
        data = [c.tobytes() if isinstance(c, np.ndarray) else memoryview(c.buffers()[2]) for c in columns]
        data += [memoryview(c.buffers()[1]) for c in columns if not isinstance(c, np.ndarray)]
    whole = pa.Table.from_batches([batch])
    out.mkdir(parents=True, exist_ok=True)

    def write() -> None:
        file = _Hashed(out / "x.parquet")
        digest = hashlib.sha256()
        with pq.ParquetWriter(pa.PythonFile(file, mode="w"), whole.schema, **parquet_options(whole.schema)) as writer:
            for _ in range(total // group):
                writer.write_table(whole, row_group_size=group)
                for buffer in data:
                    digest.update(buffer)
        file.close()

    return write


def cpu(work: Callable[[], None]) -> float:
    """Return the CPU time of this process over a call [s]."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return median and middle half."""
    low, middle, high = statistics.quantiles(values, n=4)
    return middle, low, high


def compare(scratch: Path, repeats: int, millions: float) -> bool:
    """Print part 1; return whether every ratio is within the bar."""
    good = True
    print("what      pipe [M/s]           pyarrow and hashes [M/s]   ratio (middle half)     aim [M/s]")
    for case, size in (("rows", 1.0), ("lines", 1.0), ("samples", 16.0)):
        group = SIGNAL_GROUP if case == "samples" else ROW_GROUP
        total = max(round(size * millions * 1e6 / group), 2) * group
        n = group // 2 if case != "samples" else group
        baseline = by_pyarrow(scratch / "plain", case, total, group)
        told = list(records(case, total, n))  # the world's own work is not measured
        ours, theirs, ratios = [], [], []
        for repeat in range(repeats + 1):
            out = scratch / f"{case}{repeat}"
            a = cpu(partial(through_the_pipe, out, iter(told)))
            b = cpu(baseline)
            shutil.rmtree(out)
            if repeat:  # the first one warms up
                ours.append(total / a / 1e6)
                theirs.append(total / b / 1e6)
                ratios.append(a / b)
        ratio, low, high = spread(ratios)
        good &= ratio <= MOST
        print(
            f"{case:8}  {spread(ours)[0]:6.2f} ({spread(ours)[1]:.2f}-{spread(ours)[2]:.2f})"
            f"   {spread(theirs)[0]:6.2f} ({spread(theirs)[1]:.2f}-{spread(theirs)[2]:.2f})"
            f"         {ratio:.2f} ({low:.2f}-{high:.2f})         {BARS[case]}"
        )
    return good


def memory(scratch: Path) -> bool:
    """Print part 2; return whether thirty times the rows take at most a tenth more memory."""
    peaks = []
    for total in (10**6, 10**7, 3 * 10**7):
        command = [sys.executable, __file__, "--one", str(total), "--out", str(scratch / str(total))]
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(found.stdout))
        print(f"{total:>11,} rows: peak {peaks[-1]:.0f} MB")
        shutil.rmtree(scratch / str(total))
    return peaks[-1] <= 1.1 * peaks[0]


class Nothing:
    """A world in which nothing happens; a scenario names it by this file."""

    batch = 4096
    randomness = ()

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return truth at t = 0."""
        del streams
        self._runs = len(draws)
        return self._chunk(0.0, 0.0)

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return the whole run."""
        del commands
        return self._chunk(0.0, until)

    def _chunk(self, start: float, end: float) -> Chunk:
        over = np.full(self._runs, end > start)
        return Chunk(start, end, np.full(self._runs, end), over, Table.empty(EVENTS, self._runs))

    def outcome(self) -> tuple[Table, Table]:
        """Return that every run passed, and no labels."""
        n = self._runs
        words = np.full(n, "", object)
        columns = {"event": np.zeros(n, np.bool_), "margin": np.ones(n), "verdict": words, "reason": words}
        return Table(OUTCOME, columns, np.arange(n + 1)), Table.empty(LABELS, n)

    def close(self) -> None:
        """Nothing is held."""


def drawn_and_played(scratch: Path, runs: int) -> Callable[[], Iterator[Record]]:
    """Return a function that draws and plays so many runs of a scenario in which nothing happens."""
    from mischance.language.loading import load
    from mischance.play.player import play
    from mischance.play.sampling import draw

    file = scratch / "nothing.yaml"
    file.write_text(NOTHING.format(kind=Path(__file__).resolve()), encoding="utf-8")
    scenario = load(file)
    return lambda: play(scenario, draw(scenario, range(runs)))


def noop(scratch: Path, repeats: int) -> bool:
    """Print part 3; return whether the largest batch is within the bar."""
    middle = 0.0
    for runs in (1000, 4096):
        told = drawn_and_played(scratch, runs)
        costs = []
        for repeat in range(repeats + 1):
            out = scratch / f"noop{runs}-{repeat}"
            begun = time.process_time()
            through_the_pipe(out, told(), runs)
            costs.append((time.process_time() - begun) / runs * 1e6)
            shutil.rmtree(out)
        del costs[0]  # the first one warms up
        middle, low, high = spread(costs)
        print(f"run in which nothing happens, batch of {runs:,}: {middle:.1f} us ({low:.1f}-{high:.1f})")
    return middle <= 40.0


def main() -> int:
    """Measure and print; exit code 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--million", type=float, default=1.0, help="millions of rows in part 1")
    parser.add_argument("--quick", action="store_true", help="part 1 and 3 alone")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        through_the_pipe(given.out, records("rows", given.one, 50_000))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        good = compare(Path(scratch), given.repeats, given.million)
        good &= noop(Path(scratch), given.repeats)
        if not given.quick:
            good &= memory(Path(scratch))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
