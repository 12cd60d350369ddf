"""A new folder that is whole or absent, whenever its making stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mischance.dataset.disk import Lock, disk, remove_tree, sync_file, sync_tree
from mischance.dataset.manifest import LOCK


@contextmanager
def new_folder(target: Path, purpose: str) -> Iterator[Path]:
    """Yield an empty folder beside `target`, which takes that name in the end; where something raises, it goes.

    What a killed process left there is removed first. One process makes it at a time.

    Args:
        target: absent, or an empty folder.
        purpose: last part of the name under which it is made.

    Raises:
        DatasetError: another process makes it, or the disk does not take it.
    """
    draft = target.parent / f".{target.name}.{purpose}"
    with disk(target):
        draft.mkdir(parents=True, exist_ok=True)
        lock = Lock(draft / LOCK)
        lock.take()
        try:
            for entry in draft.iterdir():
                if entry.name != LOCK:
                    remove_tree(entry)
            yield draft
            sync_tree(draft)
            lock.leave()
            if target.is_dir():
                target.rmdir()  # empty, as was seen before
            draft.rename(target)
            sync_file(target.parent)
        except BaseException:
            lock.leave()
            remove_tree(draft)
            raise
