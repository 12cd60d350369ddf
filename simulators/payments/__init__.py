"""Card payments of many people at many shops, with bursts of card testing and innocent bursts that look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

from mischance.api.protocols import FaultKind
from mischance.api.runs import Chunk, Commands, Draw
from mischance.api.tables import EVENTS, LABELS, Column, Schema, Table
from mischance.units import Frequency, Money, Number, Ratio, Time

from .columns import TABLES

if TYPE_CHECKING:
    from mischance.api.randomness import Streams

    from .run import Run


class Channels(BaseModel, extra="forbid", frozen=True):
    """How genuine payments divide between the channels; the shares are scaled to add up to 1."""

    cnp: Number = Field(default=0.65, gt=0, description="card not present: online shops [share]")
    pos: Number = Field(default=0.29, gt=0, description="point of sale: shops [share]")
    atm: Number = Field(default=0.06, gt=0, description="cash machines [share]")


Range = Annotated[tuple[Money, Money], Field(description="lowest and highest [currency]")]


class Micro(BaseModel, extra="forbid", frozen=True):
    """Genuine payments of a few coins: fares, parking, apps."""

    share: Ratio = Field(default=0.03, ge=0, le=1, description="share of the payments online and in shops")
    amount: Range = Field(default=(0.50, 3.00), description="lowest and highest amount [currency]")


class Report(BaseModel, extra="forbid", frozen=True):
    """How cardholders find and report what they did not buy."""

    probe: Ratio = Field(default=0.15, ge=0, le=1, description="chance that an approved probe is ever reported")
    cash_out: Ratio = Field(default=0.95, ge=0, le=1, description="chance that an approved cash-out is ever reported")
    delay: Time = Field(default=20 * 3600.0, gt=0, description="median delay of a report [s]")
    spread: Number = Field(default=1.0, ge=0, description="sigma of the delay's logarithm")


class Burst(BaseModel, extra="forbid", frozen=True):
    """Many cards tried with small payments, and larger ones on those that were approved."""

    acquire: Literal["random", "bin"] = Field(
        default="random", description="cards of any kind, or of one issuer range first"
    )
    merchants: tuple[int, int] = Field(default=(1, 3), description="fewest and most online shops it goes to")
    gap: Time = Field(default=20.0, gt=0, description="mean gap between cards, exponential [s]")
    amount: Range = Field(default=(0.50, 3.00), description="lowest and highest amount of a probe [currency]")
    valid: Ratio = Field(default=0.75, ge=0, le=1, description="share of cards whose credentials are still good")
    tries: int = Field(default=3, ge=1, le=15, description="most tries on one card")
    retry: Ratio = Field(default=0.4, ge=0, le=1, description="chance of another try after a decline")
    use: Ratio = Field(default=0.6, ge=0, le=1, description="chance that an approved card is used")
    delay: Time = Field(default=3600.0, gt=0, description="mean delay of each larger payment, exponential [s]")
    spend: Number = Field(default=2.0, gt=0, description="larger payments over the shop's usual price [ratio]")
    again: Ratio = Field(default=0.3, ge=0, le=1, description="chance of one more payment after an approved one")
    purchases: int = Field(default=4, ge=1, le=32, description="most larger payments tried on one card")
    elsewhere: bool = Field(default=True, description="larger payments go to any online shop")
    report: Report = Field(default=Report(), description="how the payments are reported; innocent ones never are")

    @model_validator(mode="after")
    def _ordered(self) -> Burst:
        low, high = self.merchants
        if not 1 <= low <= high:
            raise ValueError("merchants: the fewest must be at least 1 and not above the most")
        if not 0.2 <= self.amount[0] <= self.amount[1]:
            raise ValueError("amount: the lowest must be at least 0.20 and not above the highest")
        return self


class TicketSale(Burst, frozen=True):
    """An innocent burst: an online shop verifies each buyer's card by a small fee, and charges the price later."""

    merchants: tuple[int, int] = Field(default=(1, 2), description="fewest and most online shops that sell")
    valid: Ratio = Field(default=0.80, ge=0, le=1, description="share of buyers who enter their card rightly")
    elsewhere: bool = Field(default=False, description="the price goes to any online shop")


