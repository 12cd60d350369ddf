"""Measures along a run's time axis: times in a conflict area, time and integral below a threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mischance.api.elementwise import Floats, elementwise
from mischance.api.tables import BoolArray, FloatArray, IntArray


class Stay(NamedTuple):
    """Times at which each user first entered and left a conflict area [s]; +inf: it did not."""

    entry: FloatArray
    exit: FloatArray


@elementwise
def crossing_time(t_before: Floats, value_before: Floats, t_after: Floats, value_after: Floats) -> FloatArray:
    """Return the time of a zero crossing between two samples, by linear interpolation [s].

    Shape: common shape of the arguments.
    NaN, inf: NaN if both values lie on one side of zero.
    Sampling: between two samples.
    Source: linear interpolation.
    """
    crosses = ((value_before <= 0.0) & (value_after >= 0.0)) | ((value_before >= 0.0) & (value_after <= 0.0))
    change = value_after - value_before
    share = np.where(change == 0.0, 0.0, -value_before / change)
    return np.where(crosses, t_before + share * (t_after - t_before), np.nan)


def conflict_area_times(t: FloatArray, distance: FloatArray) -> Stay:
    """Return the times at which each user first entered and left a conflict area [s].

    Args:
        t: times of the samples, ascending; shape (n,) [s].
        distance: signed distance to the area, <= 0 inside, as `oriented_gap` gives it; shape (..., n) [m].
            NaN where there is no sample (after the end of a run): no crossing is seen there.

    Shape: `distance` without its last axis.
    NaN, inf: +inf for an entry or exit that did not occur; a user that starts inside entered at t[0].
    Sampling: between two samples the distance is taken as linear.
    Source: Allen, Shin, Cooper, Analysis of traffic conflicts and collisions, TRR 667, 1978 (conflict area).
    """
    columns, times = np.asarray(distance, dtype=np.float64), np.asarray(t, dtype=np.float64)
    entry, first = _first_change(times, columns, columns <= 0.0)
    later = np.arange(len(times)) > first[..., None]
    out, _ = _first_change(times, columns, (columns > 0.0) & later)
    return Stay(entry, np.where(entry == np.inf, np.inf, out))


def _first_change(t: FloatArray, distance: FloatArray, there: BoolArray) -> tuple[FloatArray, IntArray]:
    """Return the interpolated time and the index of the first sample that is `there`; (inf, n) if none is."""
    if len(t) == 0:
        never: FloatArray = np.full(distance.shape[:-1], np.inf)
        return never, np.zeros(distance.shape[:-1], dtype=np.int64)
    at = np.argmax(there, axis=-1)
    before = np.maximum(at - 1, 0)
    value = [np.take_along_axis(distance, index[..., None], axis=-1)[..., 0] for index in (before, at)]
    between = crossing_time(t[before], value[0], t[at], value[1])
    seen = np.where(np.isnan(between), t[at], between)  # inside from the start, or no sample just before
    found = there.any(axis=-1)
    return np.where(found, seen, np.inf), np.asarray(np.where(found, at, len(t)))


@elementwise
def encroachment_time(entry: Floats, exit: Floats) -> FloatArray:  # noqa: A002 - the field's word
    """Return ET: the time for which a user occupies the conflict area [s].

    Shape: common shape of the arguments (times [s], +inf: not seen).
    NaN, inf: 0 if it never enters; +inf if it does not leave.
    Sampling: entry and exit between samples, see `conflict_area_times`.
    Source: Allen, Shin, Cooper, Analysis of traffic conflicts and collisions, TRR 667, 1978.
    """
    return np.where(entry == np.inf, 0.0, exit - entry)


@elementwise
def post_encroachment_time(entry_a: Floats, exit_a: Floats, entry_b: Floats, exit_b: Floats) -> FloatArray:
    """Return PET: entry of the second user minus exit of the first [s]; negative: both inside at once.

    The first user is the one that enters first; if both enter at once, the one that leaves first.

    Shape: common shape of the arguments (times [s], +inf: not seen).
    NaN, inf: +inf if either never enters; -inf if the first is still inside at the end of the record.
    Sampling: entry and exit between samples, see `conflict_area_times`; one value a pair and area.
    Source: Allen, Shin, Cooper, Analysis of traffic conflicts and collisions, TRR 667, 1978.
    """
    a_first, b_first = entry_b - exit_a, entry_a - exit_b
    tie = np.maximum(a_first, b_first)
    ordered = np.where(entry_a < entry_b, a_first, np.where(entry_b < entry_a, b_first, tie))
    return np.where((entry_a == np.inf) | (entry_b == np.inf), np.inf, ordered)


def time_below(values: FloatArray, threshold: Floats, dt: float) -> FloatArray:
    """Return the time for which a run's values lie below a threshold [s].

    Args:
        values: on a regular grid of step dt [s]; shape (..., n). NaN counts as not below.
        threshold: a number, or an array of shape (..., 1).

    Shape: `values` without the last axis.
    NaN, inf: 0 if never; rows that are padded with NaN give the same bits as without.
    Sampling: sample k stands for [t_k, t_k + dt).
    Source: Minderhoud, Bovy, Extended time-to-collision measures, Accid. Anal. Prev. 33, 2001 (as sums).
    """
    return np.asarray(np.count_nonzero(np.asarray(values) < threshold, axis=-1) * dt, dtype=np.float64)


def integral_below(values: FloatArray, threshold: Floats, dt: float) -> FloatArray:
    """Return the integral of (threshold - value) over the time below the threshold [s times the value's unit].

    Args:
        values: on a regular grid of step dt [s]; shape (..., n). NaN counts as not below.
        threshold: a number, or an array of shape (..., 1).

    Shape: `values` without the last axis.
    NaN, inf: 0 if never below; rows that are padded with NaN give the same bits as without.
    Sampling: sample k stands for [t_k, t_k + dt).
    Source: Minderhoud, Bovy, Extended time-to-collision measures, Accid. Anal. Prev. 33, 2001 (as sums).
    """
    columns = np.asarray(values, dtype=np.float64)
    depth = np.where(columns < threshold, threshold - columns, 0.0)
    if depth.shape[-1] == 0:
        return np.zeros(depth.shape[:-1])
    # A cumulative sum adds in the order of time; np.sum would pair terms depending on the row's length.
    return np.asarray(np.cumsum(depth, axis=-1)[..., -1] * dt)


def time_exposed_ttc(ttc: FloatArray, threshold: Floats, dt: float) -> FloatArray:
    """Return TET: the time for which TTC is below the threshold tau* [s]; put tau* into the column's name.

    Args: `ttc` [s] on a regular grid of step dt [s], shape (..., n); threshold [s].

    Shape: `ttc` without the last axis.
    NaN, inf: NaN and +inf count as safe.
    Sampling: sample k stands for [t_k, t_k + dt).
    Source: Minderhoud, Bovy, Extended time-to-collision measures, Accid. Anal. Prev. 33, 2001.
    """
    return time_below(ttc, threshold, dt)


def time_integrated_ttc(ttc: FloatArray, threshold: Floats, dt: float) -> FloatArray:
    """Return TIT: the integral of tau* - TTC over the time with TTC below tau* [s2].

    Args: `ttc` [s] on a regular grid of step dt [s], shape (..., n); threshold [s].

    Shape: `ttc` without the last axis.
    NaN, inf: NaN and +inf count as safe.
    Sampling: sample k stands for [t_k, t_k + dt).
    Source: Minderhoud, Bovy, Extended time-to-collision measures, Accid. Anal. Prev. 33, 2001.
    """
    return integral_below(ttc, threshold, dt)
