"""Settings of the payments world."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from mischance.units import Frequency, Money, Number, Ratio, Time


class Channels(BaseModel, extra="forbid", frozen=True):
    """Shares of genuine payments by channel; they are scaled to add up to 1."""

    cnp: Number = Field(default=0.65, gt=0, description="card not present: online shops [share]")
    pos: Number = Field(default=0.29, gt=0, description="point of sale: shops [share]")
    atm: Number = Field(default=0.06, gt=0, description="cash machines [share]")


Range = Annotated[tuple[Money, Money], Field(description="lowest and highest [currency]")]


class Micro(BaseModel, extra="forbid", frozen=True):
    """Genuine payments of small amounts: fares, parking, apps."""

    share: Ratio = Field(default=0.03, ge=0, le=1, description="share of the payments online and in shops")
    amount: Range = Field(default=(0.50, 3.00), description="lowest and highest amount [currency]")


class Report(BaseModel, extra="forbid", frozen=True):
    """Reports of fraudulent payments by cardholders: probability and delay."""

    probe: Ratio = Field(default=0.15, ge=0, le=1, description="chance that an approved probe is ever reported")
    cash_out: Ratio = Field(default=0.95, ge=0, le=1, description="chance that an approved cash-out is ever reported")
    delay: Time = Field(default=20 * 3600.0, gt=0, description="median delay of a report [s]")
    spread: Number = Field(default=1.0, ge=0, description="sigma of the delay's logarithm")


class Burst(BaseModel, extra="forbid", frozen=True):
    """A burst of card testing: small payments on many cards, larger payments on the cards that pass."""

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
    """Settings of the payments world. Defaults are not calibrated unless a source is named."""

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
