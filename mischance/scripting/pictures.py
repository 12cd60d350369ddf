"""Pictures and pages that show themselves in a notebook, and say elsewhere where they are."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mischance.sweep.jobs import Replay


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class ReplayPage:
    """One run as a page to watch (an HTML file), and what came of playing it again; None: it was not played again."""

    path: Path
    again: Replay | None = None

    def __str__(self) -> str:
        return f"{self.again.text()}\n{self.path}" if self.again else str(self.path)

    @property
    def same(self) -> bool | None:
        """Whether the run told the same story again, up to last bits of floats; None: it was not played again."""
        return None if self.again is None else self.again.same

    def _repr_html_(self) -> str:
        text = f"<pre>{html.escape(self.again.text())}</pre>" if self.again else ""
        page = html.escape(self.path.read_text(encoding="utf-8"), quote=True)
        frame = "width:100%;height:760px;border:1px solid #8884"
        return f'{text}<iframe sandbox="allow-scripts" style="{frame}" srcdoc="{page}"></iframe>'


__all__ = ["Picture", "ReplayPage"]
