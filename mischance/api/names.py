"""Names of the files of runs and frames: numbers padded to one width, so that names sort as numbers do."""

from __future__ import annotations

import secrets
import socket

DIGITS = 9  # fixed: a dataset that is extended must not rename what it has
MAX_RUNS = 10**DIGITS


def padded(number: int) -> str:
    """Return the number of a run or frame as it stands in names: 18231 is '000018231'."""
    return f"{number:0{DIGITS}d}"


def unique_word() -> str:
    """Return a word that no other process of any machine has: host and 64 random bits.

    A process id alone is not enough where several machines, or containers with the same ids, share a folder.
    """
    host = "".join(letter if letter.isalnum() else "_" for letter in socket.gethostname())[:32]
    return f"{host}-{secrets.token_hex(8)}"
