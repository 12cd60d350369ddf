"""The last record of a batch: one row a run, and the labels of everything that was wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mischance.api.labels import Row, label_row, table_of_rows
from mischance.api.protocols import AgentFailure
from mischance.api.runs import Chunk, Draw, Record
from mischance.api.tables import LABELS, AnyArray, Column, FloatArray, Table, join_tables
from mischance.errors import TruthError
from mischance.language.scenario import Scenario
from mischance.play.requirements import Judged, Monitor
from mischance.units import SI

OWN = ("undecided", "event", "margin", "verdict", "reason")


def last_record(
    scenario: Scenario,
    draws: Sequence[Draw],
    chunk: Chunk,
    measures: Table,
    labels: Sequence[Table],
    failures: Sequence[AgentFailure | None],
    monitor: Monitor,
) -> Record:
    """Return the record that ends a batch, with the tables `runs` and `labels`.

    Args:
        scenario: what was played.
        draws: what each run got.
        chunk: the last piece of truth.
        measures: the world's outcome, one row a run.
        labels: those of the world and of each sensor.
        failures: what stopped each run's agent.
        monitor: what it promised.

    Raises:
        TruthError: the outcome has not one row a run.
        RunError: a requirement speaks of something that is not there.
    """
    n = len(draws)
    if measures.runs != n or len(measures) != n:
        raise TruthError(f"the outcome of {n} runs has {len(measures)} rows")
    parts = [*labels, _failure_labels(failures, labels)] if any(failures) else labels
    drawn = _drawn(scenario, draws)
    known = {**{name: values for name, (_, values) in drawn.items()}, **measures.columns}
    judged = monitor.judge({name: v for name, v in known.items() if v.dtype != object and name not in OWN}, n)
    tables = {
        "runs": _runs(scenario, draws, drawn, measures, known, judged, failures, chunk.ends),
        "labels": _in_order(parts, chunk.ends),
    }
    return Record(np.array([draw.run for draw in draws], np.int64), chunk.end, chunk.end, tables, last=True)


def _drawn(scenario: Scenario, draws: Sequence[Draw]) -> dict[str, tuple[Column, AnyArray]]:
    """Return the drawn values as columns: name -> (type, values)."""
    found: dict[str, tuple[Column, AnyArray]] = {}
    for name, spec in scenario.vary.items():
        values = [draw.values[name] for draw in draws]
        text = isinstance(values[0], str)
        column = Column("text", role="drawn") if text else Column(unit=SI.get(spec.dimension, ""), role="drawn")
        found[name] = column, np.array(values, object if text else np.float64)
    return found


def _runs(
    scenario: Scenario,
    draws: Sequence[Draw],
    drawn: Mapping[str, tuple[Column, AnyArray]],
    measures: Table,
    known: Mapping[str, AnyArray],
    judged: Judged,
    failures: Sequence[AgentFailure | None],
    ends: FloatArray,
) -> Table:
    """Return weight, drawn values, measures, robustness of requirements, undecided, event, margin, verdict, reason."""
    n = len(draws)
    schema: dict[str, Column] = {"weight": Column(about="importance weight of the draw", role="weight")}
    columns: dict[str, Any] = {"weight": np.exp([draw.log_weight for draw in draws])}
    for name, (column, values) in drawn.items():
        schema[name], columns[name] = column, values
    for name in measures.schema:
        if name not in OWN and (scenario.measure is None or name in scenario.measure):
            schema[name], columns[name] = measures.schema[name], measures.columns[name]
    for name, values in judged.columns().items():
        kept = values.dtype == np.bool_
        about = "whether the requirement was kept" if kept else "robustness of the requirement: above zero it was kept"
        schema[name] = Column("bool" if kept else "float64", about=about, role="label")
        columns[name] = values
    event, margin = measures.columns["event"], measures.columns["margin"]
    if scenario.event is not None:
        event = _column(scenario.event.when(known), n).astype(np.bool_)
        if scenario.event.margin is not None:
            margin = _column(scenario.event.margin(known), n).astype(np.float64)
    undecided = measures.columns["undecided"].copy() if "undecided" in measures.columns else np.zeros(n, np.bool_)
    verdict, reason = measures.columns["verdict"].copy(), measures.columns["reason"].copy()
    for i in range(n):
        broken = judged.broken(i)
        if broken:
            words = "; ".join(f"{name}: {what.reason}" for name, what in broken)
            reason[i] = f"{reason[i]}; broken {words}" if reason[i] else f"broken {words}"
        reason[i] += _elsewhere(draws[i], float(ends[i]))
        what = failures[i]
        if what is not None:
            verdict[i] = f"agent {what.kind}"
            undecided[i] = True
            reason[i] = f"{what.reason} at t = {what.t:g} s; until then and without it: {reason[i]}"
    undecided &= ~event  # what has happened is known, whatever ended the run
    schema.update(
        undecided=Column(
            "bool", about="cut short before its fate was known: no event so far, and no sign of none", role="label"
        ),
        event=Column("bool", role="label"),
        margin=Column(role="value"),
        verdict=Column("text", role="label"),
        reason=Column("text", role="cause"),
    )
    columns.update(undecided=undecided, event=event, margin=margin, verdict=verdict, reason=reason)
    return Table(schema, columns, np.arange(n + 1, dtype=np.int64))


def _column(values: Any, runs: int) -> AnyArray:
    return np.array(np.broadcast_to(np.asarray(values), (runs,)))


def _elsewhere(draw: Draw, end: float) -> str:
    """Return in words which faults of sensors and of the agent's channel acted: the world was told nothing of them."""
    own = {fault.fault_id for fault in draw.of_world().faults}
    told = []
    for fault in sorted(draw.faults, key=lambda fault: (fault.onset, fault.fault_id)):
        if fault.fault_id not in own and fault.onset < end:
            until = f" to {fault.end:.2f} s" if fault.end < end else ""
            told.append(f"; with {fault.kind} of {fault.target} from {fault.onset:.2f} s{until}")
    return "".join(told)


def _in_order(parts: Sequence[Table], ends: FloatArray) -> Table:
    """Return the labels of each run in order of (t_cause, label_id); what was planned past its end never happened."""
    labels = join_tables([Table(LABELS, {name: part.columns[name] for name in LABELS}, part.offsets) for part in parts])
    labels = labels.take(~(labels.columns["t_cause"] > ends[labels.run_index()]))
    keys = (labels.run_index().tolist(), labels.columns["t_cause"].tolist(), labels.columns["label_id"].tolist())
    order = [k for *_, k in sorted(zip(*keys, range(len(labels)), strict=True))]
    columns = {name: values[np.array(order, np.int64)] for name, values in labels.columns.items()}
    columns["t_end"] = np.where(np.isinf(columns["t_end"]), np.nan, columns["t_end"])
    return Table(LABELS, columns, labels.offsets)


def _failure_labels(failures: Sequence[AgentFailure | None], labels: Sequence[Table]) -> Table:
    """Label what stopped an agent: it is a fault of the system under test. The planned ones have the first numbers."""
    rows: list[list[Row]] = [[] for _ in failures]
    for i, what in enumerate(failures):
        if what is not None:
            number = sum(int((part.run(i)["target"] == "agent").sum()) for part in labels)
            path = f"fault/agent/{what.kind}"
            rows[i] = [label_row(f"agent:{number}", path, "agent", cause=what.t, severity=1.0, role="fault")]
    return table_of_rows(LABELS, rows)
