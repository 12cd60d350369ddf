"""Genuine payments: card, merchant, time and amount, drawn hour by hour by keyed random numbers.

Every number is keyed by the identity of its row (hour, card, n-th payment of that card in that hour), so that
cuts in time, other cards and campaigns cannot change it. An hour is drawn as a whole when it is first needed.
A faster engine can replace this file: it has to offer `Population` and `Background.hour`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from .columns import APPROVED, ATM, CATEGORIES, CHANNELS, CNP, CREDENTIALS, DAY, HOUR, ISSUER, MINOR, POS

if TYPE_CHECKING:
    from mischance.api.randomness import Streams
    from mischance.api.tables import FloatArray, IntArray

    from .settings import Settings

# Relative intensity of the 24 hours and of Monday to Sunday, scaled to mean 1 below. Uncalibrated; swings of
# twenty and more between night and rush hour are what real records show.
_HOURS = {
    CNP: (60, 30, 15, 9, 8, 12, 30, 60, 90, 110, 120, 125, 130, 125, 120, 120, 125, 130, 150, 180, 200, 190, 150, 100),
    POS: (5, 3, 2, 1, 2, 10, 35, 80, 120, 140, 160, 190, 230, 200, 170, 170, 190, 230, 210, 140, 70, 35, 20, 10),
    ATM: (12, 8, 6, 4, 4, 8, 25, 60, 110, 150, 170, 180, 190, 170, 150, 150, 160, 180, 150, 100, 60, 40, 30, 20),
}
_WEEKDAYS = {
    CNP: (105, 100, 100, 100, 95, 95, 105),
    POS: (90, 90, 95, 100, 115, 125, 85),
    ATM: (95, 90, 90, 95, 130, 125, 75),
}
FAVOURITES = 8
PAY_PERIOD = 30 * DAY
_ROW_DRAWS, _CARD_DRAWS, _MERCHANT_DRAWS = 8, 32, 4


class Calendar:
    """Relative intensity of payments by channel and hour of the run."""

    def __init__(self, settings: Settings) -> None:
        days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        self._first = days.index(settings.weekday)
        shares = np.array([settings.channels.cnp, settings.channels.pos, settings.channels.atm])
        self.shares: FloatArray = shares / shares.sum()
        hours = np.array([_HOURS[channel] for channel in range(3)], np.float64)
        weekdays = np.array([_WEEKDAYS[channel] for channel in range(3)], np.float64)
        self._hours = hours / hours.mean(axis=1, keepdims=True)
        self._weekdays = weekdays / weekdays.mean(axis=1, keepdims=True)

    def weights(self, hour: int) -> FloatArray:
        """Return the intensity of each channel in the hour-th hour; shape (3,), its sum is 1 on average over a week."""
        weekday = (self._first + hour // 24) % 7
        weights: FloatArray = self.shares * self._hours[:, hour % 24] * self._weekdays[:, weekday]
        return weights


@dataclass(frozen=True, slots=True)
class Population:
    """Cards and merchants of a run. Money in minor units, times in microseconds; an array index is the id."""

    rate: FloatArray  # (cards,) payments a day
    bin: IntArray
    opening: IntArray
    salary: IntArray
    payday: IntArray  # time of the first salary
    day_limit: IntArray
    favourites: IntArray  # (cards, 3, FAVOURITES) merchant ids
    category: IntArray  # (merchants,)
    channel: IntArray
    median: FloatArray  # amount [currency]
    sigma: FloatArray
    shops: tuple[IntArray, ...]  # merchant ids of each channel
    popularity: tuple[FloatArray, ...]  # cumulated shares of each channel's merchants, the last is 1

    @staticmethod
    def draw(settings: Settings, calendar: Calendar, streams: Streams) -> Population:
        """Draw all cards and merchants, each by its own key."""
        ids = np.arange(settings.merchants, dtype=np.int64)
        u = _keyed(streams, "payments.merchants", ids, _MERCHANT_DRAWS)
        channel = np.empty(len(ids), np.int64)
        quota = _quota(settings.merchants)
        channel[np.argsort(u[:, 0])] = np.repeat(np.arange(3), quota)
        category = np.zeros(len(ids), np.int64)
        for c in range(3):
            rows = [k for k, row in enumerate(CATEGORIES) if row[1] == c]
            shares = np.cumsum([CATEGORIES[k][2] for k in rows])
            picked = np.minimum(np.searchsorted(shares, u[:, 1], side="right"), len(rows) - 1)
            category = np.where(channel == c, np.array(rows)[picked], category)
        median = np.array([row[3] for row in CATEGORIES])[category] * np.exp(0.25 * ndtri(u[:, 2]))
        sigma = np.array([row[4] for row in CATEGORIES])[category]
        weight = np.exp(0.9 * ndtri(u[:, 3]))
        shops = tuple(np.flatnonzero(channel == c) for c in range(3))
        popularity = tuple(np.cumsum(weight[s]) / np.cumsum(weight[s])[-1] for s in shops)

        cards = np.arange(settings.cards, dtype=np.int64)
        u = _keyed(streams, "payments.cards", cards, _CARD_DRAWS)
        rate = settings.rate * 86400.0 * np.exp(settings.spread * ndtri(u[:, 0]) - settings.spread**2 / 2)
        favourites = np.stack(
            [shops[c][pick(popularity[c], u[:, 8 + c * FAVOURITES : 8 + (c + 1) * FAVOURITES])] for c in range(3)],
            axis=1,
        )
        # Income is proportional to mean spending, so that balances neither run out nor grow without limit.
        mean = [np.average(median[s] * np.exp(sigma[s] ** 2 / 2), weights=weight[s]) for s in shops]
        month = 30.0 * rate * float(np.sum(calendar.shares * mean))
        salary = _minor((1.1 * month + 500.0) * np.exp(0.3 * ndtri(u[:, 1])))
        payday = np.floor(u[:, 2] * 30).astype(np.int64) * DAY + 5 * HOUR + (u[:, 3] * 3 * HOUR).astype(np.int64)
        until_payday = payday / PAY_PERIOD
        opening = _minor(salary / MINOR * (0.9 * until_payday + settings.buffer * np.exp(ndtri(u[:, 4]))))
        step = 50 * MINOR
        day_limit = np.maximum(np.ceil(settings.day_limit * salary / step).astype(np.int64) * step, 300 * MINOR)
        return Population(
            rate=rate,
            bin=(u[:, 5] * settings.bins).astype(np.int64),
            opening=opening,
            salary=salary,
            payday=payday,
            day_limit=day_limit,
            favourites=favourites,
            category=category,
            channel=channel,
            median=median,
            sigma=sigma,
            shops=shops,
            popularity=popularity,
        )

    def price(self, merchant: IntArray, u: FloatArray, ending: FloatArray, factor: float = 1.0) -> IntArray:
        """Return prices [minor units]: lognormal about the merchant's median, rounded by `with_ending`."""
        value = self.median[merchant] * np.exp(self.sigma[merchant] * ndtri(u)) * factor
        notes = np.maximum(np.rint(value / 10.0), 1.0).astype(np.int64) * 10 * MINOR
        return np.where(self.channel[merchant] == ATM, notes, with_ending(_minor(value), ending))


