"""One run of the payments world: campaigns as SimPy processes, genuine payments in bulk between their steps."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from mischance.api.labels import Row, label_row
from mischance.errors import RunError

from .accounts import Accounts
from .background import Background, Rows
from .buffer import Attempt, Buffer, Increment
from .campaigns import Campaign
from .columns import DAY, HOUR, MINOR, SECOND, whole_microseconds

if TYPE_CHECKING:
    from mischance.api.randomness import Streams
    from mischance.api.runs import Draw

    from .settings import Settings


class Run:
    """The state of one run. Its clock counts whole microseconds, so that no cut falls between two of its times."""

    def __init__(self, settings: Settings, draw: Draw, streams: Streams, innocent: frozenset[str]) -> None:
        self.settings = settings
        self.env = simpy.Environment(initial_time=0)
        self._background = Background(settings, streams)
        self.people = self._background.people
        self.buffer = Buffer(settings, self.people)
        self.accounts = Accounts(settings, self.people, self.buffer)
        self._now = -1
        self._hour = 0
        self._rows = self._background.hour(0)
        self._place = 0
        self.campaigns = [
            Campaign(self, streams, fault, getattr(settings, fault.kind), innocent=fault.kind in innocent)
            for fault in draw.faults_of("cards")
        ]
        for campaign in self.campaigns:
            campaign.begin()

    def start(self) -> Increment:
        """Return the rows at t = 0: the cards and merchants."""
        first = self.advance(0.0)
        people = self.people
        cards, merchants = np.arange(len(people.rate)), np.arange(len(people.category))
        first.tables["cards"] = {
            "t": np.zeros_like(cards),
            "card": cards,
            "bin": people.bin,
            "balance": people.opening,
            "day_limit": people.day_limit,
        }
        first.tables["merchants"] = {
            "t": np.zeros_like(merchants),
            "merchant": merchants,
            "channel": people.channel,
            "category": people.category,
        }
        return first

    def advance(self, until: float) -> Increment:
        """Advance to `until`, inclusive; return what happened since the last call."""
        cut = whole_microseconds(until)
        # Not run(until): it stops before events at `until` itself.
        while self.env.peek() <= cut:
            self.env.step()
        self.sync(cut)
        return self.buffer.take()

    def sync(self, now: int) -> None:
        """Settle the genuine payments up to and including `now`."""
        while self._now < now:
            end = (self._hour + 1) * HOUR
            upto = min(now, end - 1)
            stop = int(np.searchsorted(self._rows.t, upto, side="right"))
            if stop > self._place:
                rows = _slice(self._rows, self._place, stop)
                self.buffer.rows(rows, self.accounts.settle(rows, self._now))
                self._place = stop
            self.accounts.close_to(upto)
            self._now = upto
            if now >= end:
                self._hour += 1
                self._rows, self._place = self._background.hour(self._hour), 0
                if self._hour % 24 == 0:
                    self.accounts.new_day()

    def pay(self, attempt: Attempt, mark: int) -> simpy.Event:
        """Decide this payment, before which all earlier ones are settled; return an event with the answer."""
        cause = f"{attempt.campaign}:{attempt.why['stage']}"
        attempt.reason = self.accounts.decide(attempt.card, attempt.t, attempt.amount, mark, cause)
        self.buffer.attempt(attempt)
        return self.env.event().succeed(attempt)

    def block(self, card: int, cause: str, why: str) -> None:
        """Block a card from the current time on."""
        now = int(self.env.now)
        self.sync(now)
        self.accounts.block(card, now, cause, why)

    def command(self, card: int) -> None:
        """Block a card by a command of the agent."""
        if not 0 <= card < len(self.people.rate):
            raise RunError(f"there is no card {card} to block", f"cards are numbered 0 to {len(self.people.rate) - 1}")
        self.accounts.block(card, max(self._now, 0), "", "command")

    def cards_of(self, kind: str, t: float) -> int:
        """Return the number of cards that campaigns of a kind hold at t."""
        return sum(len(c.cards) for c in self.campaigns if c.fault.kind == kind and t < c.fault.end)

    def outcome(self) -> dict[str, Any]:
        """Return the run's measures and verdict, one value per column."""
        totals, settings = self.buffer.totals, self.settings
        crimes = [campaign for campaign in self.campaigns if not campaign.innocent]
        probed, passed, used = (sum(getattr(c, name) for c in crimes) for name in ("probed", "passed", "used"))
        headroom = settings.loss_limit - totals.loss / MINOR
        return {
            "payments": totals.payments,
            "declined": totals.declined,
            "decline_rate": _ratio(totals.declined, totals.payments),
            "value": totals.value / MINOR,
            "fraud_count": totals.fraud_count,
            "fraud_declined": totals.fraud_declined,
            "fraud_value": totals.fraud_value / MINOR,
            "fraud_rate": _ratio(totals.fraud_count, totals.payments),
            "fraud_value_rate": _ratio(totals.fraud_value, totals.value),
            "loss": totals.loss / MINOR,
            "headroom": headroom,
            "cards_probed": probed,
            "cards_passed": passed,
            "cards_used": used,
            "hard_negative_count": totals.innocent_count,
            "first_detection": totals.first_report if np.isfinite(totals.first_report) else float("nan"),
            "event": headroom < 0,
            "margin": headroom,
            "verdict": "loss" if headroom < 0 else "no loss" if not totals.loss else "loss within the limit",
            "reason": self._reason(probed, passed, used),
        }

    def _reason(self, probed: int, passed: int, used: int) -> str:
        totals, currency = self.buffer.totals, self.settings.currency
        if not probed:
            return "no stolen card was tried"
        text = f"{passed} of {probed} stolen cards passed the probe"
        first = totals.first_cash_out
        if first is None:
            return f"{text}, and none was used"
        return (
            f"{text}, {used} were used, {_money(totals.loss, currency)} is lost; the first cash-out was payment "
            f"{first.event_id} of {first.campaign} on card {first.card}, {_clock(first.t)}"
        )

    def labels(self) -> list[Row]:
        """Return one label for each campaign that began."""
        begun = [c for c in self.campaigns if c.fault.onset <= max(self._now, 0) / SECOND]
        begun.sort(key=lambda campaign: (campaign.fault.onset, campaign.label_id))
        return [
            label_row(
                c.label_id, f"{'innocent' if c.innocent else 'fraud'}/{c.fault.kind}", c.fault.target,
                cause=c.fault.onset, end=nan if c.active else c.last, severity=float(c.size),
                causes=[c.fault.fault_id], role="bystander" if c.innocent else "attacker", reported=c.first_report,
            )
            for c in begun
        ]  # fmt: skip


def _slice(rows: Rows, low: int, high: int) -> Rows:
    part = slice(low, high)
    return Rows(rows.t[part], rows.card[part], rows.merchant[part], rows.amount[part], rows.mark[part])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _money(minor: int, currency: str) -> str:
    """Format a sum of money."""
    return f"{minor / MINOR:,.2f} {currency}"


def _clock(t: int) -> str:
    """Format a time as day and time of day."""
    seconds = t // SECOND
    return f"day {t // DAY} {seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
