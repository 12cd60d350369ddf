"""Calendar time in a scenario: `begins: 2026-03-02T06:00:00+01:00` is the calendar time of t = 0."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from mischance.errors import shorten

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

FIRST_YEAR, LAST_YEAR = 1700, 2200  # what nanoseconds since 1970 in 64 bits hold, with some years to spare
EXAMPLE = "2026-03-02T06:00:00+01:00"
_FORM = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
_OFFSET = r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
_LOCAL = re.compile(_FORM)
_WHOLE = re.compile(_FORM + _OFFSET)


def calendar_time(text: str) -> datetime:
    """Return the time that a text names.

    Args:
        text: date, time and offset from UTC as RFC 3339 has them; up to six digits of a second.

    Raises:
        ValueError: the text has another form, has no offset, names no day that there is, or lies outside 1700 to 2200.
    """
    if _WHOLE.fullmatch(text) is None:
        if _LOCAL.fullmatch(text):
            raise ValueError(f"says no offset from UTC (got {shorten(text)})")
        raise ValueError(f"must be a date and time with an offset from UTC (got {shorten(text)})")
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"there is no such time: {error} (got {shorten(text)})") from None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError(f"must be in the years {FIRST_YEAR} to {LAST_YEAR} (got {shorten(text)})")
    return time


class _CalendarText:
    """Makes pydantic check a text with `calendar_time`; the text stays as it was written."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import PydanticCustomError, core_schema

        def check(text: str) -> str:
            try:
                calendar_time(text)
            except ValueError as error:
                hint = f"write {text}Z for UTC, or with an offset: {text}+01:00" if _LOCAL.fullmatch(text) else ""
                context = {"message": str(error), "hint": hint or f"for example {EXAMPLE}"}
                raise PydanticCustomError("calendar_time", "{message}", context) from None
            return text

        return core_schema.no_info_after_validator_function(check, handler(source))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "format": "date-time", "pattern": f"^{_FORM}{_OFFSET}$"}


CalendarText = Annotated[str, _CalendarText]
