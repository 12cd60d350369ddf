"""Atomic file operations (sync, rename), a folder lock, and errors of the disk as one clear line."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mischance.api.names import unique_word
from mischance.errors import DatasetError

_MANY = 32


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the ledger and the manifest say of a file: SHA-256 in hexadecimal, bytes, and the rows of a table."""

    sha256: str
    bytes: int
    rows: int | None = None


def file_hash(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


@contextlib.contextmanager
def disk(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn what the disk refuses into one clear line.

    Args:
        path: what is being written.
        needed: bytes that it takes, as far as known.

    Raises:
        DatasetError: with the path, the reason and, for a full disk, the bytes needed and free.
    """
    try:
        yield
    except OSError as error:
        raise refusal(error, path, needed) from error


def refusal(error: OSError, path: Path, needed: int = 0) -> DatasetError:
    """Return the error that says what the disk refused; see `disk`."""
    where = error.filename if isinstance(error.filename, str) and error.filename else path
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        folder = next(parent for parent in (path, *path.parents) if parent.exists())
        free = shutil.disk_usage(folder).free
        return DatasetError(
            f"no space left while writing {where}: at least {max(needed, 1):,} bytes needed, {free:,} free",
            "free some space, then run the same command again: what is done is kept",
        )
    return DatasetError(f"cannot write {where}: {error.strerror or error}", "check the folder and its permissions")


def sync_file(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> int:
    """Wait until everything in a folder is on the disk; return the bytes of its files.

    Many small files are synced with one call for the file system: a call for each would cost more
    than making them.
    """
    files = [file for file in folder.rglob("*") if not file.is_symlink()]
    if len(files) > _MANY:
        _sync_file_system(folder)
    else:
        for file in files:
            sync_file(file)
        sync_file(folder)
    return sum(file.stat().st_size for file in files if file.is_file())


def _sync_file_system(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None:
            os.sync()
        elif syncfs(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, sync it, and rename it into place."""
    temporary = path.with_name(f".{path.name}.{unique_word()}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_file(path.parent)


def move_tree(source: Path, target: Path, leave: frozenset[str] = frozenset()) -> None:
    """Move everything in `source` into `target`; folders that `target` lacks go whole, in one rename.

    It may be stopped at any point and called again; what is already there gives way.

    Args:
        source: folder to empty.
        target: folder to fill; made if missing.
        leave: names in `source` that stay.
    """
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        if entry.name in leave:
            continue
        goal = target / entry.name
        if entry.is_dir():
            # Another worker may make the same folder between a look and the rename: so try, then merge.
            try:
                entry.rename(goal)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                move_tree(entry, goal)
        else:
            entry.replace(goal)
    sync_file(target)


def remove_tree(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=False)
    else:
        path.unlink(missing_ok=True)


class Lock:
    """A folder's lock: one process at a time may write. It goes with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = -1

    def take(self) -> None:
        """Take the lock.

        Raises:
            DatasetError: another process holds it, or the folder takes no files.
        """
        with disk(self.path):
            while True:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
                    os.close(handle)
                    raise DatasetError(
                        f"another process (pid {owner}) is writing to {self.path.parent}",
                        "wait for it, or choose another folder with --out",
                    ) from None
                # The last owner removes the file as it leaves: a lock on a removed file locks nobody out.
                if self.path.exists() and os.fstat(handle).st_ino == self.path.stat().st_ino:
                    break
                os.close(handle)
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
            self._handle = handle

    def leave(self) -> None:
        """Give the lock back and remove its file."""
        if self._handle >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1
