"""CloudWatch metric math, as far as alarms and dashboards need it.

A time series is a mapping of period start (epoch seconds) to value; a missing period is not in it. Syntax and
the meaning of operators and functions are CloudWatch's:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import ast
import itertools
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

type Series = dict[int, float]
type Value = float | Series | list[Series]

OPERATORS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.And: lambda left, right: bool(left) and bool(right),
    ast.Or: lambda left, right: bool(left) or bool(right),
}

REDUCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
    "MIN": min,
    "MAX": max,
}

ROUNDINGS: Mapping[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}


def _rate(series: Series) -> Series:
    """Of each value but the first, the change since the one before it, for each second in between."""
    return {
        at: (series[at] - series[before]) / (at - before) for before, at in itertools.pairwise(sorted(series))
    }


def _difference(series: Series) -> Series:
    return {at: series[at] - series[before] for before, at in itertools.pairwise(sorted(series))}


def _running_sum(series: Series) -> Series:
    return dict(zip(sorted(series), itertools.accumulate(series[at] for at in sorted(series)), strict=True))


CHANGES: Mapping[str, Callable[[Series], Series]] = {
    "RATE": _rate,
    "DIFF": _difference,
    "RUNNING_SUM": _running_sum,
}

TO_PYTHON = (
    (re.compile(r"\^"), "**"),
    (re.compile(r"&&|\bAND\b"), " and "),
    (re.compile(r"\|\||\bOR\b"), " or "),
)
"""CloudWatch's spellings of operators that Python spells in another way."""


class UnsupportedExpressionError(Exception):
    """The expression is not metric math, or uses a part of it that is not implemented here."""


@dataclass(frozen=True, slots=True)
class Window:
    """What an expression is evaluated over.

    Attributes
    ----------
    periods
        Period starts (epoch seconds), oldest first.
    metrics
        The metrics by id, each with the periods that have data.
    others
        Other expressions by id, which may be referred to.
    search
        Finds metrics: search expression, statistic and period to time series. None where none are found,
        as in alarms.
    """

    periods: Sequence[int]
    metrics: Mapping[str, Series]
    others: Mapping[str, str]
    search: Callable[[str, str, int], list[Series]] | None = None

    @property
    def period(self) -> int:
        """Seconds of one period; a minute where there is only one of it."""
        return self.periods[1] - self.periods[0] if len(self.periods) > 1 else 60


def evaluate(expression: str, window: Window) -> Series:
    """Evaluate an expression to one time series over the window.

    Raises
    ------
    UnsupportedExpressionError
        When it cannot be, or gives more than one series.
    """
    value = _Evaluation(window).of(expression)
    if isinstance(value, list):
        message = f"{expression!r} gives several time series"
        raise UnsupportedExpressionError(message)
    return value if isinstance(value, dict) else dict.fromkeys(window.periods, value)


def evaluate_each(expression: str, window: Window) -> list[Series]:
    """Evaluate an expression to as many time series as it gives.

    Raises
    ------
    UnsupportedExpressionError
        When it cannot be.
    """
    value = _Evaluation(window).of(expression)
    series = value if isinstance(value, list) else [value]
    return [each if isinstance(each, dict) else dict.fromkeys(window.periods, each) for each in series]


