"""Builds plug-ins from their settings."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any

from mischance.api.protocols import shadowed
from mischance.errors import RunError


def construct(cls: type[Any], settings: Any) -> Any:
    """Build a plug-in; one that has no settings may leave the argument out.

    Raises:
        RunError: it declares something in its instance.
    """
    import inspect

    with redirect_stdout(sys.stderr):
        built = cls(settings) if inspect.signature(cls).parameters else cls()
    name = shadowed(built)
    if name:
        raise RunError(
            f"{cls.__name__} sets `{name}` in its instance, where nobody looks for it",
            "declare it in the class; as a static method it may depend on the settings",
        )
    return built
