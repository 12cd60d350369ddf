"""Requirements: robustness against the definition of signal temporal logic; time and reason of violations."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mischance.api.tables import Column, Table
from mischance.errors import ExpressionError, TruthError
from mischance.language.temporal.requirement import WORDS, Requirement, compile_requirement, signal_names, signals_of

INF = math.inf
NAMES = ("a", "b", "flag", "ego.gap", "ego.jerk")

# -- formulas as data: drawn at random, written as text, and judged by the definition ---------------------------------

Formula = tuple[Any, ...]
BOUND = st.integers(0, 6)  # tenths of a second, as the times


def formulas(*, rich: bool = True) -> st.SearchStrategy[Formula]:
    """Draw formulas; without `rich`, only operators that other libraries have too."""
    signs = (">", ">=", "<", "<=", "==", "!=") if rich else (">", ">=", "<", "<=")
    leaves = st.tuples(st.sampled_from(signs), st.sampled_from("ab"), st.integers(-2, 2))
    if rich:
        leaves |= st.just(("flag",))
    spans = st.tuples(BOUND, st.none() | st.integers(1, 6)).map(lambda s: (s[0], None if s[1] is None else sum(s)))

    def grow(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
        found = st.tuples(st.just("not"), inner) | st.tuples(st.sampled_from(("and", "or", "implies")), inner, inner)
        found |= st.tuples(st.sampled_from(("always", "eventually")), spans, inner)
        found |= st.tuples(st.just("until"), spans, inner, inner)
        return found | st.tuples(st.just("for"), st.integers(1, 6), inner) if rich else found

    return st.recursive(leaves, grow, max_leaves=6)


def written(formula: Formula) -> str:
    """Return the text of a formula in our syntax."""
    match formula:
        case ("flag",):
            return "flag"
        case ("not", body):
            return f"not ({written(body)})"
        case ("and" | "or" | "implies" as word, left, right):
            return f"({written(left)}) {word} ({written(right)})"
        case ("always" | "eventually" as word, span, body):
            return f"{word}{bounds(span)} ({written(body)})"
        case ("until", span, left, right):
            return f"({written(left)}) until{bounds(span)} ({written(right)})"
        case ("for", time, body):
            return f"for {100 * time} ms ({written(body)})"
        case (sign, name, level):
            return f"{name} {sign} {level} m"
    raise AssertionError(formula)


def compiled(formula: Formula, around: str = "{}") -> Requirement:
    """Return our requirement; formulas that the grammar refuses are drawn again."""
    text = around.format(written(formula))
    assume(len(text) <= 400)
    try:
        return compile_requirement(text, NAMES)
    except ExpressionError as error:
        assume("always for" not in error.message)
        raise


def bounds(span: tuple[int, int | None]) -> str:
    after = f" after {span[0] / 10} s" if span[0] else ""
    return after + ("" if span[1] is None else f" within {100 * span[1]} ms")


def defined(formula: Formula, i: int, k: list[int], signals: Mapping[str, list[float]], *, boolean: bool) -> float:
    """Return robustness, or truth as ±inf, at sample i, straight from the definition; k: times in tenths."""

    def of(inner: Formula, j: int) -> float:
        return defined(inner, j, k, signals, boolean=boolean)

    def within(span: tuple[int, int | None]) -> list[int]:
        high = INF if span[1] is None else span[1]
        return [j for j in range(i, len(k)) if span[0] <= k[j] - k[i] <= high]

    match formula:
        case ("flag",):
            return INF if signals["flag"][i] else -INF
        case ("not", body):
            return -of(body, i)
        case ("and", left, right):
            return min(of(left, i), of(right, i))
        case ("or", left, right):
            return max(of(left, i), of(right, i))
        case ("implies", left, right):
            return max(-of(left, i), of(right, i))
        case ("always", span, body):
            return min([INF, *(of(body, j) for j in within(span))])
        case ("eventually", span, body):
            return max([-INF, *(of(body, j) for j in within(span))])
        case ("until", span, left, right):
            return max([-INF, *(min(of(right, j), *(of(left, m) for m in range(i, j)), INF) for j in within(span))])
        case ("for", time, body):
            return min(of(body, j) for j in within((0, time))) if k[-1] - k[i] >= time else -INF
        case (sign, name, level):
            x, y = signals[name][i], float(level)
            if boolean:
                holds = {">": x > y, ">=": x >= y, "<": x < y, "<=": x <= y, "==": x == y, "!=": x != y}[sign]
                return INF if holds else -INF
            return {">": x - y, ">=": x - y, "<": y - x, "<=": y - x, "==": -abs(x - y), "!=": abs(x - y)}[sign]
    raise AssertionError(formula)


@st.composite
def traces(draw: st.DrawFn, steps: int = 3) -> tuple[list[int], dict[str, list[float]]]:
    """Draw times in tenths of a second and signals of small whole numbers, so that ties are common."""
    gaps = draw(st.lists(st.integers(1, steps), min_size=0, max_size=11))
    k = [sum(gaps[:i]) for i in range(len(gaps) + 1)]
    values = st.lists(st.integers(-3, 3).map(float), min_size=len(k), max_size=len(k))
    flags = st.lists(st.sampled_from((0.0, 1.0)), min_size=len(k), max_size=len(k))
    return k, {"a": draw(values), "b": draw(values), "flag": draw(flags)}


Sampled = tuple[list[int], dict[str, list[float]]]


def seconds(k: list[int]) -> np.ndarray:
    return np.array(k) / 10


@settings(max_examples=300, deadline=None)
@given(formulas(), traces())
def test_robustness_and_truth_are_the_definition(formula: Formula, sampled: Sampled):
    k, signals = sampled
    requirement, t = compiled(formula), seconds(k)
    robustness = requirement.robustness(signals, t)
    satisfied = requirement.satisfied(signals, t)
    assert robustness == defined(formula, 0, k, signals, boolean=False)
    assert satisfied == (defined(formula, 0, k, signals, boolean=True) > 0)
    assert satisfied or robustness <= 0.0
    assert not satisfied or robustness >= 0.0
    verdict = requirement.judge(signals, t)
    assert (verdict.satisfied, verdict.robustness) == (satisfied, robustness)
    if satisfied:
        assert math.isnan(verdict.t_violation)
        assert verdict.reason == ""
    else:
        assert t[0] <= verdict.t_violation <= t[-1]
        assert verdict.reason
        assert "\n" not in verdict.reason


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(formulas(rich=False), traces(steps=1))
def test_robustness_is_that_of_rtamt(formula: Formula, sampled: Sampled):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its parser's runtime
        rtamt = pytest.importorskip("rtamt", reason="rtamt, the library to judge robustness by, is not installed")

    def theirs(formula: Formula) -> str:
        match formula:
            case ("not", body):
                return f"not({theirs(body)})"
            case ("and" | "or" | "implies" as word, left, right):
                return f"({theirs(left)}) {'->' if word == 'implies' else word} ({theirs(right)})"
            case ("always" | "eventually" as word, span, body):
                return f"{word}{interval(span)} ({theirs(body)})"
            case ("until", span, left, right):
                return f"({theirs(left)}) until{interval(span)} ({theirs(right)})"
            case (sign, name, level):
                return f"({name} {sign} ({level}))"
        raise AssertionError(formula)

    def interval(span: tuple[int, int | None]) -> str:  # their unbounded operators take no lower bound
        return "" if span == (0, None) else f"[{span[0]}:{99 if span[1] is None else span[1]}]"

    k, signals = sampled
    assume(len(k) > 1)  # its evaluation of one sample fails
    requirement = compiled(formula)
    specification = rtamt.StlDiscreteTimeSpecification()
    for name in "ab":
        specification.declare_var(name, "float")
    specification.spec = theirs(formula)
    specification.parse()
    expected = specification.evaluate({"time": k, "a": signals["a"], "b": signals["b"]})
    for i, (_, robustness) in enumerate(expected):
        rest = {name: values[i:] for name, values in signals.items()}
        assert requirement.robustness(rest, seconds(k[i:])) == robustness


# -- laws -------------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(formulas(), traces())
def test_not_only_turns_the_sign(formula: Formula, sampled: Sampled):
    k, signals = sampled
    t = seconds(k)
    positive, negative = compiled(formula), compiled(formula, "not ({})")
    assert negative.robustness(signals, t) == -positive.robustness(signals, t)
    assert negative.satisfied(signals, t) != positive.satisfied(signals, t)
    always = compiled(formula, "not always within 300 ms ({})")
    eventually = compiled(formula, "eventually within 300 ms not ({})")
    assert always.robustness(signals, t) == eventually.robustness(signals, t)


@settings(max_examples=100, deadline=None)
@given(formulas(), traces(), st.floats(0.0, 2.0), st.integers(0, 2**32 - 1))
def test_a_change_of_signals_moves_robustness_by_no_more_than_itself(
    formula: Formula, sampled: Sampled, size: float, seed: int
):
    k, signals = sampled
    rng = np.random.default_rng(seed)
    moved = {name: np.array(signals[name]) + rng.uniform(-size, size, len(k)) for name in "ab"}
    requirement = compiled(formula)
    before = requirement.robustness(signals, seconds(k))
    after = requirement.robustness({**moved, "flag": signals["flag"]}, seconds(k))
    assert before == after or abs(after - before) <= size + 1e-12


@settings(max_examples=60, deadline=None)
@given(traces(), st.integers(0, 3), st.sampled_from(("always", "eventually", "eventually for 200 ms", "b > 0 until")))
def test_a_greater_margin_everywhere_is_a_greater_robustness_by_just_that(sampled: Sampled, more: int, word: str):
    k, signals = sampled
    requirement = compile_requirement(f"{word} a > 0 and b >= -1")
    raised = {name: np.array(values) + more for name, values in signals.items()}
    assert requirement.robustness(raised, seconds(k)) == requirement.robustness(signals, seconds(k)) + more


@settings(max_examples=60, deadline=None)
@given(st.lists(traces(), min_size=1, max_size=5), formulas())
def test_many_runs_at_once_are_each_run_alone(runs: list[Sampled], formula: Formula):
    requirement = compiled(formula)
    offsets = np.cumsum([0, *(len(k) for k, _ in runs)])
    t = np.concatenate([seconds(k) for k, _ in runs])
    signals = {name: np.concatenate([s[name] for _, s in runs]) for name in ("a", "b", "flag")}
    alone = [requirement.robustness(s, seconds(k)) for k, s in runs]
    assert requirement.robustness_of(signals, t, offsets).tolist() == alone
    alone = [requirement.satisfied(s, seconds(k)) for k, s in runs]
    assert requirement.satisfied_of(signals, t, offsets).tolist() == alone


@settings(max_examples=60, deadline=None)
@given(traces())
def test_the_first_violation_of_a_safety_rule_is_the_first_sample_that_breaks_it(sampled: Sampled):
    k, signals = sampled
    requirement = compile_requirement("always a > -2 and (b < 3 or flag)")
    when, t = requirement.first_violation(signals, seconds(k)), seconds(k)
    for i in range(1, len(k) + 1):
        prefix = {name: values[:i] for name, values in signals.items()}
        assert requirement.satisfied(prefix, t[:i]) == (not t[i - 1] >= when)


# -- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [3, 7, 20, 30, 100, 240, 1000])
def test_a_sample_on_the_edge_lies_in_the_window_whatever_its_rounding(rate: int):
    k = np.arange(3 * rate)
    t = k / rate
    for start in range(0, 2 * rate, max(1, rate // 13)):
        hit = {"a": k[start:] == start + rate // 2, "b": k[start:] != start + rate // 2}
        span = f"{rate // 2 / rate!r} s"
        assert compile_requirement(f"eventually within {span} a").satisfied(hit, t[start:])
        assert compile_requirement(f"eventually after {span} a").satisfied(hit, t[start:])
        assert not compile_requirement(f"always within {span} b").satisfied(hit, t[start:])
        assert compile_requirement(f"b until within {span} a").satisfied(hit, t[start:])


def test_late_times_round_more_coarsely_and_windows_allow_for_it():
    t = 1e8 + np.arange(40) / 10
    signals = {"a": np.arange(40) == 13}
    assert compile_requirement("eventually after 1.3 s within 1.4 s a").satisfied(signals, t)
    assert not compile_requirement("eventually within 1.2 s a").satisfied(signals, t)


@pytest.mark.parametrize(("late", "found"), [(0.5e-9, True), (2e-9, False)])
def test_a_nanosecond_counts_as_nothing(late: float, found: bool):
    t, signals = np.array([0.0, 1.0 + late]), {"a": np.array([False, True])}
    assert compile_requirement("eventually within 1 s a").satisfied(signals, t) is found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("always a > 0", 1.0),
        ("always within 10 s a > 0", 1.0),
        ("always after 10 s a > 0", INF),
        ("eventually after 10 s a > 0", -INF),
        ("always after 10 s within 20 s a > 0", INF),
        ("eventually after 10 s within 20 s a > 0", -INF),
        ("a > 0 until after 10 s a > 0", -INF),
        ("for 2 s a > 0", 1.0),
        ("for 2.1 s a > 0", -INF),
        ("eventually for 2 s a > 0", 1.0),
        ("eventually for 1 s a > 1", 1.0),
        ("eventually after 1500 ms for 1 s a > 0", -INF),
        ("true", INF),
        ("always false", -INF),
        ("always not false", INF),
    ],
)
def test_what_lies_beyond_the_end_of_a_run(text: str, expected: float):
    t = np.array([0.0, 1.0, 2.0])
    assert compile_requirement(text).robustness({"a": np.array([1.0, 2.0, 3.0])}, t) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 1", 2.0),
        ("always a > 1", 2.0),
        ("eventually within 5 s a > 1", 2.0),
        ("a > 9 until a > 1", 2.0),
        ("for 1 s a > 1", -INF),
        ("a > 9 until after 1 s a > 1", -INF),
    ],
)
def test_one_sample(text: str, expected: float):
    assert compile_requirement(text).robustness({"a": np.array([3.0])}, np.array([4.0])) == expected


# -- meaning of texts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("always a > 0 or flag", "always ((a > 0) or flag)"),
        (
            "always a > 0 implies eventually within 1 s b > 0",
            "always ((a > 0) implies (eventually within 1 s (b > 0)))",
        ),
        ("not a > 0 and b > 0", "(not (a > 0)) and (b > 0)"),
        ("not not flag", "flag"),
        ("a > 0 or b > 0 and flag", "(a > 0) or ((b > 0) and flag)"),
        ("a > 0 or b > 0 until flag", "((a > 0) or (b > 0)) until flag"),
        ("a > 0 implies b > 0 until flag", "(a > 0) implies ((b > 0) until flag)"),
        ("flag and always a > 0 or b > 0", "flag and (always ((a > 0) or (b > 0)))"),
        ("eventually for 200 ms a > 0", "eventually ((always within 0.2 s a > 0) and (eventually after 0.2 s true))"),
        ("always within 0.3 after .1 a > 0", "always after 100 ms within 300 ms (a > 0 m)"),
        ("(a + b) * 2 > 3", "(((a + b) * 2 > 3))"),
        ("(a) > (b)", "a - b > 0"),
        ("min(a, b) > -1 and (max(a, b) < 2)", "(a > -1 and b > -1) and (a < 2 and b < 2)"),
        ("where(a > 0 and not flag, a, b) >= 1 m", "where((a > 0) and (not flag), a, b) >= 100 cm"),
        ("0 > a", "a < 0"),
        ("always within 0.3 min(a, b) > 0", "always within 300 ms min(a, b) > 0"),
        ("always within 1 min (a > 0)", "always within 60 s a > 0"),
        ("always\n  a > 0\n  or flag", "always a > 0 or flag"),
    ],
)
def test_precedence_and_reach(text: str, same: str):
    rng = np.random.default_rng(3)
    for n in range(1, 40):
        t = np.cumsum(rng.integers(1, 3, n)) / 10
        signals = {"a": rng.integers(-3, 4, n), "b": rng.integers(-3, 4, n), "flag": rng.random(n) < 0.4}
        one, other = compile_requirement(text, NAMES), compile_requirement(same, NAMES)
        assert one.robustness(signals, t) == other.robustness(signals, t)
        assert one.satisfied(signals, t) == other.satisfied(signals, t)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "a condition is missing"),
        ("always", 7, "a condition is missing"),
        ("always a > 0 and", 17, "a condition is missing"),
        ("always (a > 0", 8, "parentheses"),
        ("a > 0)", 6, "parentheses"),
        ("always ego.gapp > 0 m", 8, "did you mean 'ego.gap'"),
        ("alway a > 0", 1, "did you mean 'always'"),
        ("a > 0 untill flag", 7, "did you mean 'until'"),
        ("always a > 0 metre2", 14, "unit"),
        ("always a + b", 8, "a comparison is missing"),
        ("always 3 m", 8, "a comparison is missing"),
        ("eventually a < b < 3", 20, "chained"),
        ("a > 0 implies b > 0 implies flag", 21, "chained"),
        ("a > 0 until b > 0 until flag", 19, "chained"),
        ("always a > 0 and eventually b > 0", 18, "parentheses around"),
        ("always a > 0 or not eventually b > 0", 21, "parentheses around"),
        ("a > 0 within 3 s", 7, "right after always"),
        ("within 3 s a > 0", 1, "right after always"),
        ("a > 0 for 3 s", 7, "before what holds"),
        ("always for 3 s a > 0", 1, "always within 3 s"),
        ("always (for 3 s a > 0)", 1, "always within 3 s"),
        ("for a > 0", 5, "a time such as"),
        ("always within a > 0", 15, "a time such as"),
        ("always within -3 s a > 0", 15, "a time such as"),
        ("always within 0 s a > 0", 15, "must be > 0"),
        ("always within 3 m a > 0", 15, "expected a time"),
        ("always within 1e999 s a > 0", 15, "too large"),
        ("always within 3 s within 4 s a > 0", 19, "twice"),
        ("always after 3 s within 3 s a > 0", 25, "nothing lies between"),
        ("max(always a, 3) > 2", 5, "inside arithmetic"),
        ("(always a) > 2", 2, "inside arithmetic"),
        ("a > 0 always b", 7, "cannot stand here"),
        ("a = 3", 3, "`==`"),
        ("flag and __import__('os')", 10, "no function"),
        ("a.__class__ > 3", 1, "nothing is called"),
        ("a > 0 " + "or a > 0 " * 60, 401, "longer than"),
        ("(" * 33 + "flag" + ")" * 33, 33, "inside each other"),
        ("for 1 s " * 33 + "flag", 257, "inside each other"),
    ],
)
def test_errors_say_where_and_what(text: str, column: int, says: str):
    with pytest.raises(ExpressionError) as caught:
        compile_requirement(text, NAMES)
    assert says in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.column == column


SIGNS = ("(", ")", ">", "<=", "==", "<", "+", "-", "*", ",", "%", "°", "é", "'", ".", "\n")
PIECES = (*WORDS, *SIGNS, "a", "b", "flag", "ego.gap", "0", "1e3", "min(", "3 s", "200 ms", "__", "true")


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join) | st.text(max_size=60), st.booleans())
def test_garbage_is_refused_in_our_words_and_at_a_place_in_it(text: str, declared: bool):
    try:
        requirement = compile_requirement(text, NAMES if declared else None)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.message
        return
    verdict = requirement.judge(dict.fromkeys(requirement.names, 1.0), np.arange(4.0))
    assert not math.isnan(verdict.robustness)


# -- samples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signals", "t", "error"),
    [
        ({"a": []}, [], TruthError),
        ({"a": [1.0, 2.0]}, [0.0, 0.0], TruthError),
        ({"a": [1.0, 2.0]}, [1.0, 0.0], TruthError),
        ({"a": [1.0, 2.0]}, [0.0, math.nan], TruthError),
        ({"a": [1.0, 2.0]}, [0.0, INF], TruthError),
        ({"a": [1.0, 2.0]}, [0.0, 1.0, 2.0], TruthError),
        ({"a": [[1.0], [2.0]]}, [0.0, 1.0], TruthError),
        ({"b": [1.0]}, [0.0], ExpressionError),
        ({"a": ["1"]}, [0.0], ExpressionError),
    ],
)
def test_samples_that_cannot_be_judged(signals: dict[str, Any], t: list[float], error: type[Exception]):
    for method in ("judge", "robustness", "satisfied", "first_violation"):
        with pytest.raises(error):
            getattr(compile_requirement("always a > 0"), method)(signals, np.array(t))


def test_a_run_without_samples_is_named():
    with pytest.raises(TruthError, match=r"run 1 of 3"):
        compile_requirement("a > 0").robustness_of({"a": [1.0, 1.0]}, np.zeros(2), np.array([0, 1, 1, 2]))
    with pytest.raises(TruthError, match="do not fit"):
        compile_requirement("a > 0").robustness_of({"a": [1.0, 1.0]}, np.zeros(2), np.array([0, 1]))


@pytest.mark.parametrize(
    ("text", "holds"),
    [("a > 0", False), ("a <= 0", False), ("not a > 0", True), ("a == 0", False), ("a != 0", True), ("a", False)],
)
def test_what_has_no_value_satisfies_no_comparison(text: str, holds: bool):
    requirement = compile_requirement(text)
    samples = {"a": np.array([math.nan])}, np.zeros(1)
    assert requirement.satisfied(*samples) is holds
    assert requirement.robustness(*samples) == (INF if holds else -INF)


def test_infinite_signals_compare_as_numbers_do():
    samples = {"a": np.array([INF]), "b": np.array([INF])}, np.zeros(1)
    for text, robustness, holds in (("a > b", 0.0, False), ("a >= b", 0.0, True), ("a > -b", INF, True)):
        assert compile_requirement(text).robustness(*samples) == robustness
        assert compile_requirement(text).satisfied(*samples) is holds


def test_a_single_number_counts_for_every_sample():
    t = np.arange(3.0)
    requirement = compile_requirement("always ego.gap > safe")
    assert requirement.robustness({"ego.gap": t + 5.0, "safe": 3}, t) == 2.0
    assert requirement.names == ("ego.gap", "safe")


def test_a_requirement_travels_as_text():
    requirement = compile_requirement("always ego.gap > 0 m", NAMES)
    copy = pickle.loads(pickle.dumps(requirement))
    assert copy == requirement
    assert copy.robustness({"ego.gap": [2.0]}, [0.0]) == 2.0


# -- reasons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "when", "reason"),
    [
        ("always gap > 0 m", 2.0, "gap fell to -0.1 m at 2 s, worst -0.3 m at 2.5 s"),
        ("always gap > 0 cm", 2.0, "gap fell to -10 cm at 2 s, worst -30 cm at 2.5 s"),
        ("not eventually gap <= 0 m", 2.0, "gap fell to -0.1 m at 2 s, worst -0.3 m at 2.5 s"),
        ("always 2 m/s > speed", 0.5, "speed rose to 2 m/s at 0.5 s, worst 6 m/s at 2.5 s"),
        ("always speed > 3", 0.0, "speed was 1 at 0 s"),
        ("always speed < gap", 0.5, "speed < gap failed at 0.5 s (2 against 2)"),
        ("always speed < 2 or braking", 0.5, "speed rose to 2 at 0.5 s and braking was false at 0.5 s"),
        ("always not braking", 2.0, "braking was true at 2 s"),
        ("eventually gap > 5 m", 2.5, "gap > 5 m never held, nearest 3 m at 0 s"),
        ("eventually within 1 s braking", 1.0, "braking never held within 1 s"),
        (
            "always speed >= 3 implies eventually within 0.5 s gap < -1 m",
            1.5,
            "gap < -1 m never held within 0.5 s from 1 s on, nearest 0.5 m at 1.5 s (while speed >= 3 at 1 s)",
        ),
        ("for 1 s gap > 1.5 m", 1.0, "gap fell to 1 m at 1 s, within 1 s from 0 s on"),
        ("for 9 s gap > -9 m", 2.5, "the run ended at 2.5 s, before gap > -9 m had held for 9 s from 0 s on"),
        ("gap > 1 m until braking", 1.0, "gap fell to 1 m at 1 s, before braking"),
        ("gap > -1 m until speed > 9", 2.5, "speed > 9 never held, nearest 6 at 2.5 s"),
        (
            "eventually after 9 s braking",
            2.5,
            "the run ended at 2.5 s, before eventually after 9 s braking could be judged",
        ),
        (
            "not (gap > 0 until braking) or gap > 9 m",
            0.0,
            "gap > 0 until braking held from 0 s on and gap was 3 m at 0 s",
        ),
        ("always lost > 0 m", 0.5, "lost had no value at 0.5 s"),
        ("(always gap > 0) and (always speed < 4)", 1.5, "speed rose to 4 at 1.5 s, worst 6 at 2.5 s"),
        ("always gap > 0 and speed < 4", 1.5, "speed rose to 4 at 1.5 s"),
    ],
)
def test_when_and_why_a_run_broke_it(text: str, when: float, reason: str):
    t = np.arange(6) / 2
    signals = {
        "gap": np.array([3.0, 2.0, 1.0, 0.5, -0.1, -0.3]),
        "speed": np.arange(1.0, 7.0),
        "braking": t >= 2.0,
        "lost": np.where(t == 0.5, math.nan, 1.0),
    }
    if text.startswith("not (gap"):
        signals["gap"] = np.full(6, 3.0)
    verdict = compile_requirement(text).judge(signals, t)
    assert not verdict.satisfied
    assert (verdict.t_violation, verdict.reason) == (when, reason)


# -- signals of a table -----------------------------------------------------------------------------------------------


def test_signals_of_a_table_by_actor():
    schema = {
        "t": Column(unit="s"),
        "actor": Column("category", names=("ego", "van", "ghost"), role="entity"),
        "speed": Column(unit="m/s"),
        "hit": Column("bool"),
        "note": Column("text"),
    }
    rows = {"t": [0.0, 1.0, 1.0, 2.0, 3.0], "actor": [0, 0, 1, 1, 0], "speed": [1.0, 2.0, 7.0, 8.0, 3.0]}
    rows |= {"hit": [False, False, True, False, True], "note": ["", "", "", "", ""]}
    table = Table.of(schema, [{}, rows])
    assert signal_names(schema)[:3] == ("ego.speed", "ego.hit", "van.speed")
    t, signals = signals_of(table, 1)
    assert t.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert signals["ego.speed"].tolist() == [1.0, 2.0, 2.0, 3.0]
    assert signals["ego.hit"].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert np.array_equal(signals["van.speed"], [math.nan, 7.0, 8.0, 8.0], equal_nan=True)
    assert np.isnan(signals["ghost.speed"]).all()
    assert set(signals) == set(signal_names(schema))
    assert set(signals_of(table, 1, names=["van.hit", "ego.jerk"])[1]) == {"van.hit"}
    verdict = compile_requirement("always ego.speed < 2.5 m/s", signal_names(schema)).judge(signals, t)
    assert verdict.reason == "ego.speed rose to 3 m/s at 3 s"
    for run in (-1, 2):
        with pytest.raises(TruthError, match="2 runs"):
            signals_of(table, run)


def test_signals_of_a_table_of_one_subject_keep_their_names():
    schema = {"t": Column(unit="s"), "load": Column("int64")}
    t, signals = signals_of(Table.of(schema, [{"t": [0.0, 2.0, 2.0], "load": [1, 2, 3]}]), 0)
    assert (t.tolist(), signals["load"].tolist(), list(signals)) == ([0.0, 2.0], [1.0, 3.0], ["load"])
