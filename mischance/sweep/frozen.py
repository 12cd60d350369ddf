"""The last module that the server of a sweep's workers imports: what a fork is to find done, and to leave alone.

Numba loads its own functions for the first kernel of a process: half a second, if each worker did it. And what the
server has loaded is never garbage: else the first full collection of each worker looks through all of it, and so copies
every page that it shares with the server, which takes 0.1 s.
"""

import gc
import sys

if "numba" in sys.modules:
    from mischance.api.kernels import prepare

    prepare()
gc.collect()
gc.freeze()
