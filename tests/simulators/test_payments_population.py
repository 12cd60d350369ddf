"""Cards, merchants, prices and books of the payments world: each drawn quantity follows its stated law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mischance.api.randomness import Streams
from mischance.simulators.payments import Settings
from mischance.simulators.payments.background import (
    FAVOURITES,
    PAY_PERIOD,
    Background,
    Calendar,
    Population,
    pick,
    poisson,
    small_amount,
    with_ending,
)
from mischance.simulators.payments.campaigns import _exponential
from mischance.simulators.payments.columns import CATEGORIES, DAY, HOUR, whole_microseconds
from tests.simulators.test_payments import DAYS

APPROVED, INSUFFICIENT, LIMIT, BLOCKED, ISSUER, CREDENTIALS = -1, 0, 1, 2, 3, 4
CNP, POS, ATM = range(3)
STORY = (
    495,
    103680,
    15213,
    2418918,
    688281871,
)  # of a day: payments, sums of their cards, merchants, amounts and (its end) of their times
SETTINGS = Settings(cards=6000, merchants=3000, bins=5)
PEOPLE = Population.draw(SETTINGS, Calendar(SETTINGS), Streams(3, 0))


def follows(values: np.ndarray, law: str, *arguments: float) -> bool:
    return bool(stats.kstest(values, law, args=arguments).pvalue > 1e-4)


# -- the calendar -----------------------------------------------------------------------------------------------------


def test_a_week_has_the_shares_of_the_channels_and_repeats():
    settings = Settings.model_validate({"channels": {"cnp": 2, "pos": 1, "atm": 1}})
    weights = np.array([Calendar(settings).weights(hour) for hour in range(14 * 24)])
    np.testing.assert_allclose(weights[:168].mean(axis=0), [0.5, 0.25, 0.25])
    np.testing.assert_array_equal(weights[:168], weights[168:])
    assert weights.min() > 0
    np.testing.assert_allclose(Calendar(Settings()).shares, [0.65, 0.29, 0.06])


def test_a_run_begins_at_midnight_of_its_weekday():
    monday = Calendar(Settings())
    for later, name in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")):
        calendar = Calendar(Settings(weekday=name))  # type: ignore[arg-type]
        for hour in (0, 23, 24, 100):
            np.testing.assert_array_equal(calendar.weights(hour), monday.weights(hour + 24 * later))


def test_people_sleep_at_night_shop_by_day_and_draw_cash_before_the_weekend():
    by_hour = np.array([Calendar(Settings()).weights(hour) for hour in range(168)]).reshape(7, 24, 3)
    clock, week = by_hour.mean(axis=0), by_hour.mean(axis=1)
    assert clock.argmin(axis=0).tolist() == [4, 3, 3]
    assert [clock[:, POS].argmax() in (12, 17), clock[:, CNP].argmax(), clock[:, ATM].argmax()] == [True, 20, 12]
    assert clock.max(axis=0)[POS] / clock.min(axis=0)[POS] == pytest.approx(230)
    assert week[:, ATM].argmax() == 4
    assert week[:, POS].argmax() == 5
    assert week[:, POS].argmin() == 6
    assert week[:, CNP].max() / week[:, CNP].min() == pytest.approx(105 / 95)


# -- merchants --------------------------------------------------------------------------------------------------------


def test_the_shares_of_each_channels_categories_are_one_in_all_and_medians_and_spreads_are_plausible():
    for channel in range(3):
        assert sum(row[2] for row in CATEGORIES if row[1] == channel) == pytest.approx(1.0)
    names = [row[0] for row in CATEGORIES]
    assert len(set(names)) == len(names)
    assert all(5.0 <= row[3] <= 150.0 and 0.35 <= row[4] <= 1.0 for row in CATEGORIES)


def test_merchants_are_of_the_categories_in_their_shares():
    for channel in range(3):
        rows_ = [k for k, row in enumerate(CATEGORIES) if row[1] == channel]
        found = PEOPLE.category[PEOPLE.channel == channel]
        assert set(found.tolist()) == set(rows_)
        if len(rows_) > 1:
            expected = np.array([CATEGORIES[k][2] for k in rows_]) * len(found)
            seen = np.array([(found == k).sum() for k in rows_])
            assert stats.chisquare(seen, expected).pvalue > 1e-4
    assert [shop.tolist() for shop in PEOPLE.shops] == [np.flatnonzero(PEOPLE.channel == c).tolist() for c in range(3)]


@pytest.mark.parametrize(("merchants", "quota"), [(3000, (1350, 1350, 300)), (150, (68, 67, 15)), (12, (5, 4, 3))])
def test_a_tenth_are_cash_machines_and_each_channel_has_three_at_least(merchants: int, quota: tuple[int, ...]):
    settings = Settings(cards=1, merchants=merchants)
    people = Population.draw(settings, Calendar(settings), Streams(3, 0))
    assert tuple(np.bincount(people.channel)) == quota


def test_medians_and_popularities_of_merchants_are_lognormal():
    of_category = np.array([row[3] for row in CATEGORIES])[PEOPLE.category]
    assert follows(np.log(PEOPLE.median / of_category), "norm", 0.0, 0.25)
    assert (np.array([row[4] for row in CATEGORIES])[PEOPLE.category] == PEOPLE.sigma).all()
    for channel in range(3):
        assert PEOPLE.popularity[channel][-1] == 1.0
        logs = np.log(np.diff(PEOPLE.popularity[channel], prepend=0.0))
        assert follows((logs - logs.mean()) / logs.std(ddof=1), "norm")
        assert abs(logs.std(ddof=1) - 0.9) < 4 * 0.9 / (2 * len(logs)) ** 0.5


# -- cards ------------------------------------------------------------------------------------------------------------


def test_rates_of_cards_are_lognormal_with_the_mean_that_was_asked_for():
    logs = np.log(PEOPLE.rate / (SETTINGS.rate * DAYS))
    assert follows(logs, "norm", -(0.7**2) / 2, 0.7)  # of that law the mean is 1
    none = Population.draw(Settings(cards=3, spread=0.0), Calendar(Settings()), Streams(3, 0))
    np.testing.assert_allclose(none.rate, 1.2)


def month_of(people: Population) -> np.ndarray:
    """Return what each card spends in 30 days on average: its rate times the mean price over all shops."""
    mean = []
    for channel in range(3):
        weight = np.diff(people.popularity[channel], prepend=0.0)
        shop = people.shops[channel]
        mean.append(float((weight * people.median[shop] * np.exp(people.sigma[shop] ** 2 / 2)).sum()))
    return 30.0 * people.rate * float(np.dot([0.65, 0.29, 0.06], mean))


def test_income_is_a_tenth_above_spending_and_five_hundred_and_comes_in_the_morning_of_any_day_of_thirty():
    assert follows(np.log(PEOPLE.salary / 100 / (1.1 * month_of(PEOPLE) + 500.0)), "norm", 0.0, 0.3)
    assert follows((PEOPLE.payday % DAY) / HOUR, "uniform", 5.0, 3.0)
    days = np.bincount(PEOPLE.payday // DAY, minlength=30)
    assert len(days) == 30
    assert stats.chisquare(days).pvalue > 1e-4
    assert PAY_PERIOD == 30 * 86400 * 1_000_000


def test_a_balance_at_the_start_lasts_until_payday_and_a_spare_share():
    spare = PEOPLE.opening / PEOPLE.salary - 0.9 * PEOPLE.payday / PAY_PERIOD
    assert follows(np.log(np.maximum(spare, 1e-9) / 0.6), "norm", 0.0, 1.0)
    bare = Population.draw(Settings(cards=500, buffer=0.0), Calendar(Settings()), Streams(3, 0))
    np.testing.assert_allclose(bare.opening, np.maximum(0.9 * bare.payday / PAY_PERIOD * bare.salary, 1), atol=0.5)


def test_a_day_limit_is_the_next_fifty_above_its_share_of_the_income_and_three_hundred_at_least():
    limit, share = PEOPLE.day_limit / 100, 0.5 * PEOPLE.salary / 100
    assert (limit % 50 == 0).all()
    assert limit.min() == 300
    above = limit > 300
    assert 0.1 < above.mean() < 1.0
    assert ((limit - share)[above] >= 0).all()
    assert ((limit - share)[above] < 50).all()
    assert (share[~above] <= 300).all()


def test_bins_and_favourites_are_drawn_with_their_chances():
    assert stats.chisquare(np.bincount(PEOPLE.bin, minlength=5)).pvalue > 1e-4
    assert PEOPLE.favourites.shape == (6000, 3, FAVOURITES)
    for channel in range(3):
        weight = np.diff(PEOPLE.popularity[channel], prepend=0.0)
        top = np.argsort(-weight)[:20]  # the twenty most popular
        own = np.isin(PEOPLE.favourites[:, channel], PEOPLE.shops[channel][top]).mean()
        share = weight[top].sum()
        assert abs(own - share) < 4 * (share * (1 - share) / (6000 * FAVOURITES)) ** 0.5
        assert np.isin(PEOPLE.favourites[:, channel], PEOPLE.shops[channel]).all()
    # what is drawn for a card is independent: no two of its quantities go together
    columns = [
        PEOPLE.rate,
        PEOPLE.bin,
        PEOPLE.payday,
        PEOPLE.salary / (1.1 * month_of(PEOPLE) + 500),
        PEOPLE.favourites[:, 0, 0],
    ]
    columns += [
        PEOPLE.opening / PEOPLE.salary - 0.9 * PEOPLE.payday / PAY_PERIOD,
        PEOPLE.favourites[:, 0, 7],
        PEOPLE.favourites[:, 1, 0],
    ]
    for i in range(len(columns)):
        for j in range(i):
            assert abs(stats.spearmanr(columns[i], columns[j]).statistic) < 4.5 / 6000**0.5


# -- payments ---------------------------------------------------------------------------------------------------------


def test_payments_go_to_favourites_by_loyalty_and_are_marked_with_their_chances():
    settings = Settings.model_validate(
        {
            "cards": 6000,
            "merchants": 3000,
            "loyalty": 0.6,
            "issuer_declines": 0.1,
            "mistyped": 0.2,
            "micro": {"share": 0.25, "amount": [1, 2]},
        }
    )
    background = Background(settings, Streams(3, 0))
    parts = [background.hour(hour) for hour in (12, 18, 20)]
    people = background.people
    card, merchant, amount, mark, t = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("card", "merchant", "amount", "mark", "t")
    )
    n = len(card)
    assert n > 800
    channel = people.channel[merchant]
    at_home = (people.favourites[card, channel] == merchant[:, None]).any(axis=1)
    chance = np.zeros(n)  # of a shop that is taken by popularity to be a favourite
    for c in range(3):
        weight = np.zeros(len(people.channel))
        weight[people.shops[c]] = np.diff(people.popularity[c], prepend=0.0)
        own = channel == c
        chance[own] = [weight[np.unique(row)].sum() for row in people.favourites[card[own], c]]
    expected = 0.6 + 0.4 * chance.mean()
    assert abs(at_home.mean() - expected) < 4 * (expected * (1 - expected) / n) ** 0.5
    shops = channel != ATM
    for seen, share in (
        ((mark == ISSUER).mean(), 0.1),
        ((mark[channel == CNP] == CREDENTIALS).mean(), 0.2),
        (((amount >= 100) & (amount <= 200))[shops].mean(), None),
    ):
        if share is not None:
            assert abs(seen - share) < 4 * (share * (1 - share) / (n * 0.5)) ** 0.5
        else:
            assert -4 * (0.25 * 0.75 / shops.sum()) ** 0.5 < seen - 0.25 < 0.1  # and a few of the others
    assert not (mark[channel != CNP] == CREDENTIALS).any()
    assert (amount[~shops] % 1000 == 0).all()
    assert amount[~shops].min() >= 1000
    for part in parts:
        assert (np.diff(part.t) >= 0).all()
    assert set((t // HOUR).tolist()) == {12, 18, 20}


def test_everybody_is_loyal_or_nobody():
    for loyalty in (0.0, 1.0):
        settings = Settings(cards=2000, merchants=3000, loyalty=loyalty)
        background = Background(settings, Streams(3, 0))
        part, people = background.hour(18), background.people
        at_home = (people.favourites[part.card, people.channel[part.merchant]] == part.merchant[:, None]).any(axis=1)
        assert at_home.all() if loyalty else at_home.mean() < 0.1


def test_prices_end_in_99_or_00_with_their_chances_and_others_stay():
    u = (np.arange(10_000) + 0.5) / 10_000
    amount = np.full(10_000, 1234)
    ended = with_ending(amount, u)
    assert [(ended == value).mean() for value in (1299, 1200, 1234)] == pytest.approx([0.35, 0.15, 0.50])
    assert with_ending(
        np.array([45, 45, 45, 5, 19, 20, 21]), np.array([0.1, 0.4, 0.9, 0.9, 0.9, 0.9, 0.9])
    ).tolist() == [
        99,
        45,
        45,
        20,
        20,
        20,
        21,
    ]
    assert with_ending(np.array([1234, 1234]), np.array([0.35, 0.50])).tolist() == [1200, 1234], "half-open"


def test_small_amounts_lie_between_their_sums_whatever_their_ending():
    u, ending = (np.stack(np.meshgrid(*[(np.arange(200) + 0.5) / 200] * 2))).reshape(2, -1)
    for low, high in ((0.5, 3.0), (0.5, 1.5), (1.0, 1.0)):
        found = small_amount((low, high), u, ending)
        assert low * 100 <= found.min() <= found.max() <= high * 100
        plain = np.floor(100 * (low + (high - low) * u))
        moved = found != plain
        assert np.isin(found[moved] % 100, (0, 99)).all()
    found = small_amount((0.5, 3.0), u, ending)
    assert found.max() == 300 - 1
    # 35 % end in 99 where that is below 3.00, 15 % in 00 where that is not below 0.50, and those that end so anyway
    assert (found % 100 == 99).mean() == pytest.approx(0.35 + 0.65 * 0.01, abs=0.01)
    assert small_amount((0.5, 1.5), np.array([0.7]), np.array([0.1])).tolist() == [120], "1.99 is too much"
    assert small_amount((0.5, 1.99), np.array([0.7]), np.array([0.1])).tolist() == [199], "the highest is allowed"
    assert small_amount((1.0, 1.5), np.array([0.2]), np.array([0.4])).tolist() == [100], "the lowest is allowed"


def test_a_number_of_payments_is_its_quantile_at_the_far_ends_too():
    mean = np.array([1e-9, 0.01, 1.0, 5.0, 40.0, 300.0, 700.0])
    for u in (1e-12, 0.3, 1.0 - 1e-9):
        assert poisson(np.full(7, u), mean).tolist() == stats.poisson.ppf(u, mean).astype(int).tolist()
    exact = float(np.exp(-1.0))
    assert poisson(np.array([exact, np.nextafter(exact, 1.0)]), np.ones(2)).tolist() == [0, 1]
    assert poisson(np.array([0.9999999999999999]), np.array([0.5]))[0] < 40, "rounding does not go on for ever"


def test_a_pick_is_the_first_whose_cumulated_share_lies_above():
    shares = np.array([0.25, 0.5, 1.0])
    assert pick(shares, np.array([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.9999, 1.0])).tolist() == [0, 0, 1, 1, 2, 2, 2]


def test_waits_are_exponential_and_at_least_a_microsecond():
    assert _exponential(np.exp(-1.0), 20.0) == 20_000_000
    assert _exponential(np.exp(-0.5), 20.0) == 10_000_000
    assert _exponential(1.0, 20.0) == 1
    assert [whole_microseconds(t) for t in (0.0, 1e-6, 9.9e-7, 2.5, 0.1 + 0.2)] == [0, 1, 0, 2_500_000, 300_000]


def test_the_story_of_a_seed_stays_what_it_was():
    """Datasets are replayed by later versions: whoever changes these numbers breaks that, and has to say so."""
    background = Background(Settings(cards=400, merchants=60), Streams(3, 0))
    day = [background.hour(hour) for hour in range(24)]
    columns = [np.concatenate([getattr(part, name) for part in day]) for name in ("card", "merchant", "amount", "t")]
    card, merchant, amount, t = columns
    assert (len(t), int(card.sum()), int(merchant.sum()), int(amount.sum()), int(t.sum() % 10**9)) == STORY
