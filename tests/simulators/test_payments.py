"""Laws of the payments world: rates, conservation, causes, and no effect of a campaign on other payments."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import Column, Table
from mischance.errors import RunError
from mischance.simulators.payments import Payments, Settings
from mischance.simulators.payments.background import Background, poisson
from mischance.simulators.payments.columns import CHANNELS, DAY, HOUR, REASONS, STAGES, whole_microseconds

INSUFFICIENT, LIMIT, BLOCKED, ISSUER, CREDENTIALS = range(len(REASONS))
THIEF = Fault("fault:0", "cards", "card_testing", 10 * 3600.0, np.inf, 60.0)
SALE = Fault("fault:1", "cards", "ticket_sale", 12.5 * 3600.0, np.inf, 60.0)
POOR = {"buffer": 0.01, "day_limit": 0.02, "rate": 6 / 86400, "spread": 1.0, "issuer_declines": 0.05, "mistyped": 0.1}
DAYS = 86400.0

Rows = dict[str, np.ndarray]


def play(
    settings: Settings,
    draws: Sequence[Draw],
    until: float = 2 * DAYS,
    cuts: Sequence[float] = (),
    commands: Commands | None = None,
) -> tuple[Payments, Chunk, Chunk]:
    """Return the world at the end, its first chunk, and all later ones joined."""
    world = Payments(settings)
    first = world.start(draws, [Streams(draw.seed, draw.run) for draw in draws])
    chunks = []
    for t in [*cuts, until]:
        chunks.append(world.advance(t, commands))
        commands = None
    return world, first, join_chunks(chunks)


@lru_cache(maxsize=64)
def one(run: int, *faults: Fault, until: float = 2 * DAYS, **settings: Any) -> tuple[Payments, Chunk, Chunk]:
    return play(Settings(**settings), [Draw(3, run, faults=faults)], until)


def rows(chunk: Chunk, table: str = "transactions") -> Rows:
    return chunk.tables[table].run(0)


def labels_of(chunk: Chunk) -> Rows:
    """Return the labels of the transactions; agents never see them."""
    return chunk.labels["transactions"].run(0)


def labelled(chunk: Chunk) -> np.ndarray:
    """Return for every payment: 0 genuine, 1 of a crime, 2 of an innocent burst."""
    payments, labels = rows(chunk), labels_of(chunk)
    kind = np.zeros(len(payments["t"]), np.int64)
    kind[np.searchsorted(payments["event_id"], labels["event_id"])] = np.where(labels["is_fraud"], 1, 2)
    return kind


# -- the background ---------------------------------------------------------------------------------------------------


def test_counts_of_an_hour_and_channel_are_poisson_with_the_calendars_mean():
    settings, hours = Settings(cards=1500), 7 * 24
    _, _, chunk = play(settings, [Draw(3, 0)], hours * 3600.0)
    background = Background(settings, Streams(3, 0))
    payments = rows(chunk)
    seen = np.zeros((hours, len(CHANNELS)))
    np.add.at(seen, (payments["t"] // HOUR, payments["channel"]), 1)
    expected = background.people.rate.sum() / 24 * np.array([background.calendar.weights(h) for h in range(hours)])
    cells = expected >= 5
    # Pearson's statistic of independent Poisson counts with known means: chi-squared, one degree a cell.
    statistic = float((((seen - expected) ** 2) / expected)[cells].sum())
    assert 1e-4 < stats.chi2.sf(statistic, cells.sum()) < 1 - 1e-4
    assert abs(seen.sum() - expected.sum()) < 4 * expected.sum() ** 0.5
    assert expected.sum(axis=1).max() > 20 * expected.sum(axis=1).min()  # nights are quiet, rush hours are not


def test_gaps_within_an_hour_are_those_of_a_uniform_law():
    settings = Settings(cards=3000)
    hours = [Background(settings, Streams(3, run)).hour(12) for run in range(8)]
    t = np.concatenate([hour.t for hour in hours])
    assert stats.kstest(t % HOUR / HOUR, "uniform").pvalue > 1e-3
    assert stats.kstest(t % 1_000_000 / 1e6, "uniform").pvalue > 1e-3


def test_poisson_quantiles_are_scipys():
    rng = np.random.default_rng(0)
    u, mean = rng.random(4000), rng.gamma(0.5, 4.0, 4000)
    assert np.array_equal(poisson(u, mean), stats.poisson.ppf(u, mean).astype(np.int64))


def test_amounts_have_the_merchants_median_and_three_percent_are_a_few_coins():
    settings = Settings(cards=4000)
    background = Background(settings, Streams(3, 0))
    people = background.people
    parts = [background.hour(hour) for hour in range(9, 23)]
    merchant, amount = (np.concatenate([getattr(part, name) for part in parts]) for name in ("merchant", "amount"))
    shop = people.channel[merchant] != 2
    score = (np.log(amount / 100) - np.log(people.median[merchant])) / people.sigma[merchant]
    # The endings 99 and 00 move an amount by less than one unit, micro-payments are 3 % of one tail: both are in 0.03.
    assert abs(float((score[shop] < 0).mean()) - 0.5 - 0.015) < 4 * 0.5 / shop.sum() ** 0.5 + 0.03
    with_coins = float((amount[shop] <= 300).mean())
    without = [Background(settings.model_copy(update={"micro": settings.micro.model_copy(update={"share": 0.0})}),
                          Streams(3, 0)).hour(hour) for hour in range(9, 23)]  # fmt: skip
    coins = np.concatenate([part.amount for part in without])[shop] <= 300
    assert abs(with_coins - coins.mean() - 0.03 * (1 - coins.mean())) < 4 * (0.03 / shop.sum()) ** 0.5
    assert (amount[~shop] % 1000 == 0).all()  # cash machines give notes


def test_one_more_card_changes_nobody_elses_payments():
    few, many = (Background(Settings(cards=n), Streams(3, 0)).hour(18) for n in (200, 201))
    keep = many.card < 200
    assert keep.sum() < len(many) or len(few) == len(many)
    for name in ("t", "card", "merchant", "amount", "mark"):
        assert np.array_equal(getattr(few, name), getattr(many, name)[keep])


# -- the books --------------------------------------------------------------------------------------------------------


def test_every_decision_and_balance_is_that_of_a_row_by_row_reference():
    settings = Settings(cards=300, **POOR)
    declined = np.zeros(len(REASONS), np.int64)
    for run in range(3):
        world, first, chunk = play(settings, [Draw(3, run, faults=(THIEF, SALE))], 15 * DAYS, [0.3 * DAYS, 7.77 * DAYS])
        cards = rows(first, "cards")
        balance, limit = cards["balance"].copy(), cards["day_limit"]
        opening = balance.copy()
        spent: dict[tuple[int, int], int] = {}
        blocks = _blocks(chunk, settings)
        payments, income = rows(chunk), rows(chunk, "credits")
        credit = 0
        for i, t in enumerate(payments["t"]):
            while credit < len(income["t"]) and income["t"][credit] <= t:
                balance[income["card"][credit]] += income["amount"][credit]
                credit += 1
            card, amount, reason = (int(payments[name][i]) for name in ("card", "amount", "reason"))
            left = limit[card] - spent.get((card, t // DAY), 0)
            blocked = any(start < t < end for start, end in blocks.get(card, ()))
            assert (reason == BLOCKED) == blocked, "a block declines everything until the card is replaced, and at once"
            assert bool(payments["approved"][i]) == (reason == -1)
            if reason == -1:
                assert amount <= balance[card]
                assert amount <= left
                balance[card] -= amount
                spent[card, t // DAY] = spent.get((card, t // DAY), 0) + amount
            elif reason == LIMIT:
                assert amount > left
            elif reason == INSUFFICIENT:
                assert balance[card] < amount <= left
            if reason >= 0:
                declined[reason] += 1
        for card, amount in zip(income["card"][credit:], income["amount"][credit:], strict=True):
            balance[card] += amount
        books = world._runs[0].accounts
        assert np.array_equal(balance, books.balance)
        assert balance.min() >= 0
        earned = np.bincount(income["card"], income["amount"], len(opening))
        debits = np.bincount(payments["card"], payments["amount"] * payments["approved"], len(opening))
        assert np.array_equal(opening + earned - debits, books.balance)
    assert declined.min() >= 50, "every reason was exercised"
    assert declined.sum() > 5000


def _blocks(chunk: Chunk, settings: Settings) -> dict[int, list[tuple[int, int]]]:
    """Return card -> [(block, replacement)] in microseconds, from the events alone."""
    events = chunk.events.run(0)
    found: dict[int, list[tuple[int, int]]] = {}
    for t, kind, subject in zip(events["t"], events["kind"], events["subject"], strict=True):
        if kind == "card_blocked":
            start = round(t * 1e6)
            found.setdefault(int(subject.partition(":")[2]), []).append((start, start + round(settings.reissue * 1e6)))
    return found


def test_three_declines_in_a_row_block_a_card_and_an_approval_forgives():
    _, _, chunk = one(0, until=10 * DAYS, cards=200, strikes=3, rate=6 / 86400, mistyped=0.4, issuer_declines=0.2)
    payments, blocks = rows(chunk), _blocks(chunk, Settings())
    assert sum(map(len, blocks.values())) > 50
    for card in range(200):
        mine = payments["card"] == card
        strikes, expected = 0, []
        for t, reason in zip(payments["t"][mine], payments["reason"][mine], strict=True):
            if reason == -1:
                strikes = 0
            elif reason in (ISSUER, CREDENTIALS):
                strikes += 1
                if strikes == 3:
                    expected.append(int(t))
                    strikes = 0
        assert [start for start, _ in blocks.get(card, [])] == expected


# -- campaigns --------------------------------------------------------------------------------------------------------


def test_a_campaign_leaves_every_genuine_payment_where_it_was():
    for run, fault in enumerate((THIEF, SALE)):
        _, _, with_it = one(run, fault)
        _, _, without = one(run)
        mine, its, genuine = rows(with_it), rows(without), labelled(with_it) == 0
        for name in ("t", "card", "merchant", "channel", "category", "amount", "currency"):
            assert np.array_equal(mine[name][genuine], its[name]), name
        before = its["t"] < fault.onset * 1e6
        for name, values in mine.items():
            assert np.array_equal(values[: before.sum()], its[name][before]), name
        touched = np.unique(mine["card"][~genuine])
        differ = mine["reason"][genuine] != its["reason"]
        assert np.isin(its["card"][differ], touched).all()
        assert (labels_of(with_it)["t_truth"] >= fault.onset).all()


def test_the_twin_without_one_campaign_keeps_the_other_as_it_was():
    _, _, both = one(0, THIEF, SALE)
    _, _, alone = one(0, SALE)
    names = ("t", "campaign", "stage", "t_truth")
    sale = labels_of(both)["hard_negative"].copy()
    touched = set(rows(both)["card"][labelled(both) == 1]) & set(rows(both)["card"][labelled(both) == 2])
    if touched:  # shared victims may be declined where they were not before; the first tries come at the same times
        sale &= labels_of(both)["parent_event_id"] == -1
    mine = {name: labels_of(both)[name][sale] for name in names}
    keep = labels_of(alone)["parent_event_id"] == -1 if touched else slice(None)
    for name in names:
        assert np.array_equal(mine[name], labels_of(alone)[name][keep])


def test_causes_form_a_forest_and_cash_out_follows_an_approved_probe_of_the_same_card():
    chains = 0
    for run in range(6):
        _, _, chunk = one(run, THIEF, SALE)
        payments, labels = rows(chunk), labels_of(chunk)
        assert np.array_equal(np.sort(labels["event_id"]), np.unique(labels["event_id"]))
        place = {int(event): i for i, event in enumerate(labels["event_id"])}
        for i, event in enumerate(labels["event_id"]):
            parent = int(labels["parent_event_id"][i])
            stage = STAGES[labels["stage"][i]]
            if parent < 0:
                assert stage in ("probe", "verify")
                continue
            p = place[parent]
            assert labels["campaign"][p] == labels["campaign"][i]
            assert labels["t"][p] <= labels["t"][i]
            assert payments["card"][parent] == payments["card"][event]
            if stage in ("cash_out", "purchase") and STAGES[labels["stage"][p]] in ("probe", "verify"):
                assert payments["approved"][parent]
                chains += 1
            if stage in ("probe", "verify"):
                assert not payments["approved"][parent]
                assert json.loads(labels["why"][i])["because"].startswith("declined")
        events = chunk.events.run(0)
        known: set[str] = set()
        for event, parent in zip(events["event_id"], events["parent_id"], strict=True):
            assert parent == "" or parent in known, "an event's cause stands before it"
            assert event not in known
            known.add(event)
    assert chains > 100


def test_shares_and_waits_of_a_campaign_are_those_of_its_settings():
    probes = passed = used = 0
    gaps: list[float] = []
    waits: list[float] = []
    reported: list[bool] = []
    for run in range(10):
        world, _, chunk = one(run, replace(THIEF, severity=200.0), until=3 * DAYS)
        payments, labels = rows(chunk), labels_of(chunk)
        first = labels["parent_event_id"] == -1
        gaps += np.diff(labels["t"][first]).tolist()
        decisions = [json.loads(why)["decision"] for why in labels["why"]]
        good = payments["approved"][labels["event_id"]] & (labels["stage"] == 0)
        probes += int(first.sum())
        passed += int(good.sum())
        used += sum(decision == "cash_out" for decision, keep in zip(decisions, good, strict=True) if keep)
        place = {int(event): i for i, event in enumerate(labels["event_id"])}
        for i in np.flatnonzero(labels["stage"] == 1):
            waits.append(labels["t"][i] - labels["t"][place[int(labels["parent_event_id"][i])]])
        paid = payments["approved"][labels["event_id"]] & (labels["stage"] == 1)
        reported += np.isfinite(labels["t_reported"][paid]).tolist()
        assert (labels["t_reported"][np.isfinite(labels["t_reported"])] > 0).all()
        counted = world.outcome()[0].run(0)
        assert counted["cards_probed"][0] == first.sum() == 200
    assert abs(used / passed - 0.6) < 4 * (0.6 * 0.4 / passed) ** 0.5
    assert abs(np.mean(reported) - 0.95) < 4 * (0.95 * 0.05 / len(reported)) ** 0.5
    assert stats.kstest(gaps, "expon", args=(0, 20e6)).pvalue > 1e-3
    assert stats.kstest(waits, "expon", args=(0, 3600e6)).pvalue > 1e-3
    # 75 % of the cards are good; a good one fails now and then for want of money or an issuer's whim
    assert 0.75 - 0.08 < passed / probes < 0.75 + 4 * (0.75 * 0.25 / probes) ** 0.5


def test_a_thief_is_stopped_by_the_end_of_the_campaign_and_by_blocks():
    quick = replace(THIEF, end=THIEF.onset + 600.0)
    _, _, chunk = one(0, quick)
    labels = labels_of(chunk)
    assert 0 < len(labels["t"]) < 60
    assert labels["t_truth"].max() < quick.end
    slow = replace(THIEF, ramp=7200.0)
    _, _, ramped = one(0, slow)
    tries = labels_of(ramped)
    share = (tries["t_truth"][tries["parent_event_id"] == -1] - THIEF.onset) / 7200.0
    assert (share >= (np.arange(len(share)) + 1) / 60 - 1e-9).all()


def test_cards_of_one_issuer_range_come_first_where_asked_for():
    settings = Settings.model_validate({"card_testing": {"acquire": "bin"}})
    _, first, chunk = play(settings, [Draw(3, 0, faults=(THIEF,))])
    cards = np.unique(rows(chunk)["card"][labelled(chunk) == 1])
    assert len(np.unique(rows(first, "cards")["bin"][cards])) == 1


def test_measures_are_those_of_the_tables():
    world, _, chunk = one(1, THIEF, SALE, loss_limit=500.0)
    table, labels = world.outcome()
    counted, payments, kind = table.run(0), rows(chunk), labelled(chunk)
    crime = kind == 1
    assert counted["payments"][0] == len(kind)
    assert counted["declined"][0] == (~payments["approved"]).sum()
    assert counted["fraud_count"][0] == crime.sum()
    assert counted["hard_negative_count"][0] == (kind == 2).sum()
    assert counted["fraud_rate"][0] == crime.sum() / len(kind)
    assert counted["fraud_value_rate"][0] == payments["amount"][crime].sum() / payments["amount"].sum()
    loss = payments["amount"][crime & payments["approved"]].sum() / 100
    assert counted["loss"][0] == loss
    assert counted["margin"][0] == 500.0 - loss
    assert bool(counted["event"][0]) == (loss > 500.0)
    assert set(table.schema) == {*Payments.measures, "event", "margin", "verdict", "reason"}
    named = labels.run(0)
    assert named["label_id"].tolist() == ["cards:0", "cards:1"]
    assert named["class"].tolist() == ["fraud/card_testing", "innocent/ticket_sale"]
    assert named["t_cause"].tolist() == [THIEF.onset, SALE.onset]
    reports = labels_of(chunk)["t_reported"]
    assert named["t_reported"][0] == np.nanmin(reports) == counted["first_detection"][0]
    assert np.isnan(named["t_reported"][1])
    first = int(re.search(r"payment (\d+)", str(counted["reason"][0])).group(1))  # type: ignore[union-attr]
    events = labels_of(chunk)
    cash = (events["stage"] == 1) & payments["approved"][events["event_id"]]
    assert first == events["event_id"][cash].min()


def test_a_run_without_campaigns_has_no_loss():
    world, _, chunk = one(0)
    counted, labels = world.outcome()
    assert len(labels) == 0
    assert len(labels_of(chunk)["t"]) == 0
    assert not counted.columns["event"][0]
    assert counted.columns["loss"][0] == 0


# -- nothing leaks ----------------------------------------------------------------------------------------------------


def test_no_word_of_a_label_stands_in_what_is_published():
    _, first, chunk = one(0, THIEF, SALE)
    telling = re.compile(r"fraud|campaign|probe|test|cash_?out|stolen|victim|thief|label|negative|innocent|verif|stage")
    for table in (chunk.tables["transactions"], first.tables["cards"], first.tables["merchants"]):
        for name, column in table.schema.items():
            for word in (name, *column.names):
                assert not telling.search(word), word
    assert np.array_equal(rows(chunk)["event_id"], np.arange(len(rows(chunk)["t"])))
    assert (np.diff(rows(chunk)["t"]) >= 0).all()


def test_no_published_column_separates_a_crime_from_its_hard_negative():
    """Decision stumps: the best threshold on the training half, its AUC on the other half."""
    runs, size = 24, 60
    crime, sale = [], []
    for run in range(runs):
        onset = np.random.default_rng(run).uniform(6, 40, 2) * 3600.0
        faults = replace(THIEF, onset=onset[0], severity=size), replace(SALE, onset=onset[1], severity=size)
        _, _, chunk = play(Settings(cards=600), [Draw(5, run, faults=faults)])
        kind = labelled(chunk)
        crime.append(_features(rows(chunk), kind == 1))
        sale.append(_features(rows(chunk), kind == 2))
    for name in crime[0]:
        halves = [[np.concatenate([run[name] for run in kind[half::2]]) for kind in (crime, sale)] for half in (0, 1)]
        train, test = halves
        if name in ("card", "merchant", "category", "reason", "hour"):
            train, test = _shares(train, train), _shares(train, test)
        # Rows of a campaign share its shops and hours, so a half counts runs / 2 campaigns a kind, not rows.
        clustered = name in ("card", "merchant", "category", "hour", "minute")
        error = 0.5 / (runs / 2) ** 0.5 if clustered else (1 / (12 * min(map(len, test)))) ** 0.5
        limit = 0.65 + (error if clustered else 0.0)
        if name in ("microsecond", "millisecond", "last_digit"):
            limit = 0.5 + 4 * error
        assert _stump(*train, *test) < limit, name


def _features(payments: Rows, keep: np.ndarray) -> Rows:
    t, amount = payments["t"][keep], payments["amount"][keep]
    plain = {name: payments[name][keep].astype(np.float64) for name in
             ("card", "merchant", "channel", "category", "amount", "currency", "approved", "reason")}  # fmt: skip
    clock = {"hour": t // HOUR % 24, "minute": t // 60_000_000 % 60, "second": t // 1_000_000 % 60,
             "millisecond": t // 1000 % 1000, "microsecond": t % 1_000_000}  # fmt: skip
    return {**plain, **clock, "cents": amount % 100, "last_digit": amount % 10}


def _shares(train: list[np.ndarray], values: list[np.ndarray]) -> list[np.ndarray]:
    """Return the smoothed share of crimes that the training half has at each value."""
    known = np.unique(np.concatenate(train))
    ones, all_ = (np.array([(part == value).sum() for value in known]) for part in (train[0], np.concatenate(train)))
    share = dict(zip(known.tolist(), ((ones + 1) / (all_ + 2)).tolist(), strict=True))
    return [np.array([share.get(value, 0.5) for value in part.tolist()]) for part in values]


def _stump(crime: np.ndarray, sale: np.ndarray, held_crime: np.ndarray, held_sale: np.ndarray) -> float:
    thresholds = np.unique(np.concatenate([crime, sale]))
    above = [1 - np.searchsorted(np.sort(part), thresholds, side="right") / len(part) for part in (crime, sale)]
    best = int(np.argmax(np.abs(above[0] - above[1])))
    sign = 1.0 if above[0][best] >= above[1][best] else -1.0
    cut = thresholds[best]
    return float(0.5 + 0.5 * sign * ((held_crime > cut).mean() - (held_sale > cut).mean()))


# -- the contract -----------------------------------------------------------------------------------------------------


def same(a: Chunk, b: Chunk, i: int = 0, j: int = 0) -> None:
    for name, table in {**a.tables, "events": a.events}.items():
        other = {**b.tables, "events": b.events}[name]
        for column, values in table.run(i).items():
            its = other.run(j)[column]
            if values.dtype.kind == "f":
                assert values.tobytes() == its.tobytes(), (name, column)
            else:
                assert values.tolist() == its.tolist(), (name, column)


def test_neither_cuts_nor_neighbours_change_a_byte():
    settings = Settings(cards=300, **{**POOR, "reissue": 6 * 3600.0})
    draws = [Draw(3, run, faults=(THIEF, SALE)[: run % 3]) for run in range(5)]
    odd = [1e-6, 0.1, 3599.999999, 3600.0, 10 * 3600.0, 36006.801649, 36100.3, 50000.0, 86400.0, 100001.5]
    whole = play(settings, draws)
    fine = np.arange(1, 500) * 333.33
    for cuts in (odd, fine[fine < 2 * DAYS].tolist()):
        cut = play(settings, draws, cuts=cuts)
        for i in range(5):
            same(whole[2], cut[2], i, i)
    for i, draw in enumerate(draws):
        world, first, alone = play(settings, [draw])
        same(first, whole[1], 0, i)
        same(alone, whole[2], 0, i)
        for mine, all_ in zip(world.outcome(), whole[0].outcome(), strict=True):
            for name, values in mine.run(0).items():
                assert values.tolist() == all_.run(i)[name].tolist() or np.isnan(values.astype(float)).any()


def test_cuts_do_not_tell_a_thief_of_blocks_that_came_between_two_of_his_steps():
    """Cards are blocked and replaced while a slow thief waits: the stolen data are invalid, wherever time is cut."""
    settings = Settings.model_validate(
        {"cards": 100, "strikes": 1, "reissue": 60.0, "rate": 20 / DAYS, "mistyped": 0.4, "buffer": 20.0,
         "card_testing": {"delay": 4 * 3600.0, "valid": 1.0, "use": 1.0, "report": {"probe": 0, "cash_out": 0}}}
    )  # fmt: skip
    draws = [Draw(3, run, faults=(replace(THIEF, severity=6.0),)) for run in range(8)]
    whole = play(settings, draws)[2]
    cut = play(settings, draws, cuts=(np.arange(1, 192) * 900.0).tolist())[2]
    for i in range(len(draws)):
        same(whole, cut, i, i)
    stages = whole.labels["transactions"].columns["stage"]
    assert (stages == 1).sum() > 20


def test_a_chunk_holds_what_happened_up_to_and_including_its_end():
    _, _, chunk = one(0, THIEF)
    edge = int(rows(chunk)["t"][500])
    world = Payments(Settings())
    world.start([Draw(3, 0, faults=(THIEF,))], [Streams(3, 0)])
    early = world.advance(edge / 1e6, None)
    assert rows(early)["t"][-1] == edge
    assert rows(world.advance(2 * DAYS, None))["t"][0] > edge
    for k in (0, 1, 29, 290_000, 36_006_801_649, 172_800_000_000):
        assert whole_microseconds(k / 1e6) == k


def test_a_world_forgets_its_last_runs_and_keeps_nothing_of_what_it_told():
    settings = Settings(cards=300)
    world = Payments(settings)
    results = []
    for _ in range(2):
        world.start([Draw(3, 0, faults=(THIEF,))], [Streams(3, 0)])
        results.append(world.advance(DAYS, None))
    same(*results)
    buffer = world._runs[0].buffer
    assert not any((buffer._bulk, buffer._attempts, buffer._credits, buffer._events))


def test_a_command_blocks_cards_at_once():
    schema = {"card": Column("int32")}
    table = Table.of(schema, [{"card": np.arange(50)}, {"card": [51]}])
    commands = Commands(table, np.array([True, False]))
    draws = [Draw(3, 0), Draw(3, 1)]
    _, _, chunk = play(Settings(cards=200), draws, commands=commands)
    first = chunk.tables["transactions"].run(0)
    assert (first["reason"][first["card"] < 50] == BLOCKED).all()
    assert not (first["reason"][first["card"] >= 50] == BLOCKED).any()
    assert not (chunk.tables["transactions"].run(1)["reason"] == BLOCKED).any()
    unknown = Commands(Table.of(schema, [{"card": [200]}]), np.array([True]))
    with pytest.raises(RunError, match="no card 200"):
        play(Settings(cards=200), [Draw(3, 0)], commands=unknown)


def test_a_branch_changes_what_comes_after_it_alone():
    world = Payments(Settings(cards=300))
    chunks = []
    for key in ("", "b"):
        streams = Streams(3, 0)
        world.start([Draw(3, 0)], [streams])
        before = world.advance(10 * 3600.0 - 1, None)
        if key:
            streams.rekey(key)
        chunks.append((before, world.advance(DAYS, None)))
    same(chunks[0][0], chunks[1][0])
    assert rows(chunks[0][1])["t"].tolist() != rows(chunks[1][1])["t"].tolist()


def test_settings_refuse_what_nobody_reads_and_campaigns_too_many_cards():
    with pytest.raises(ValueError, match="probes"):
        Settings.model_validate({"card_testing": {"probes": 3}})
    with pytest.raises(ValueError, match="at least 1"):
        Settings.model_validate({"ticket_sale": {"merchants": [0, 2]}})
    with pytest.raises(RunError, match="where the world has 50"):
        play(Settings(cards=50), [Draw(3, 0, faults=(THIEF,))])
    assert Payments.targets(Settings()) == ("cards",)
    assert Payments.faults["ticket_sale"].innocent
    assert not Payments.faults["card_testing"].innocent
