"""Books, campaigns and words of the payments world: borders at equality, chains of causes, what a run tells."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Fault
from mischance.simulators.payments import Payments, Settings
from mischance.simulators.payments.accounts import Accounts
from mischance.simulators.payments.background import PAY_PERIOD, Calendar, Population, Rows
from mischance.simulators.payments.buffer import Attempt, Buffer
from mischance.simulators.payments.columns import CHANNELS, HOUR, MINOR
from mischance.simulators.payments.run import _clock, _money
from tests.simulators.test_payments import DAYS, SALE, THIEF, labels_of, one, play, rows

STORY = (
    211,
    76,
    24230,
    603879,
    993804336,
    12930,
)  # payments, of them larger ones, small and larger amounts, times (their end), merchants
APPROVED, INSUFFICIENT, LIMIT, BLOCKED, ISSUER, CREDENTIALS = -1, 0, 1, 2, 3, 4


def follows(values: np.ndarray, law: str, *arguments: float) -> bool:
    return bool(stats.kstest(values, law, args=arguments).pvalue > 1e-4)


# -- the books --------------------------------------------------------------------------------------------------------


class Books:
    """Two cards with 100.00, a limit of 60.00 a day and a salary of 10.00 at one hour."""

    def __init__(self, **settings: Any) -> None:
        people = object.__new__(Population)
        for name, value in {
            "opening": [10_000, 10_000],
            "day_limit": [6_000, 6_000],
            "salary": [1_000, 1_000],
            "payday": [HOUR, 2 * HOUR],
        }.items():
            object.__setattr__(people, name, np.array(value, np.int64))
        self.settings = Settings(**settings)
        self.buffer = Buffer(self.settings, people)
        self.accounts = Accounts(self.settings, people, self.buffer)

    def decide(self, t: int, amount: int, mark: int = APPROVED, cause: str = "") -> int:
        return self.accounts.decide(0, t, amount, mark, cause)


def test_a_payment_of_all_that_is_left_is_approved_and_a_cent_more_is_not():
    books = Books()
    assert books.decide(1, 6_000) == APPROVED  # the limit of the day, exactly
    assert books.decide(2, 1) == LIMIT
    books.accounts.new_day()
    assert books.decide(3, 4_001) == INSUFFICIENT
    assert books.decide(4, 4_000) == APPROVED
    assert books.accounts.balance.tolist() == [0, 10_000]
    assert books.decide(HOUR - 1, 1) == INSUFFICIENT
    assert books.decide(HOUR, 1_000) == APPROVED, "a salary is there at its very moment"
    assert books.accounts.balance.tolist() == [0, 10_000]


def test_a_block_holds_until_the_new_card_is_there():
    books = Books(strikes=2, reissue=10.0)
    assert [books.decide(t, 1, ISSUER, "probe:3") for t in (0, 1)] == [ISSUER, ISSUER]
    assert books.accounts.blocks.tolist() == [1, 0]
    assert [books.decide(t, 1) for t in (1, 10_000_000, 10_000_001)] == [BLOCKED, BLOCKED, APPROVED]
    books.accounts.close_to(10_000_000)
    assert [event[3] for event in books.buffer._events] == ["card_blocked"]
    books.accounts.close_to(10_000_001)
    blocked, lifted = books.buffer._events
    assert blocked == (1, "block:0:0", "probe:3", "card_blocked", "card:0", '{"because": "declines in a row"}')
    assert lifted[:5] == (10_000_001, "reissue:0:0", "block:0:0", "card_reissued", "card:0")
    books.accounts.block(0, 20_000_000, "", "x")
    books.accounts.block(0, 20_000_001, "", "y")
    assert books.accounts.blocks.tolist() == [2, 0], "a blocked card is not blocked again"


def test_only_declines_in_a_row_count_and_the_last_that_has_a_cause_is_it():
    books = Books(strikes=3)
    for t, (mark, cause) in enumerate(
        [(ISSUER, "a"), (ISSUER, "b"), (APPROVED, ""), (ISSUER, ""), (ISSUER, ""), (CREDENTIALS, "")]
    ):
        books.decide(t, 1, mark, cause)
    ((_, _, cause, *_),) = books.buffer._events
    assert cause == "", "what came before the approval has nothing to do with it"
    other = Books(strikes=3)
    for t, cause in enumerate(("a", "b", "")):
        other.decide(t, 1, ISSUER, cause)
    assert other.buffer._events[0][2] == "b"
    limits = Books(strikes=1)
    assert limits.decide(0, 6_001) == LIMIT
    assert limits.accounts.blocks.tolist() == [0, 0], "want of money is no strike"


def test_salaries_are_booked_each_period_and_told_once():
    books = Books()
    books.accounts.close_to(HOUR - 1)
    assert books.accounts.balance.tolist() == [10_000, 10_000]
    books.accounts.close_to(HOUR)
    assert books.accounts.balance.tolist() == [11_000, 10_000]
    books.accounts.close_to(HOUR + 2 * PAY_PERIOD)
    assert books.accounts.balance.tolist() == [13_000, 12_000]
    assert books.buffer._credits == [
        (HOUR, 0, 1_000),
        (HOUR + PAY_PERIOD, 0, 1_000),
        (HOUR + 2 * PAY_PERIOD, 0, 1_000),
        (2 * HOUR, 1, 1_000),
        (2 * HOUR + PAY_PERIOD, 1, 1_000),
    ]


def test_in_bulk_or_one_by_one_decisions_are_the_same():
    """Four hundred payments of two cards, in one piece and each alone."""
    rng = np.random.default_rng(1)
    n = 400
    t = np.sort(rng.integers(1, 3 * HOUR, n))
    all_rows = Rows(
        t,
        rng.integers(0, 2, n),
        np.zeros(n, np.int64),
        rng.integers(1, 60, n),
        np.where(rng.random(n) < 0.02, ISSUER, APPROVED),
    )

    def settled(*borders: int) -> tuple[list[int], list[int]]:
        books, found, since = Books(strikes=2, reissue=600.0), [], -1
        for low, high in zip((0, *borders), (*borders, n), strict=True):
            part = Rows(*(getattr(all_rows, name)[low:high] for name in ("t", "card", "merchant", "amount", "mark")))
            found += books.accounts.settle(part, since).tolist()
            since = int(t[high - 1])
        return found, books.accounts.balance.tolist()

    whole = settled()
    assert settled(*range(1, n)) == whole
    assert settled(*range(20, n, 20)) == whole
    assert {APPROVED, ISSUER, LIMIT} <= set(whole[0])


# -- rows, labels, words ----------------------------------------------------------------------------------------------


def test_rows_are_numbered_in_order_of_time_and_card_across_chunks():
    people = Population.draw(Settings(), Calendar(Settings()), Streams(3, 0))
    buffer = Buffer(Settings(), people)

    def attempt(t: int, card: int, parent: Attempt | None = None) -> Attempt:
        return Attempt(t, card, 0, 100, "cards:0", 0, 0, False, parent)

    first, second = attempt(5, 2), attempt(3, 9)
    second.parent = first
    buffer.attempt(first)
    buffer.attempt(second)
    buffer.rows(
        Rows(*(np.array(v) for v in ([3, 5, 5], [1, 1, 3], [0, 1, 2], [7, 8, 9], [-1, -1, -1]))), np.array([-1, 0, -1])
    )
    made = buffer.take()
    table = made.tables["transactions"]
    assert table["t"].tolist() == [3, 3, 5, 5, 5]
    assert table["card"].tolist() == [1, 9, 1, 2, 3]
    assert table["event_id"].tolist() == [0, 1, 2, 3, 4]
    assert table["amount"].tolist() == [7, 100, 8, 100, 9]
    assert table["reason"].tolist() == [-1, -1, 0, -1, -1]
    assert table["channel"].tolist() == people.channel[[0, 0, 1, 0, 2]].tolist()
    assert (made.labels["event_id"], made.labels["parent_event_id"]) == ([1, 3], [3, -1])
    assert (buffer.totals.payments, buffer.totals.declined, buffer.totals.value) == (5, 1, 224)
    buffer.attempt(attempt(9, 0, first))
    later = buffer.take()
    assert later.tables["transactions"]["event_id"].tolist() == [5]
    assert later.labels["parent_event_id"] == [3]


def test_a_run_tells_what_came_of_it_in_words():
    text = {}
    for name, loss, faults, more in (
        ("nothing", 0.0, (), {}),
        ("loss", 0.0, (THIEF,), {}),
        ("within", 1e6, (THIEF,), {}),
        ("unused", 0.0, (THIEF,), {"card_testing": {"use": 0.0}}),
        ("sale", 0.0, (SALE,), {}),
    ):
        world, _, chunk = play(
            Settings.model_validate({"loss_limit": loss, "cards": 300, **more}), [Draw(3, 1, faults=faults)], DAYS
        )
        row = world.outcome()[0].run(0)
        text[name] = (str(row["verdict"][0]), str(row["reason"][0]))
        labels = labels_of(chunk)
        if name == "loss":
            paid = rows(chunk)["approved"][labels["event_id"]]
            probed = len(set(rows(chunk)["card"][labels["event_id"]].tolist()))
            passed = int((paid & (labels["stage"] == 0)).sum())
            used = len(set(rows(chunk)["card"][labels["event_id"][paid & (labels["stage"] == 1)]].tolist()))
            lost = rows(chunk)["amount"][labels["event_id"][paid]].sum() / 100
            assert (row["cards_probed"][0], row["cards_passed"][0], row["cards_used"][0]) == (probed, passed, used)
            first = labels["event_id"][paid & (labels["stage"] == 1)].min()
            at = int(rows(chunk)["t"][first]) // 1_000_000
            assert text[name][1] == (
                f"{passed} of {probed} stolen cards passed the probe, {used} were used, {lost:,.2f} EUR is lost; "
                f"the first cash-out was payment {first} of cards:0 on card {rows(chunk)['card'][first]},"
                f" day {at // 86400} {at // 3600 % 24:02d}:{at // 60 % 60:02d}:{at % 60:02d}"
            )
            assert row["first_detection"][0] == np.nanmin(labels["t_reported"])
    assert text["nothing"] == ("no loss", "no stolen card was tried")
    assert text["sale"] == text["nothing"]
    assert text["loss"][0] == "loss"
    assert text["within"][0] == "loss within the limit"
    assert text["unused"][1].endswith("stolen cards passed the probe, and none was used")
    assert (_money(123456, "EUR"), _clock((86400 + 3 * 3600 + 62) * 1_000_000 + 999_999)) == (
        "1,234.56 EUR",
        "day 1 03:01:02",
    )


def test_cards_in_force_are_those_of_campaigns_of_that_kind_that_go_on():
    world = Payments(Settings(cards=100))
    faults = (
        Fault("fault:0", "cards", "card_testing", 100.0, 500.0, 7.0),
        Fault("fault:1", "cards", "ticket_sale", 0.0, 900.0, 9.0),
        Fault("fault:2", "cards", "card_testing", 300.0, 800.0, 4.0),
    )
    world.start([Draw(3, 0, faults=faults)], [Streams(3, 0)])
    seen = []
    for t in (50.0, 150.0, 499.0, 500.0, 800.0):
        world.advance(t, None)
        seen.append([world.in_force(0, "cards", kind) for kind in ("card_testing", "ticket_sale")])
    assert seen == [[0, 9], [7, 9], [11, 9], [4, 9], [0, 9]]
    world.close()
    assert world._runs == []


def test_a_label_ends_with_its_campaign_and_is_there_from_its_onset_on():
    world = Payments(Settings(cards=100))
    late = Fault("fault:7", "cards", "ticket_sale", 3600.0, np.inf, 3.0)
    world.start(
        [Draw(3, 0, faults=(late, Fault("thief", "cards", "card_testing", 60.0, np.inf, 2.0)))], [Streams(3, 0)]
    )
    world.advance(59.9, None)
    assert len(world.outcome()[1]) == 0
    world.advance(60.0, None)
    assert world.outcome()[1].run(0)["label_id"].tolist() == ["cards:thief"]
    assert np.isnan(world.outcome()[1].run(0)["t_end"][0]), "it goes on"
    chunk = world.advance(40 * DAYS, None)
    labels = world.outcome()[1].run(0)
    assert labels["label_id"].tolist() == ["cards:thief", "cards:7"]
    assert labels["role"].tolist() == ["attacker", "bystander"]
    assert labels["severity"].tolist() == [2.0, 3.0]
    assert [json.loads(causes) for causes in labels["causes"]] == [["thief"], ["fault:7"]]
    own = labels_of(chunk)
    assert labels["t_end"][1] == own["t_truth"][own["campaign"] == "cards:7"].max()


def test_reports_come_by_chance_with_a_lognormal_delay_and_block_the_card():
    settings = {
        "card_testing": {"report": {"probe": 0.5, "cash_out": 0.0, "delay": 600.0, "spread": 0.5}, "use": 0.0},
        "cards": 2000,
    }
    _, _, chunk = play(
        Settings.model_validate(settings),
        [Draw(3, 0, faults=(Fault("f:0", "cards", "card_testing", 0.0, np.inf, 900.0),))],
        DAYS,
    )
    labels, payments, events = labels_of(chunk), rows(chunk), chunk.events.run(0)
    paid = payments["approved"][labels["event_id"]]
    assert np.isnan(labels["t_reported"][~paid]).all()
    reported = labels["t_reported"][paid]
    known = np.isfinite(reported)
    assert abs(known.mean() - 0.5) < 4 * (0.25 / paid.sum()) ** 0.5
    delay = reported[known] - labels["t_truth"][paid][known]
    assert follows(np.log(delay / 600.0), "norm", 0.0, 0.5)
    told = events["kind"] == "fraud_reported"
    assert sorted(events["t"][told].tolist()) == pytest.approx(sorted(reported[known].tolist()))
    assert set(events["parent_id"][told]) == {"cards:0:probe"}
    blocked = {
        s
        for s, k, p in zip(events["subject"], events["kind"], events["parent_id"], strict=True)
        if k == "card_blocked" and ":report:" in p
    }
    assert blocked <= set(events["subject"][told].tolist())
    assert len(blocked) > 0.9 * known.sum()


def test_a_larger_payment_that_is_too_large_is_halved_until_it_is_small_or_paid():
    poor = {
        "cards": 300,
        "buffer": 0.0,
        "card_testing": {"use": 1.0, "valid": 1.0, "purchases": 6, "spend": 20.0, "again": 0.0, "delay": 60.0},
    }
    _, _, chunk = play(
        Settings.model_validate(poor),
        [Draw(3, 2, faults=(Fault("f:0", "cards", "card_testing", 0.0, np.inf, 200.0),))],
        DAYS,
    )
    labels, payments = labels_of(chunk), rows(chunk)
    place = {int(event): i for i, event in enumerate(labels["event_id"].tolist())}
    halved = 0
    for i, event in enumerate(labels["event_id"].tolist()):
        why, parent = json.loads(labels["why"][i]), int(labels["parent_event_id"][i])
        if why.get("amount") == "halved":
            halved += 1
            assert payments["reason"][parent] in (INSUFFICIENT, LIMIT)
            assert payments["amount"][event] == payments["amount"][parent] // 2
            assert payments["merchant"][event] == payments["merchant"][parent]
        if labels["stage"][i] == 1 and payments["reason"][event] in (INSUFFICIENT, LIMIT):
            followed = any(p == event for p in labels["parent_event_id"].tolist())
            tries, at = 1, i
            while labels["stage"][place[int(labels["parent_event_id"][at])]] == 1:
                at, tries = place[int(labels["parent_event_id"][at])], tries + 1
            assert followed == (payments["amount"][event] >= 1000 and tries < 6) == (why["decision"] == "once more")
    assert halved > 50


def test_settings_of_bursts_are_as_documented_and_refuse_what_is_out_of_order():
    burst, sale = Settings().card_testing, Settings().ticket_sale
    assert (burst.merchants, burst.amount, burst.valid, burst.elsewhere, burst.acquire) == (
        (1, 3),
        (0.5, 3.0),
        0.75,
        True,
        "random",
    )
    assert (sale.merchants, sale.amount, sale.valid, sale.elsewhere, sale.acquire) == (
        (1, 2),
        (0.5, 3.0),
        0.80,
        False,
        "random",
    )
    channels = Settings().channels
    assert (channels.cnp, channels.pos, channels.atm, Settings().micro.amount) == (0.65, 0.29, 0.06, (0.5, 3.0))
    assert (Settings().weekday, Settings().currency) == ("monday", "EUR")
    Settings.model_validate({"card_testing": {"amount": [0.2, 0.2], "merchants": [1, 1]}})
    for wrong in ({"amount": [0.19, 1]}, {"amount": [2, 1]}, {"merchants": [0, 1]}, {"merchants": [3, 2]}):
        with pytest.raises(ValidationError):
            Settings.model_validate({"card_testing": wrong})
    for name in ("cnp", "pos", "atm"):
        with pytest.raises(ValidationError):
            Settings.model_validate({"channels": {name: 0}})


def test_the_world_is_declared_as_it_is():
    assert Payments.faults["card_testing"].effect == Payments.faults["ticket_sale"].effect == "adds"
    _, first, chunk = one(0, until=43200.0, cards=20)
    assert first.tables["cards"].run(0)["t"].tolist() == [0] * 20
    assert len(first.tables["merchants"].run(0)["merchant"]) == 150
    assert (chunk.ends.tolist(), chunk.over.tolist()) == ([43200.0], [False])
    assert set(rows(chunk)["currency"].tolist()) == {0}
    assert (len(CHANNELS), MINOR) == (3, 100)


def test_the_story_of_a_campaign_stays_what_it_was():
    """Datasets are replayed by later versions: whoever changes these numbers breaks that, and has to say so."""
    _, _, chunk = play(Settings(cards=200), [Draw(3, 5, faults=(THIEF, SALE))], 2 * DAYS)
    labels, payments = labels_of(chunk), rows(chunk)
    larger = labels["stage"] % 2 == 1
    amounts = payments["amount"][labels["event_id"]]
    found = (len(labels["t"]), int(larger.sum()), int(amounts[~larger].sum()), int(amounts[larger].sum()))
    assert (*found, int(labels["t"].sum() % 10**9), int(payments["merchant"][labels["event_id"]].sum())) == STORY
