"""Images as PNG, one file per frame: colour in 8 bits, depth and ids in 16 bits; other passes as .npz."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from mischance.api.names import padded
from mischance.api.runs import Record


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the PNG writer."""

    compression: int = Field(1, ge=0, le=9, description="zlib level: 0 is fastest, 9 is smallest")


class Png:
    """Writes `<path>/<run>/<index>.png`.

    Depth is stored in steps of 5 mm; 65535 means 327.675 m or more, or no surface.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder

    def write(self, record: Record) -> None:
        """Write the images of a record."""
        if not record.frames:
            return
        from ._images import save

        for path, frames in record.frames.items():
            for run, images in zip(record.runs.tolist(), frames, strict=True):
                folder = self.folder / path / padded(run)
                for name, stack in images.passes.items():
                    for index, image in zip(images.index.tolist(), stack, strict=True):
                        save(folder / padded(index), name, image, self.settings.compression)

    def close(self) -> None:
        """Do nothing: no file stays open."""
