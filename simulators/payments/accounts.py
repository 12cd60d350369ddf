"""Balances, daily limits and blocks of cards, settled exactly and never below zero.

Payments of an interval are settled in bulk where their order cannot matter: all payments of a card are approved
if the card is not blocked, no payment of it is declined for another reason, and their sum is within the balance
and the daily limit. Payments of the other cards are decided one by one, in order of time.
"""

from __future__ import annotations

import heapq
import json
from typing import TYPE_CHECKING

import numpy as np

from .background import PAY_PERIOD
from .columns import APPROVED, BLOCKED, INSUFFICIENT, LIMIT

if TYPE_CHECKING:
    from mischance.api.tables import IntArray

    from .background import Population, Rows
    from .buffer import Buffer
    from .settings import Settings

_NEVER = -1


class Accounts:
    """The card accounts of one run. Money in minor units, times in microseconds."""

    def __init__(self, settings: Settings, people: Population, buffer: Buffer) -> None:
        cards = len(people.opening)
        self.balance: IntArray = people.opening.copy()
        self.blocks: IntArray = np.zeros(cards, np.int64)
        self._people = people
        self._buffer = buffer
        self._strikes_allowed = settings.strikes
        self._reissue = round(settings.reissue * 1_000_000)
        self._spent: IntArray = np.zeros(cards, np.int64)
        self._payday: IntArray = people.payday.copy()
        self._next_payday = int(people.payday.min())
        self._blocked_until: IntArray = np.full(cards, _NEVER, np.int64)
        self._strikes: IntArray = np.zeros(cards, np.int64)
        self._strike_cause: dict[int, str] = {}
        self._lifts: list[tuple[int, int, str]] = []

    def new_day(self) -> None:
        """Reset the sums that count against the daily limits."""
        self._spent[:] = 0

    def settle(self, rows: Rows, since: int) -> IntArray:
        """Decide the payments of one hour, all later than `since`; return a reason of decline or APPROVED for each."""
        cards = len(self.balance)
        reason = rows.mark.copy()
        amount = rows.amount.astype(np.float64)  # sums of whole numbers below 2**53 are exact
        demand = np.bincount(rows.card, amount, cards).astype(np.int64)
        allowed = np.minimum(self.balance, self._people.day_limit - self._spent)
        risky = (demand > allowed) | (self._blocked_until > since)
        risky[rows.card[rows.mark != APPROVED]] = True
        singly = risky[rows.card]
        bulk = rows.card[~singly]
        if len(bulk):
            debit = np.bincount(bulk, amount[~singly], cards).astype(np.int64)
            self.balance -= debit
            self._spent += debit
            self._strikes[bulk] = 0
        for i in np.flatnonzero(singly):
            reason[i] = self.decide(int(rows.card[i]), int(rows.t[i]), int(rows.amount[i]), int(rows.mark[i]))
        return reason

    def decide(self, card: int, t: int, amount: int, mark: int, cause: str = "") -> int:
        """Decide and book one payment; return the reason of a decline, or APPROVED.

        Args:
            card: id of the card.
            t: time [us]; not before any earlier payment of that card.
            amount: amount [minor units].
            mark: a reason that declines it whatever the balance, or APPROVED.
            cause: id of the causing event, the parent of a block that this payment triggers.
        """
        self._credit(card, t)
        if t < self._blocked_until[card]:
            return BLOCKED
        if mark != APPROVED:
            if self._strikes[card] == 0:  # an approval in bulk resets the count but not the cause
                self._strike_cause.pop(card, None)
            self._strikes[card] += 1
            if cause:
                self._strike_cause[card] = cause
            if self._strikes[card] >= self._strikes_allowed:
                self.block(card, t, self._strike_cause.get(card, ""), "declines in a row")
            return mark
        if amount > self._people.day_limit[card] - self._spent[card]:
            return LIMIT
        if amount > self.balance[card]:
            return INSUFFICIENT
        self.balance[card] -= amount
        self._spent[card] += amount
        self._strikes[card] = 0
        return APPROVED

    def block(self, card: int, t: int, cause: str, why: str) -> None:
        """Decline every payment from t on until the card has been replaced; no effect on a blocked card."""
        if t < self._blocked_until[card]:
            return
        name = f"block:{card}:{self.blocks[card]}"
        self.blocks[card] += 1
        self._blocked_until[card] = t + self._reissue
        self._strikes[card] = 0
        details = json.dumps({"because": why})
        self._buffer.event(t, name, cause, kind="card_blocked", subject=f"card:{card}", details=details)
        heapq.heappush(self._lifts, (t + self._reissue, card, name))

    def close_to(self, now: int) -> None:
        """Book every salary and end every block that is due by `now`."""
        if self._next_payday <= now:
            for card in np.flatnonzero(self._payday <= now):
                self._credit(int(card), now)
            self._next_payday = int(self._payday.min())
        while self._lifts and self._lifts[0][0] <= now:
            t, owner, name = heapq.heappop(self._lifts)
            self._buffer.event(t, name.replace("block", "reissue"), name, kind="card_reissued", subject=f"card:{owner}")

    def _credit(self, card: int, t: int) -> None:
        """Pay the salaries of a card that are due by t."""
        while self._payday[card] <= t:
            amount = int(self._people.salary[card])
            self.balance[card] += amount
            self._buffer.credit(int(self._payday[card]), card, amount)
            self._payday[card] += PAY_PERIOD
