"""Card payments of many cardholders at many merchants, with bursts of card testing and innocent look-alikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mischance.api.labels import table_of_rows
from mischance.api.protocols import FaultKind
from mischance.api.runs import Chunk, Commands, Draw
from mischance.api.tables import EVENTS, LABELS, Column, Schema, Table

from .columns import TABLES, TRANSACTION_LABELS
from .settings import Settings

if TYPE_CHECKING:
    from mischance.api.randomness import Streams

    from .buffer import Increment
    from .run import Run


class Payments:
    """Cardholders pay merchants through an issuer; faults add bursts of card testing and of ticket sales.

    `t` of the tables is in whole microseconds. Two runs that differ only in a campaign draw the same genuine
    payments; only decisions on the cards of that campaign can differ.
    """

    batch: ClassVar[int] = 8
    entity: ClassVar[str] = "card"
    max_chunk_seconds: ClassVar[float] = (
        86400.0  # a day's rows are few, and each chunk costs as much as a thousand rows
    )
    randomness: ClassVar[tuple[str, ...]] = ("payments.*",)
    commands: ClassVar[Schema] = {"card": Column("int32", about="a card to block from now on")}
    measures: ClassVar[Schema] = {
        "payments": Column("int64", about="payments wanted, declined ones included"),
        "declined": Column("int64"),
        "decline_rate": Column(),
        "value": Column(unit="currency", about="of all payments wanted"),
        "fraud_count": Column("int64", about="payments of crimes, declined ones included"),
        "fraud_declined": Column("int64"),
        "fraud_value": Column(unit="currency", about="of payments of crimes, declined ones included"),
        "fraud_rate": Column(about="share of the number of payments, as achieved"),
        "fraud_value_rate": Column(about="share of the value of payments, as achieved"),
        "loss": Column(unit="currency", about="approved payments of crimes"),
        "headroom": Column(unit="currency", about="loss_limit - loss"),
        "cards_probed": Column("int64", about="stolen cards tried"),
        "cards_passed": Column("int64", about="stolen cards with an approved probe"),
        "cards_used": Column("int64", about="stolen cards with an approved cash-out"),
        "hard_negative_count": Column("int64", about="payments of innocent bursts"),
        "first_detection": Column(unit="s", null=True, about="first report, perhaps after the run; null = never"),
    }
    faults: ClassVar[Mapping[str, FaultKind]] = {
        "card_testing": FaultKind(
            "stolen cards are probed with small payments, then used", "cards", 40.0, effect="adds"
        ),
        "ticket_sale": FaultKind(
            "buyers' cards are verified by small fees, then charged", "cards", 40.0, innocent=True, effect="adds"
        ),
    }

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._runs: list[Run] = []
        self._end = 0.0

    @staticmethod
    def targets(settings: Settings) -> Sequence[str]:
        """Return the targets of faults."""
        return ("cards",)

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return the cards and merchants at t = 0.

        Raises:
            RunError: a campaign wants more cards than there are.
        """
        from .run import Run

        innocent = frozenset(kind for kind, fault in self.faults.items() if fault.innocent)
        self._runs = [
            Run(draw.settings or self.settings, draw, stream, innocent)
            for draw, stream in zip(draws, streams, strict=True)
        ]
        self._end = 0.0
        return self._chunk(0.0, [run.start() for run in self._runs])

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return payments, labels and events in (last end, until]; commands block cards from the last end on."""
        if commands is not None:
            for i, run in enumerate(self._runs):
                if commands.live[i]:
                    for card in commands.table.run(i)["card"]:
                        run.command(int(card))
        start, self._end = self._end, until
        return self._chunk(start, [run.advance(until) for run in self._runs])

    def in_force(self, run: int, target: str, kind: str) -> float:
        """Return the number of cards that campaigns of this kind have acquired and may use now."""
        return float(self._runs[run].cards_of(kind, self._end))

    def outcome(self) -> tuple[Table, Table]:
        """Return the measures and verdict of every run, and one label for each campaign that began."""
        schema = {
            **self.measures,
            "event": Column("bool"),
            "margin": Column(unit="currency"),
            "verdict": Column("text"),
            "reason": Column("text"),
        }
        rows = [{name: [value] for name, value in run.outcome().items()} for run in self._runs]
        return Table.of(schema, rows), table_of_rows(LABELS, [run.labels() for run in self._runs])

    def close(self) -> None:
        """Forget the runs."""
        self._runs = []

    def _chunk(self, start: float, runs: Sequence[Increment]) -> Chunk:
        return Chunk(
            start=start,
            end=self._end,
            ends=np.full(len(runs), self._end),
            over=np.zeros(len(runs), np.bool_),
            events=Table.of(EVENTS, [run.events for run in runs]),
            tables={
                name: Table.of(schema, [run.tables.get(name, {}) for run in runs]) for name, schema in TABLES.items()
            },
            labels={"transactions": Table.of(TRANSACTION_LABELS, [run.labels for run in runs])},
        )
