"""Laws of a campaign's choices: shops, where it spends, random numbers, defaults and limits of its settings."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mischance.api.randomness import Streams
from mischance.api.runs import Draw
from mischance.language.loading import load
from mischance.play.sampling import draw
from mischance.simulators.payments import Payments, Settings
from mischance.simulators.payments import campaigns as campaigns_module
from mischance.simulators.payments.campaigns import Campaign
from mischance.simulators.payments.columns import CHANNELS
from tests.simulators.test_payments import DAYS, SALE, THIEF, labels_of, one, play, rows

SOON = replace(THIEF, onset=0.0, severity=1.0)  # its shops are chosen at once
CNP = CHANNELS.index("cnp")


def shops_of(runs: range, there: int = 40, **burst: Any) -> list[list[int]]:
    """Return the shops of one campaign of each run, as the event of its start tells them."""
    settings = Settings(cards=20, merchants=there, card_testing=burst)
    found = []
    for run in runs:
        _, first, chunk = play(settings, [Draw(3, run, faults=(SOON,))], until=60.0)
        details = [*first.events.run(0)["details"], *chunk.events.run(0)["details"]]
        found += [told["merchants"] for told in map(json.loads, details) if "merchants" in told]
    return found


def test_a_campaign_goes_to_any_number_of_shops_between_its_limits():
    counts = Counter(len(shops) for shops in shops_of(range(60), merchants=(2, 4)))
    assert set(counts) == {2, 3, 4}
    assert min(counts.values()) > 20 - 4 * (60 * (1 / 3) * (2 / 3)) ** 0.5  # each has a third of the campaigns


def test_shops_are_chosen_by_their_popularity():
    """Of one shop a campaign, each is chosen with its share of the online payments, the first shop of the list too."""
    runs = range(200)
    settings = Settings(cards=20, merchants=12, card_testing={"merchants": (1, 1)})
    chosen: Counter[bool] = Counter()
    share = 0.0
    for run, shops in zip(runs, shops_of(runs, 12, merchants=(1, 1)), strict=True):
        world = Payments(settings)
        world.start([Draw(3, run)], [Streams(3, run)])
        people = world._runs[0].people
        chosen[shops == [int(people.shops[CNP][0])]] += 1
        share += float(people.popularity[CNP][0])  # cumulated: that of the first shop alone
    assert share > 16.0, "so many that none at all would be too few"
    assert abs(chosen[True] - share) < 4 * share**0.5


def test_larger_payments_stay_at_the_shop_of_the_first_one_unless_they_go_elsewhere():
    for fault, elsewhere in ((THIEF, True), (THIEF, False), (SALE, False)):
        settings = Settings.model_validate({fault.kind: {"elsewhere": elsewhere, "merchants": (1, 1)}})
        _, _, chunk = play(settings, [Draw(3, 2, faults=(fault,))], until=3 * DAYS)
        shop = dict(zip(rows(chunk)["event_id"].tolist(), rows(chunk)["merchant"].tolist(), strict=True))
        labels = labels_of(chunk)
        later = labels["stage"] % 2 == 1  # a cash-out or a purchase, after a probe or a verification
        larger = labels["event_id"][later].tolist()
        first = {shop[event] for event in labels["event_id"][~later].tolist()}
        assert len(first) == 1
        assert len(larger) > 10
        assert ({shop[event] for event in larger} == first) is not elsewhere


def test_no_two_steps_of_a_campaign_share_a_random_number():
    """Up to 15 tries and 32 payments of any card: the keys of all of their numbers are different."""
    asked: list[int] = []

    def uniform(name: str, keys: np.ndarray) -> np.ndarray:
        asked.extend(np.asarray(keys).tolist())
        return np.full(len(keys), 0.5)

    campaign = object.__new__(Campaign)
    campaign._streams = SimpleNamespace(uniform=uniform)  # type: ignore[assignment]
    campaign.fault = THIEF
    steps = campaigns_module._FIRST_PURCHASE + 32
    for slot in range(40):
        for step in range(steps):
            campaign._draw(slot, step)
    assert len(set(asked)) == len(asked) == 40 * steps * 8
    assert min(asked) >= 0


def test_a_campaign_without_a_severity_has_as_many_cards_as_the_page_says():
    for kind in ("card_testing", "ticket_sale"):
        scenario = load(
            "payments/card_testing", {"faults": f"[{{target: cards, kind: {kind}, at: 1 h}}]", "require": "{}"}
        )
        assert [fault.severity for fault in draw(scenario, [0])[0].faults] == [40.0]


def test_measures_of_crimes_are_sums_over_their_payments():
    world, _, chunk = one(0, replace(THIEF, severity=20.0), until=3 * DAYS)
    counted, payments, labels = world.outcome()[0].run(0), rows(chunk), labels_of(chunk)
    crime = labels["event_id"][labels["is_fraud"]]
    assert counted["fraud_declined"][0] == (~payments["approved"][crime]).sum() > 0
    assert counted["fraud_value"][0] == payments["amount"][crime].sum() / 100
    assert counted["value"][0] == payments["amount"].sum() / 100
    assert counted["decline_rate"][0] == (~payments["approved"]).mean()


def test_a_run_without_payments_has_rates_of_zero():
    world, _, chunk = one(0, until=1e-6, cards=1)
    assert len(rows(chunk)["t"]) == 0
    row = world.outcome()[0].run(0)
    assert (row["payments"][0], row["decline_rate"][0], row["fraud_rate"][0], row["fraud_value_rate"][0]) == (
        0,
        0,
        0,
        0,
    )


def test_a_chunk_is_a_day_at_most():
    assert Payments.max_chunk_seconds == DAYS


LIMITS = {  # what a scenario may say: field -> (default, lowest, highest), as the documentation of the world gives them
    "report.probe": (0.15, 0, 1), "report.cash_out": (0.95, 0, 1), "report.delay": (72000.0, 0, None),
    "report.spread": (1.0, 0, None), "gap": (20.0, 0, None), "valid": (0.75, 0, 1), "tries": (3, 1, 15),
    "retry": (0.4, 0, 1), "use": (0.6, 0, 1), "delay": (3600.0, 0, None), "spend": (2.0, 0, None),
    "again": (0.3, 0, 1), "purchases": (4, 1, 32),
}  # fmt: skip
WORLD_LIMITS = {
    "cards": (1000, 1, 1_000_000), "merchants": (150, 12, 1_000_000), "bins": (8, 1, 1000),
    "rate": (1.2 / 86400, 0, 1e-3), "spread": (0.7, 0, 1.5), "loyalty": (0.7, 0, 1), "buffer": (0.6, 0, None),
    "day_limit": (0.5, 0, None), "issuer_declines": (0.008, 0, 0.5), "mistyped": (0.012, 0, 0.5),
    "strikes": (3, 1, None), "reissue": (432000.0, 0, None), "loss_limit": (0.0, 0, None),
    "micro.share": (0.03, 0, 1),
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "limits"),
    [*((f"card_testing.{name}", limits) for name, limits in LIMITS.items()), *WORLD_LIMITS.items()],
)
def test_settings_have_their_defaults_and_refuse_what_is_beyond_their_limits(path: str, limits: tuple[Any, ...]):
    default, lowest, highest = limits
    value: Any = Settings()
    for name in path.split("."):
        value = getattr(value, name)
    assert value == default
    step = 1 if isinstance(default, int) else 1e-9

    def told(number: float) -> dict[str, Any]:
        tree: Any = number
        for name in reversed(path.split(".")):
            tree = {name: tree}
        return dict(tree)

    with pytest.raises(ValidationError):
        Settings.model_validate(told(lowest - step))
    if highest is not None:
        assert Settings.model_validate(told(highest))
        with pytest.raises(ValidationError):
            Settings.model_validate(told(highest + step))
