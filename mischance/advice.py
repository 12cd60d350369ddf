"""Did you mean …? Nearest known word, for every kind of error."""

from __future__ import annotations

from collections.abc import Iterable


def suggest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "did you mean 'Y'?" for the known word nearest to `word`, or "" where none is near."""
    import difflib

    words = [str(name) for name in known]
    lowered = {name.lower(): name for name in reversed(words)}
    near = difflib.get_close_matches(word[:80].lower(), lowered, n=1, cutoff=cutoff)
    return f"did you mean '{lowered[near[0]]}'?" if near else ""


def shorten(value: object) -> str:
    """Return a value as an error shows it after "got": quoted where it is text, at most 40 characters."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict | list | tuple):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}" if value else repr(value)
    if isinstance(value, int) and abs(value) >= 10**40:  # Python refuses to write out very long ones
        return "a very large number"
    if isinstance(value, float):
        value = float(value)
    text = repr(value[:41] if isinstance(value, str) else value)
    return text if len(text) <= 42 else f"{text[:39]}…{text[0] if isinstance(value, str) else ''}"
