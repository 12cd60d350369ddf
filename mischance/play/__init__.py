"""Layer 3: from a scenario to draws and records. `mischance.play(scenario, draws)` is its main function."""

from __future__ import annotations

import sys

from mischance import CallablePackage

MAIN = "mischance.play.player.play"

sys.modules[__name__].__class__ = CallablePackage