class Settings(BaseModel, extra="forbid", frozen=True):
    """What a scenario may say about the payments world. The figures are uncalibrated where nothing else is said."""

    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        default="monday", description="day of the week on which the run starts, at midnight"
    )
    currency: Literal["EUR", "GBP", "USD"] = Field(default="EUR", description="currency of every amount")
    cards: int = Field(default=1000, ge=1, le=1_000_000, description="number of cardholders, one card each")
    merchants: int = Field(default=150, ge=12, le=1_000_000, description="number of merchants and cash machines")
    bins: int = Field(default=8, ge=1, le=1000, description="number of issuer ranges that card numbers come from")
    rate: Frequency = Field(default=1.2 / 86400, gt=0, le=1e-3, description="mean payments of a card [Hz]; 1.2 a day")
    spread: Number = Field(default=0.7, ge=0, le=1.5, description="sigma of the logarithm of a card's own rate")
    channels: Channels = Field(default=Channels(), description="shares of the channels")
    loyalty: Ratio = Field(default=0.7, ge=0, le=1, description="share of payments at a card's favourite merchants")
    micro: Micro = Field(default=Micro(), description="genuine payments of a few coins")
    buffer: Ratio = Field(default=0.6, ge=0, description="median spare balance at the start [monthly incomes]")
    day_limit: Ratio = Field(default=0.5, gt=0, description="daily spending limit [monthly incomes]; at least 300")
    issuer_declines: Ratio = Field(
        default=0.008, ge=0, le=0.5, description="share of payments that the issuer declines at random"
    )
    mistyped: Ratio = Field(default=0.012, ge=0, le=0.5, description="share of online payments with wrong credentials")
    strikes: int = Field(default=3, ge=1, description="declines by issuer or credentials in a row that block a card")
    reissue: Time = Field(default=5 * 86400.0, gt=0, description="time until a blocked card has been replaced [s]")
    loss_limit: Money = Field(default=0.0, ge=0, description="fraud loss above which the event has happened [currency]")
    card_testing: Burst = Field(default=Burst(), description="how stolen cards are tested and used")
    ticket_sale: TicketSale = Field(default=TicketSale(), description="the innocent burst that looks like card testing")


class Payments:
    """Cardholders pay merchants through an issuer; bursts of card testing and of ticket sales come as planned.

    `t` of the tables is in whole microseconds. Two runs that differ in a campaign alone draw the same genuine
    payments; only decisions on cards that the campaign touched can differ.
    """

    batch: ClassVar[int] = 8
    piece: ClassVar[float] = 86400.0  # a day's rows are few, and each piece of time costs as much as a thousand rows
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
        "card_testing": FaultKind("stolen cards are probed with small payments, then used", "cards", 40.0),
        "ticket_sale": FaultKind(
            "buyers' cards are verified by small fees, then charged", "cards", 40.0, innocent=True
        ),
    }

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._runs: list[Run] = []
        self._end = 0.0

    @staticmethod
    def targets(settings: Settings) -> Sequence[str]:
        """Return what faults can be aimed at."""
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
        """Return the payments, labels and events in (last end, until]; commands block cards from the last end on."""
        if commands is not None:
            for i, run in enumerate(self._runs):
                if commands.live[i]:
                    for card in commands.table.run(i)["card"]:
                        run.command(int(card))
        start, self._end = self._end, until
        return self._chunk(start, [run.advance(until) for run in self._runs])

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
        return Table.of(schema, rows), Table.of(LABELS, [run.labels() for run in self._runs])

    def close(self) -> None:
        """Forget the runs."""
        self._runs = []

    def _chunk(self, start: float, told: Sequence[tuple[dict[str, Any], dict[str, dict[str, Any]]]]) -> Chunk:
        return Chunk(
            start=start,
            end=self._end,
            ends=np.full(len(told), self._end),
            over=np.zeros(len(told), np.bool_),
            events=Table.of(EVENTS, [events for events, _ in told]),
            tables={
                name: Table.of(schema, [tables.get(name, {}) for _, tables in told]) for name, schema in TABLES.items()
            },
        )
