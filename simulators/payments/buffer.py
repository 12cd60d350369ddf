"""Buffer of rows, labels and events that wait for the next chunk."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import APPROVED, CURRENCIES, SECOND

if TYPE_CHECKING:
    from mischance.api.tables import AnyArray, IntArray

    from .background import Population, Rows
    from .settings import Settings


@dataclass(slots=True)
class Attempt:
    """One payment of a campaign. `event_id` is set when the rows of its chunk are sorted."""

    t: int
    card: int
    merchant: int
    amount: int
    campaign: str
    stage: int
    role: int
    innocent: bool
    parent: Attempt | None
    reason: int = APPROVED
    reported: float = float("nan")
    event_id: int = -1
    why: dict[str, Any] = field(default_factory=dict)

    @property
    def approved(self) -> bool:
        """Whether the issuer approved it."""
        return self.reason == APPROVED


@dataclass(slots=True)
class Increment:
    """What happened in one run in a stretch of time: rows of `events`, of each table, labels of transactions."""

    events: dict[str, Any]
    tables: dict[str, dict[str, Any]]
    labels: dict[str, Any]


@dataclass(slots=True)
class Totals:
    """Sums over a run, money in minor units."""

    payments: int = 0
    declined: int = 0
    value: int = 0
    fraud_count: int = 0
    fraud_value: int = 0
    fraud_declined: int = 0
    loss: int = 0
    innocent_count: int = 0
    first_report: float = float("inf")
    first_cash_out: Attempt | None = None


class Buffer:
    """Collects rows, labels and events, and returns each once, in order of time."""

    def __init__(self, settings: Settings, people: Population) -> None:
        self.totals = Totals()
        self._people = people
        self._currency = CURRENCIES.index(settings.currency)
        self._bulk: list[tuple[Rows, IntArray]] = []
        self._attempts: list[Attempt] = []
        self._credits: list[tuple[int, int, int]] = []
        self._events: list[tuple[int, str, str, str, str, str]] = []
        self._next = 0

    def rows(self, rows: Rows, reason: IntArray) -> None:
        """Add genuine payments with their decisions."""
        self._bulk.append((rows, reason))

    def attempt(self, attempt: Attempt) -> None:
        """Add one payment of a campaign."""
        self._attempts.append(attempt)

    def credit(self, t: int, card: int, amount: int) -> None:
        """Add one salary."""
        self._credits.append((t, card, amount))

    def event(self, t: int, event_id: str, parent_id: str, *, kind: str, subject: str, details: str = "{}") -> None:
        """Add one row of `events`."""
        self._events.append((t, event_id, parent_id, kind, subject, details))

    def take(self) -> Increment:
        """Return and clear the events, rows and labels since the last call, sorted by time."""
        events = self._take_events()
        tables: dict[str, dict[str, Any]] = {"transactions": self._take_rows()}
        labels = self._take_labels()  # after the rows, which number the transactions
        income = sorted(self._credits)
        tables["credits"] = {
            "t": [row[0] for row in income],
            "card": [row[1] for row in income],
            "kind": [0] * len(income),
            "amount": [row[2] for row in income],
        }
        self._bulk, self._attempts, self._credits, self._events = [], [], [], []
        return Increment(events, tables, labels)

    def _take_rows(self) -> dict[str, AnyArray]:
        own = self._attempts
        parts = [(r.t, r.card, r.merchant, r.amount, reason, np.full(len(r), -1, np.int64)) for r, reason in self._bulk]
        single = [(a.t, a.card, a.merchant, a.amount, a.reason, n) for n, a in enumerate(own)]
        parts.append(tuple(np.array(single, np.int64).reshape(-1, 6).T))  # type: ignore[arg-type]
        t, card, merchant, amount, reason, which = (np.concatenate([part[k] for part in parts]) for k in range(6))
        # The order must not reveal a row's origin: ties in time are sorted by card, then by order of booking.
        order = np.lexsort((card, t))
        event_id = self._next + np.arange(len(order), dtype=np.int64)
        self._next += len(order)
        for place in np.flatnonzero(which[order] >= 0):
            own[which[order[place]]].event_id = int(event_id[place])
        own.sort(key=lambda attempt: attempt.event_id)
        t, card, merchant, amount, reason = (column[order] for column in (t, card, merchant, amount, reason))
        approved = reason == APPROVED
        totals = self.totals
        totals.payments += len(order)
        totals.declined += int((~approved).sum())
        totals.value += int(amount.sum())
        return {
            "t": t,
            "event_id": event_id,
            "card": card,
            "merchant": merchant,
            "channel": self._people.channel[merchant],
            "category": self._people.category[merchant],
            "amount": amount,
            "currency": np.full(len(order), self._currency),
            "approved": approved,
            "reason": reason,
        }

    def _take_labels(self) -> dict[str, Any]:
        own = self._attempts
        for attempt in own:
            self._count(attempt)
        why = np.empty(len(own), object)
        campaign = np.empty(len(own), object)
        why[:] = [json.dumps(attempt.why) for attempt in own]
        campaign[:] = [attempt.campaign for attempt in own]
        return {
            "t": [attempt.t for attempt in own],
            "event_id": [attempt.event_id for attempt in own],
            "campaign": campaign,
            "typology": [0] * len(own),
            "role": [attempt.role for attempt in own],
            "stage": [attempt.stage for attempt in own],
            "parent_event_id": [-1 if attempt.parent is None else attempt.parent.event_id for attempt in own],
            "is_fraud": [not attempt.innocent for attempt in own],
            "hard_negative": [attempt.innocent for attempt in own],
            "t_truth": [attempt.t / SECOND for attempt in own],
            "t_reported": [attempt.reported for attempt in own],
            "why": why,
        }

    def _count(self, attempt: Attempt) -> None:
        totals = self.totals
        if attempt.innocent:
            totals.innocent_count += 1
            return
        totals.fraud_count += 1
        totals.fraud_value += attempt.amount
        totals.fraud_declined += not attempt.approved
        totals.loss += attempt.amount if attempt.approved else 0
        totals.first_report = min(totals.first_report, attempt.reported)

    def _take_events(self) -> dict[str, Any]:
        events = sorted(self._events, key=lambda event: event[0])  # a stable sort keeps causes before effects
        columns: dict[str, Any] = {"t": [event[0] / SECOND for event in events]}
        for k, name in enumerate(("event_id", "parent_id", "kind", "subject", "details"), start=1):
            columns[name] = np.array([event[k] for event in events], object)
        return columns
