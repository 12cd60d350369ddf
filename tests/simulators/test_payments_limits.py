"""Bounds of the payments world's settings, measures of crimes, and the shops of a campaign."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Fault
from mischance.simulators.payments import Payments, Settings

DAY = 86400.0


@pytest.mark.parametrize(
    ("path", "low", "high", "step"),
    [
        *((f"card_testing.{name}", 0, 1, 1e-6) for name in ("valid", "retry", "use", "again")),
        *((f"card_testing.report.{name}", 0, 1, 1e-6) for name in ("probe", "cash_out")),
        *((name, 0, 0.5, 1e-6) for name in ("issuer_declines", "mistyped")),
        *((name, 0, 1, 1e-6) for name in ("loyalty", "micro.share")),
        ("card_testing.tries", 1, 15, 1),  # its draws end where those of the purchases begin
        ("card_testing.purchases", 1, 32, 1),
    ],
)
def test_shares_and_counts_are_taken_up_to_their_bounds_and_not_beyond(path: str, low: float, high: float, step: float):
    def settings(value: float) -> Settings:
        found: Any = value
        for name in reversed(path.split(".")):
            found = {name: found}
        return Settings.model_validate(found)

    for bound, beyond in ((low, low - step), (high, high + step)):
        settings(bound)
        with pytest.raises(ValidationError, match=path.rpartition(".")[2]):
            settings(beyond)


def _campaign(kind: str, run: int = 0, **settings: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], Any]:
    """Return the outcome, payments, labels and events of one run with one burst of 20 cards."""
    world = Payments(Settings.model_validate({"cards": 60, **settings}))
    draw = Draw(3, run, faults=(Fault("fault:0", "cards", kind, 600.0, np.inf, 20.0),))
    world.start([draw], [Streams(3, run)])
    chunk = world.advance(DAY, None)
    return (
        world.outcome()[0].run(0),
        chunk.tables["transactions"].run(0),
        chunk.labels["transactions"].run(0),
        chunk.events.run(0),
    )


def test_measures_of_crimes_are_sums_over_their_payments():
    counted, payments, labels, _ = _campaign("card_testing")
    crime = labels["event_id"][labels["is_fraud"]]
    declined = ~payments["approved"][crime]
    assert counted["fraud_declined"][0] == declined.sum() > 0
    assert counted["fraud_value"][0] == payments["amount"][crime].sum() / 100
    assert counted["value"][0] == payments["amount"].sum() / 100
    assert counted["decline_rate"][0] == (~payments["approved"]).mean()


def test_rates_of_a_run_without_payments_are_zero():
    world = Payments(Settings(cards=1, rate=1e-12))
    world.start([Draw(3, 0)], [Streams(3, 0)])
    world.advance(3600.0, None)
    counted = world.outcome()[0].run(0)
    assert counted["payments"][0] == 0
    for name in ("decline_rate", "fraud_rate", "fraud_value_rate"):
        assert counted[name][0] == 0.0


@pytest.mark.parametrize("elsewhere", [False, True])
def test_larger_payments_go_to_the_shop_of_the_first_unless_they_go_to_any(elsewhere: bool):
    own = {"elsewhere": elsewhere, "valid": 1.0, "use": 1.0, "delay": 600.0, "merchants": (2, 2)}
    _, payments, labels, _ = _campaign("card_testing", card_testing=own, buffer=20.0)
    later = labels["stage"] == 1
    assert later.sum() >= 10
    shop, before = (payments["merchant"][labels[name][later]] for name in ("event_id", "parent_event_id"))
    assert (shop == before).all() != elsewhere


def test_a_campaign_has_every_number_of_shops_that_its_settings_allow_and_no_other():
    numbers = []
    for run in range(24):
        *_, events = _campaign("card_testing", run, card_testing={"merchants": (2, 4)}, rate=1e-9)
        begun = events["kind"].tolist().index("card_testing_started")
        numbers.append(len(json.loads(events["details"][begun])["merchants"]))
    assert set(numbers) == {2, 3, 4}  # one of them is missing in 24 fair draws with a chance of 3 (2 / 3)^24 = 2e-4
