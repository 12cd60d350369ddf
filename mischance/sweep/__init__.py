"""Layer 4: many runs: jobs, runners, workers, replay, suites.

`mischance.sweep(scenario, runs, out)` is its main function.
"""

from __future__ import annotations

import sys

from mischance import CallablePackage

MAIN = "mischance.sweep.jobs.sweep"

sys.modules[__name__].__class__ = CallablePackage