class _Evaluation:
    def __init__(self, window: Window) -> None:
        self.window = window
        self.within: set[str] = set()

    def of(self, expression: str) -> Value:
        source = expression.strip()
        for pattern, replacement in TO_PYTHON:
            source = pattern.sub(replacement, source)
        try:
            return self.node(ast.parse(source, mode="eval").body)
        except SyntaxError as error:
            message = f"{expression!r} is not metric math"
            raise UnsupportedExpressionError(message) from error

    def node(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self.named(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _combine(operator.mul, -1.0, self.node(operand))
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
                return _combine(OPERATORS[type(sign)], self.node(left), self.node(right))
            case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in OPERATORS:
                return _combine(OPERATORS[type(sign)], self.node(left), self.node(right))
            case ast.BoolOp(op=sign, values=[first, *rest]):
                value = self.node(first)
                for other in rest:
                    value = _combine(OPERATORS[type(sign)], value, self.node(other))
                return value
            case ast.List(elts=elements):
                return [self.series(element) for element in elements]
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
                return self.call(function, arguments)
        message = f"the emulator does not implement {ast.unparse(node)!r} of metric math"
        raise UnsupportedExpressionError(message)

    def named(self, name: str) -> Value:
        if name in self.window.metrics:
            return self.window.metrics[name]
        if name not in self.window.others or name in self.within:
            message = f"there is no metric {name!r}"
            raise UnsupportedExpressionError(message)
        self.within.add(name)
        value = self.of(self.window.others[name])
        self.within.remove(name)
        return value

    def series(self, node: ast.expr) -> Series:
        value = self.node(node)
        if isinstance(value, list):
            message = f"{ast.unparse(node)!r} gives several time series"
            raise UnsupportedExpressionError(message)
        return value if isinstance(value, dict) else dict.fromkeys(self.window.periods, value)

    def call(self, function: str, arguments: list[ast.expr]) -> Value:
        match function, arguments:
            case "METRICS", []:
                return list(self.window.metrics.values())
            case "METRICS", [ast.Constant(value=str() as part)]:
                return [series for name, series in self.window.metrics.items() if part in name]
            case (("SUM" | "AVG" | "MIN" | "MAX"), [argument]):
                return self.reduced(REDUCTIONS[function], self.node(argument))
            case (("ABS" | "CEIL" | "FLOOR"), [argument]):
                rounding = ROUNDINGS[function]
                return _combine(lambda value, _: rounding(value), self.node(argument), 0.0)
            case (("RATE" | "DIFF" | "RUNNING_SUM"), [argument]):
                return self.over_time(CHANGES[function], self.node(argument))
            case "PERIOD", [_]:
                return float(self.window.period)
            case "SEARCH", [
                ast.Constant(value=str() as term),
                ast.Constant(value=str() as statistic),
                *period,
            ] if self.window.search is not None:
                return self.window.search(term, statistic, self.seconds(period))
            case "TIME_SERIES", [argument]:
                return self.series(argument)
            case "FILL", [argument, filler]:
                return self.filled(self.node(argument), filler)
            case "IF", [condition, if_true]:
                chosen = self.series(if_true)
                return {
                    at: chosen[at] for at, holds in self.series(condition).items() if holds and at in chosen
                }
            case "IF", [condition, if_true, if_false]:
                branches = self.series(if_false), self.series(if_true)
                return {
                    at: branches[bool(holds)][at]
                    for at, holds in self.series(condition).items()
                    if at in branches[bool(holds)]
                }
        message = f"the emulator does not implement the function {function} of metric math"
        raise UnsupportedExpressionError(message)

    def reduced(self, reduction: Callable[[Sequence[float]], float], value: Value) -> Value:
        """Of several series, one series; of one series, one number."""
        if isinstance(value, list):
            present = {at: [series[at] for series in value if at in series] for at in self.window.periods}
            return {at: float(reduction(values)) for at, values in present.items() if values}
        if isinstance(value, dict):
            return float(reduction(list(value.values()))) if value else {}
        return value

    def seconds(self, period: list[ast.expr]) -> int:
        match period:
            case []:
                return self.window.period
            case [ast.Constant(value=int() as seconds)]:
                return seconds
        message = "the period of a search is a number of seconds"
        raise UnsupportedExpressionError(message)

    def over_time(self, change: Callable[[Series], Series], value: Value) -> Value:
        if isinstance(value, list):
            return [change(series) for series in value]
        return change(value if isinstance(value, dict) else dict.fromkeys(self.window.periods, value))

    def filled(self, value: Value, filler: ast.expr) -> Value:
        if isinstance(value, list):
            return [self._filled_series(series, filler) for series in value]
        return self._filled_series(value, filler) if isinstance(value, dict) else value

    def _filled_series(self, series: Series, filler: ast.expr) -> Series:
        if isinstance(filler, ast.Name) and filler.id == "REPEAT":
            filled: Series = {}
            latest: float | None = None
            for at in self.window.periods:
                latest = series.get(at, latest)
                if latest is not None:
                    filled[at] = latest
            return filled
        return self.series(filler) | series


def _combine(operation: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Apply an operation period by period; missing values and divisions by zero give none."""
    if isinstance(left, list):
        return [_one(_combine(operation, each, right)) for each in left]
    if isinstance(right, list):
        return [_one(_combine(operation, left, each)) for each in right]
    if not isinstance(left, dict) and not isinstance(right, dict):
        return float(operation(left, right))
    series = [value for value in (left, right) if isinstance(value, dict)]
    periods = set.intersection(*(set(each) for each in series))
    result: Series = {}
    for at in sorted(periods):
        try:
            result[at] = float(
                operation(
                    left[at] if isinstance(left, dict) else left,
                    right[at] if isinstance(right, dict) else right,
                )
            )
        except ZeroDivisionError:
            continue
    return result


def _one(value: Value) -> Series:
    assert isinstance(value, dict)
    return value
