"""Campaigns: bursts of small payments that test many cards, and larger payments on the approved ones.

One mechanism models card testing and its innocent look-alike. A thief probes stolen cards and spends on those
whose probe passed; an online ticket shop verifies buyers' cards by a fee and charges the price later. Every
step waits for the issuer's decision and depends on it: an approved probe may lead to purchases, a declined one
to another try, a purchase that is too large to a smaller one, and a block ends the sequence. So causes form a
tree.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.special import ndtri

from mischance.errors import RunError

from .background import pick, small_amount
from .buffer import Attempt, Buffer
from .columns import APPROVED, BLOCKED, CNP, CREDENTIALS, INSUFFICIENT, ISSUER, LIMIT, MINOR, REASONS, SECOND

if TYPE_CHECKING:
    import simpy

    from mischance.api.randomness import Streams
    from mischance.api.runs import Fault
    from mischance.api.tables import FloatArray, IntArray

    from .accounts import Accounts
    from .background import Population
    from .settings import Burst, Settings

Process = Generator[Any, Any, None]

_STEPS, _DRAWS = 64, 8  # draws are keyed by (index of the card in the campaign, step, number)
_FIRST_PURCHASE = 16
_GAP, _VALID, _SHOP, _AMOUNT, _ENDING, _ISSUER, _DECISION, _REPORT = range(_DRAWS)


class PaymentSystem(Protocol):
    """The part of a run that a campaign uses: clock, accounts, buffer and payment requests."""

    env: simpy.Environment
    accounts: Accounts
    buffer: Buffer
    people: Population
    settings: Settings

    def sync(self, now: int) -> None:
        """Settle the genuine payments up to and including `now`."""
        ...

    def pay(self, attempt: Attempt, mark: int) -> simpy.Event:
        """Decide a payment at the time to which `sync` has settled; return an event whose value is that attempt."""
        ...

    def block(self, card: int, cause: str, why: str) -> None:
        """Block a card from the current time on."""
        ...


class Campaign:
    """One burst: acquires cards, tries each, and spends on those that were approved."""

    def __init__(self, system: PaymentSystem, streams: Streams, fault: Fault, burst: Burst, *, innocent: bool) -> None:
        self.fault = fault
        self.innocent = innocent
        serial = fault.fault_id.rpartition(":")[2] or fault.fault_id
        self.label_id = f"{fault.target}:{serial}"
        self.probed = self.passed = self.used = self.active = 0
        self.last = math.nan
        self.first_report = math.nan
        self.cards: IntArray = np.zeros(0, np.int64)
        self._system = system
        self._streams = streams
        self._burst = burst
        self._shops: IntArray = np.zeros(0, np.int64)
        self._known: dict[str, str] = {}
        self._blocks_before: IntArray = np.zeros(0, np.int64)
        wanted, there = round(fault.severity), system.settings.cards
        if not 0 <= wanted <= there:
            raise RunError(
                f"{fault.fault_id}: {fault.kind} wants {wanted:,} cards where the world has {there:,}",
                "its severity is a number of cards: lower it, or raise simulator.cards",
            )
        self.size = wanted
        # The clock counts whole microseconds: no step before the onset, none at or after the end.
        self._onset = math.ceil(fault.onset * SECOND)
        self._end = math.inf if math.isinf(fault.end) else math.ceil(fault.end * SECOND)

    def begin(self) -> None:
        """Start the campaign as a SimPy process."""
        self._spawn(self._run())

    def _run(self) -> Process:
        """Wait for the onset, choose cards and shops, and try the cards in sequence."""
        env = self._system.env
        yield env.timeout(max(self._onset - env.now, 0))
        self._acquire()
        stages = ("verify", "purchase") if self.innocent else ("probe", "cash_out")
        details = {"fault": self.fault.fault_id, "cards": self.size, "merchants": self._shops.tolist()}
        self._note("start", "", f"{self.fault.kind}_started", json.dumps({**details, "stages": stages}))
        for slot, card in enumerate(self.cards):
            u = self._draw(slot, 0)
            gap = _exponential(u[_GAP], self._burst.gap)
            at = max(env.now + gap, self._onset + round(self.fault.ramp * SECOND * (slot + 1) / self.size))
            if at >= self._end:
                break
            yield env.timeout(at - env.now)
            self._spawn(self._try_card(slot, int(card)))

    def _acquire(self) -> None:
        """Choose cards and shops with probabilities proportional to their payment rates."""
        people, burst = self._system.people, self._burst
        name = f"payments.{self.fault.fault_id}"
        ids = np.arange(len(people.rate), dtype=np.int64)
        # A weighted sample without replacement has the largest log(u) / weight (Efraimidis and Spirakis,
        # Information Processing Letters 97, 2006). A larger burst holds the cards of a smaller one.
        order = np.log(self._streams.uniform(f"{name}.cards", ids)) / people.rate
        if burst.acquire == "bin":
            anchor = int(np.argmax(order))
            order = np.where(people.bin == people.bin[anchor], order, order - 1e12)
        chosen = np.argsort(-order, kind="stable")[: self.size]
        queue = self._streams.uniform(f"{name}.queue", chosen)
        self.cards = chosen[np.argsort(queue)]
        self._system.sync(int(self._system.env.now))
        self._blocks_before = self._system.accounts.blocks.copy()
        low, high = burst.merchants
        number = low + int(self._streams.uniform(f"{name}.number", [0])[0] * (high - low + 1))
        shops, cumulated = people.shops[CNP], people.popularity[CNP]
        weight = np.diff(cumulated, prepend=0.0)
        order = np.log(self._streams.uniform(f"{name}.shops", shops)) / np.maximum(weight, 1e-300)
        self._shops = shops[np.argsort(-order, kind="stable")[:number]]

    def _try_card(self, slot: int, card: int) -> Process:
        """Try one card until a try is approved, the card is blocked, or the thief gives up."""
        burst = self._burst
        valid = self._draw(slot, 0)[_VALID] < burst.valid
        last: Attempt | None = None
        self.probed += 1
        for number in range(burst.tries):
            u = self._draw(slot, number)
            if number:
                delay = _exponential(u[_GAP], burst.gap)
                if self._system.env.now + delay >= self._end:
                    return
                yield self._system.env.timeout(delay)
            shop = int(self._shops[int(u[_SHOP] * len(self._shops))])
            amount = int(small_amount(burst.amount, u[_AMOUNT : _AMOUNT + 1], u[_ENDING : _ENDING + 1])[0])
            why: dict[str, Any] = {"try": number + 1, "of": burst.tries}
            if last is not None:
                why["because"] = f"declined: {REASONS[last.reason]}"
            attempt: Attempt = yield self._pay(
                slot, card, shop=shop, amount=amount, stage=0, parent=last, valid=valid, u=u, why=why
            )
            if attempt.approved:
                self.passed += 1
                goes_on = u[_DECISION] < burst.use
                attempt.why["decision"] = self._stage(1) if goes_on else "leave it"
                if goes_on:
                    self._spawn(self._spend(slot, card, attempt))
                return
            goes_on = attempt.reason != BLOCKED and number + 1 < burst.tries and u[_DECISION] < burst.retry
            attempt.why["decision"] = "try again" if goes_on else "give it up"
            if not goes_on:
                return
            last = attempt

    def _spend(self, slot: int, card: int, parent: Attempt) -> Process:
        """Make purchases on an approved card.

        An approval may be followed by another purchase, a decline for lack of funds by one of half the amount.
        """
        system, burst = self._system, self._burst
        shop, amount, used = parent.merchant, 0, False
        for number in range(burst.purchases):
            u = self._draw(slot, _FIRST_PURCHASE + number)
            delay = _exponential(u[_GAP], burst.delay)
            if system.env.now + delay >= self._end:
                return
            yield system.env.timeout(delay)
            if amount:
                why: dict[str, Any] = {"because": f"declined: {REASONS[parent.reason]}", "amount": "halved"}
            else:
                if burst.elsewhere:
                    shop = int(system.people.shops[CNP][pick(system.people.popularity[CNP], u[_SHOP : _SHOP + 1])[0]])
                price = system.people.price(
                    np.array([shop]), u[_AMOUNT : _AMOUNT + 1], u[_ENDING : _ENDING + 1], burst.spend
                )
                amount = int(price[0])
                why = {"because": "approved", "after": self._stage(parent.stage % 2)}
            attempt: Attempt = yield self._pay(
                slot, card, shop=shop, amount=amount, stage=1, parent=parent, valid=True, u=u, why=why
            )
            parent = attempt
            if attempt.approved:
                self.used += not used
                used = True
                amount = 0
                goes_on = u[_DECISION] < burst.again
            else:
                goes_on = attempt.reason in (INSUFFICIENT, LIMIT) and amount >= 10 * MINOR
                amount //= 2
            goes_on = goes_on and number + 1 < burst.purchases
            attempt.why["decision"] = "once more" if goes_on else "stop"
            if not goes_on:
                return

    def _pay(
        self,
        slot: int,
        card: int,
        *,
        shop: int,
        amount: int,
        stage: int,
        parent: Attempt | None,
        valid: bool,
        u: FloatArray,
        why: dict[str, Any],
    ) -> simpy.Event:
        """Request one payment. The report that may follow is drawn here, independent of later events."""
        system, burst = self._system, self._burst
        now, name = int(system.env.now), self._stage(stage)
        system.sync(now)
        # A replaced card has a new number: stolen data of the old one are declined.
        replaced = system.accounts.blocks[card] > self._blocks_before[card]
        mark = ISSUER if u[_ISSUER] < system.settings.issuer_declines else APPROVED
        if not valid or (replaced and not self.innocent):
            mark = CREDENTIALS
        attempt = Attempt(
            t=now,
            card=card,
            merchant=shop,
            amount=amount,
            campaign=self.label_id,
            stage=stage + 2 * self.innocent,
            role=int(self.innocent),
            innocent=self.innocent,
            parent=parent,
            why={"stage": name, "card_in_campaign": slot, **why},
        )
        self.last = now / SECOND
        if name not in self._known:
            self._note(name, self._known[self._stage(0) if stage else "start"], name)
        answer = system.pay(attempt, mark)
        chance = burst.report.probe if stage == 0 else burst.report.cash_out
        if attempt.approved and not self.innocent:
            if stage == 1 and system.buffer.totals.first_cash_out is None:
                system.buffer.totals.first_cash_out = attempt
            if u[_REPORT] < chance:
                delay = burst.report.delay * math.exp(burst.report.spread * float(ndtri(u[_REPORT] / chance)))
                self._report_later(attempt, math.ceil(delay * SECOND))
        return answer

    def _report_later(self, attempt: Attempt, delay: int) -> None:
        """Schedule the report of a payment by the cardholder, upon which the issuer blocks the card."""
        system = self._system
        attempt.reported = (attempt.t + delay) / SECOND
        if not attempt.reported >= self.first_report:
            self.first_report = attempt.reported
        stage = self._known[self._stage(attempt.stage % 2)]

        def report(_: simpy.Event) -> None:
            step = f"report:{attempt.card}"
            if step in self._known:  # an earlier report has blocked the card; a new card may be in use
                return
            details = json.dumps({"payment_at": attempt.t / SECOND, "amount": attempt.amount / MINOR})
            self._note(step, stage, "fraud_reported", details, subject=f"card:{attempt.card}")
            system.block(attempt.card, self._known[step], "fraud report")

        timeout = system.env.timeout(delay)
        callbacks: list[Callable[[simpy.Event], None]] | None = timeout.callbacks
        assert callbacks is not None
        callbacks.append(report)

    def _spawn(self, process: Process) -> None:
        self.active += 1

        def ended(_: simpy.Event) -> None:
            self.active -= 1

        callbacks = self._system.env.process(process).callbacks
        assert callbacks is not None
        callbacks.append(ended)

    def _stage(self, stage: int) -> str:
        return (("probe", "cash_out"), ("verify", "purchase"))[self.innocent][stage]

    def _note(self, step: str, parent: str, kind: str, details: str = "{}", *, subject: str = "") -> None:
        name = f"{self.label_id}:{step}"
        self._known[step] = name
        now = int(self._system.env.now)
        self._system.buffer.event(now, name, parent, kind=kind, subject=subject or self.label_id, details=details)

    def _draw(self, slot: int, step: int) -> FloatArray:
        """Return the eight uniforms of one step on one card."""
        first = (slot * _STEPS + step) * _DRAWS
        return self._streams.uniform(f"payments.{self.fault.fault_id}", np.arange(first, first + _DRAWS))


def _exponential(u: float, mean: float) -> int:
    """Return an exponential waiting time [us], at least one microsecond."""
    return max(1, round(-math.log(u) * mean * SECOND))