@dataclass(frozen=True, slots=True)
class Rows:
    """Requested payments, in order of time.

    `mark` is a reason that declines a payment whatever the balance, or APPROVED.
    """

    t: IntArray
    card: IntArray
    merchant: IntArray
    amount: IntArray
    mark: IntArray

    def __len__(self) -> int:
        return len(self.t)


class Background:
    """The genuine payments of one run."""

    def __init__(self, settings: Settings, streams: Streams) -> None:
        self.settings = settings
        self.calendar = Calendar(settings)
        self.people = Population.draw(settings, self.calendar, streams)
        self._streams = streams

    def hour(self, hour: int) -> Rows:
        """Return the requested payments in [hour, hour + 1) h: a Poisson number per card, uniform in time."""
        people, settings = self.people, self.settings
        weights = self.calendar.weights(hour)
        busy = float(weights.sum())
        cards = np.arange(len(people.rate), dtype=np.int64)
        counts = poisson(self._streams.uniform("payments.counts", (hour << 24) | cards), people.rate * (busy / 24.0))
        card = np.repeat(cards, counts)
        nth = np.arange(len(card), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
        u = _keyed(self._streams, "payments.rows", (((hour << 24) | card) << 12) | nth, _ROW_DRAWS)

        t = hour * HOUR + (u[:, 0] * HOUR).astype(np.int64)
        channel = pick(np.cumsum(weights) / busy, u[:, 1])
        merchant = people.favourites[card, channel, (u[:, 3] * FAVOURITES).astype(np.int64)]
        for c in range(len(CHANNELS)):
            elsewhere = (channel == c) & (u[:, 2] >= settings.loyalty)
            merchant = np.where(elsewhere, people.shops[c][pick(people.popularity[c], u[:, 3])], merchant)
        amount = people.price(merchant, u[:, 4], u[:, 6])
        share = settings.micro.share
        micro = (channel != ATM) & (u[:, 5] < share)
        amount = np.where(micro, small_amount(settings.micro.amount, u[:, 5] / max(share, 1e-12), u[:, 6]), amount)
        mark = np.where(u[:, 7] < settings.issuer_declines, ISSUER, APPROVED)
        mistyped = (channel == CNP) & (u[:, 7] > 1.0 - settings.mistyped)
        mark = np.where(mistyped, CREDENTIALS, mark)
        order = np.lexsort((nth, card, t))
        return Rows(t[order], card[order], merchant[order], amount[order], mark[order])


def small_amount(between: tuple[float, float], u: FloatArray, ending: FloatArray) -> IntArray:
    """Return small amounts [minor units], uniform between two sums [currency], rounded by `with_ending`."""
    low, high = between
    plain = np.floor((low + (high - low) * u) * MINOR).astype(np.int64)
    ended = with_ending(plain, ending)
    return np.where((ended >= low * MINOR) & (ended <= high * MINOR), ended, plain)


def with_ending(amount: IntArray, u: FloatArray) -> IntArray:
    """Return amounts with price endings: 35 % end in 99, 15 % in 00, the others are unchanged; at least 0.20."""
    floor = amount // MINOR * MINOR
    ended = np.where(u < 0.35, floor + 99, np.where((u < 0.50) & (floor > 0), floor, amount))
    return np.maximum(ended, MINOR // 5)


def poisson(u: FloatArray, mean: FloatArray) -> IntArray:
    """Return quantiles at `u` of Poisson distributions by summing their probability masses; shape (n,)."""
    counts = np.zeros(len(u), np.int64)
    mass = np.exp(-mean)
    below = mass.copy()
    for k in range(1, 1 << 12):
        more = (u > below) & ((mass > 1e-18) | (k < mean))
        if not more.any():
            break
        counts += more
        mass = mass * mean / k
        below = below + mass
    return counts


def pick(cumulated: FloatArray, u: FloatArray) -> IntArray:
    """Return the category index at each quantile `u`, given cumulated shares."""
    return np.minimum(np.searchsorted(cumulated, u, side="right"), len(cumulated) - 1)


def _keyed(streams: Streams, component: str, keys: IntArray, draws: int) -> FloatArray:
    """Return `draws` uniforms per key, shape (n, draws), in one call: a call costs more than a hundred values."""
    flat = (keys[:, None] * draws + np.arange(draws)).ravel()
    return streams.uniform(component, flat).reshape(len(keys), draws)


def _minor(value: FloatArray) -> IntArray:
    return np.maximum(np.rint(value * MINOR), 1).astype(np.int64)


def _quota(merchants: int) -> tuple[int, int, int]:
    """Return the number of merchants per channel: 45 % online, 45 % shops, 10 % cash machines, at least three each."""
    online = max(3, round(0.45 * merchants))
    machines = max(3, round(0.10 * merchants))
    return online, merchants - online - machines, machines
