"""Codes and columns of the payments world, and its clock of whole microseconds."""

from __future__ import annotations

from mischance.api.tables import Column, Schema

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

CHANNELS = ("cnp", "pos", "atm")
CNP, POS, ATM = range(3)

# name, channel, share of the channel's merchants, median amount [currency], sigma of its logarithm.
# Uncalibrated defaults: orders of magnitude of a European retail portfolio.
CATEGORIES = (
    ("marketplace", CNP, 0.24, 30.0, 0.90),
    ("digital_goods", CNP, 0.18, 9.0, 0.70),
    ("subscription", CNP, 0.14, 12.0, 0.50),
    ("food_delivery", CNP, 0.14, 25.0, 0.45),
    ("fashion", CNP, 0.12, 46.0, 0.70),
    ("tickets", CNP, 0.08, 48.0, 0.70),
    ("electronics", CNP, 0.06, 85.0, 0.95),
    ("travel", CNP, 0.04, 140.0, 0.90),
    ("groceries", POS, 0.36, 27.0, 0.75),
    ("restaurant", POS, 0.24, 21.0, 0.60),
    ("pharmacy", POS, 0.12, 14.0, 0.65),
    ("fuel", POS, 0.12, 48.0, 0.40),
    ("clothing", POS, 0.16, 44.0, 0.70),
    ("cash", ATM, 1.00, 80.0, 0.60),
)
CATEGORY_NAMES = tuple(row[0] for row in CATEGORIES)

REASONS = ("insufficient", "limit", "blocked", "issuer", "credentials")
APPROVED = -1
INSUFFICIENT, LIMIT, BLOCKED, ISSUER, CREDENTIALS = range(5)

CURRENCIES = ("EUR", "GBP", "USD")
MINOR = 100  # minor units in one unit of every currency above

TYPOLOGIES = ("card_testing",)
ROLES = ("victim", "bystander")
STAGES = ("probe", "cash_out", "verify", "purchase")
CREDIT_KINDS = ("salary",)

TRANSACTIONS: Schema = {
    "t": Column("int64", "us", encoding="delta", about="time since the start of the run", role="time"),
    "event_id": Column("int64", encoding="plain", about="key of the payment in its run, in order of time", role="key"),
    "card": Column("int32", encoding="plain", role="entity"),
    "merchant": Column("int32", encoding="plain", role="entity"),
    "channel": Column("category", names=CHANNELS),
    "category": Column("category", names=CATEGORY_NAMES, about="what the merchant sells"),
    "amount": Column("int64", "minor", encoding="delta", about="minor units of the currency (cents)", role="value"),
    "currency": Column("category", names=CURRENCIES),
    "approved": Column("bool", encoding="plain"),
    "reason": Column("category", names=REASONS, about="why it was declined; null = it was not"),
}

TRANSACTION_LABELS: Schema = {
    "t": Column("int64", "us", encoding="delta", role="time"),
    "event_id": Column("int64", encoding="plain", about="the payment in `transactions`", role="key"),
    "campaign": Column("text", about="label_id of the campaign in `labels`", role="cause"),
    "typology": Column(
        "category", names=TYPOLOGIES, about="the crime, or the crime that an innocent burst looks like", role="label"
    ),
    "role": Column("category", names=ROLES, about="of the cardholder", role="label"),
    "stage": Column("category", names=STAGES, role="label"),
    "parent_event_id": Column(
        "int64", encoding="plain", about="the payment that led to this one; -1 = none", role="cause"
    ),
    "is_fraud": Column("bool", role="label"),
    "hard_negative": Column("bool", role="label"),
    "t_truth": Column("float64", "s", role="label"),
    "t_reported": Column(
        "float64", "s", null=True, about="when the cardholder reports it; null = never", role="reported"
    ),
    "why": Column("text", about="JSON object: what was decided, and upon what", role="cause"),
}

CREDITS: Schema = {
    "t": Column("int64", "us", encoding="delta", role="time"),
    "card": Column("int32", encoding="plain", role="entity"),
    "kind": Column("category", names=CREDIT_KINDS),
    "amount": Column("int64", "minor", encoding="delta", role="value"),
}

CARDS: Schema = {
    "t": Column("int64", "us", encoding="delta", role="time"),
    "card": Column("int32", encoding="plain", role="entity"),
    "bin": Column("int32", encoding="plain", about="issuer range of the card's number"),
    "balance": Column("int64", "minor", about="at the start of the run", role="value"),
    "day_limit": Column("int64", "minor", about="spending limit of a calendar day"),
}

MERCHANTS: Schema = {
    "t": Column("int64", "us", encoding="delta", role="time"),
    "merchant": Column("int32", encoding="plain", role="entity"),
    "channel": Column("category", names=CHANNELS),
    "category": Column("category", names=CATEGORY_NAMES),
}

TABLES: dict[str, Schema] = {
    "transactions": TRANSACTIONS,
    "credits": CREDITS,
    "cards": CARDS,
    "merchants": MERCHANTS,
}


def whole_microseconds(seconds: float) -> int:
    """Return the largest k with k / 1e6 <= seconds, in exact floating-point comparison."""
    k = int(seconds * SECOND // 1)
    while (k + 1) / SECOND <= seconds:
        k += 1
    while k / SECOND > seconds:
        k -= 1
    return k
