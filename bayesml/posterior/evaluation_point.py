"""The row at which a variance is evaluated that depends on covariates.

Every covariate stands at its mean over the rows, a categorical one at the shares of its levels,
unless the user sets it. A term that only the whole table defines (splines, poly, center, scale)
stands at its own mean.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bayesml.design.expressions import evaluate
from bayesml.errors import FitError, FormulaError, did_you_mean, listed, quoted
from bayesml.records.facts import outcome_places
from bayesml.records.fits import Fit
from bayesml.specs.formulas import parse_terms
from bayesml.specs.parsing import parse, unparse
from bayesml.specs.syntax import Binary, Call, Name, Node, Unary, column_names


@dataclass(frozen=True)
class EvaluationPoint:
    """A row: the terms' values, and the covariates' values that they come from.

    Parameters
    ----------
    terms : mapping of str to array
        The row of Z by grouping name.
    coefficients : array, shape (coefficients,), or None
        The row of X, where it was asked for.
    at : mapping of str to float or str
        Values of the covariates that these depend on. A key such as ``"urban[Y]"`` holds the share
        of a level, one such as ``"poly(age, 2)[1]"`` the mean of a term.
    parts : mapping of str to array
        The row of X of each parameter with a linear predictor of its own, where it was asked for.
    part_terms : mapping of str to mapping of str to array
        By parameter and grouping name the row of Z, with 0 for the terms of other predictors.
    """

    terms: Mapping[str, np.ndarray]
    coefficients: np.ndarray | None
    at: Mapping[str, float | str]
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    part_terms: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Factor:
    """A variable of a formula as labels show it: a number's expression, or levels."""

    text: str
    node: Node
    columns: tuple[str, ...]
    levels: Mapping[str, float]


def evaluation_point(
    fit: Fit,
    at: Mapping[str, object] | None = None,
    *,
    fixed: bool = False,
    outcome: int | None = None,
    parts: bool = False,
) -> EvaluationPoint:
    """Return the row at which variances are evaluated.

    Parameters
    ----------
    fit : Fit
    at : mapping of str to number or str, optional
        Values of some covariates: ``{"year": 0}``, for a categorical one a level:
        ``{"urban": "Y"}``. The others stay at their means.
    fixed : bool
        Whether the fixed part's row is wanted too.
    outcome : int or None
        Number of the outcome, where there are several: the terms of the others are 0.
    parts : bool
        Whether the rows of the parameters that have a formula of their own are wanted too.

    Returns
    -------
    EvaluationPoint

    Raises
    ------
    FitError
        `at` names a covariate that the model does not have or that cannot be set, or gives a value
        that it cannot have.
    """
    facts = fit.facts
    in_fixed = _factors(fit, [fit.spec.fixed])
    in_terms = {item.name: _factors(fit, item.terms) for item in fit.spec.every_grouping}
    in_parts = {
        name: _factors(fit, [formula.fixed]) for name, formula in fit.spec.part_formulas.items()
    }
    everything = [*in_terms.values(), *in_parts.values()]
    chosen = _checked_at(fit, at, [*in_fixed, *(one for part in everything for one in part)])
    used: dict[str, float | str] = {}
    terms: dict[str, np.ndarray] = {}
    part_terms: dict[str, dict[str, np.ndarray]] = {item.parameter: {} for item in facts.parts}
    for grouping in facts.groupings:
        for predictor in ("", *(part_terms if parts else ())):
            # Terms of other predictors have no place in this one: their z is 0.
            # Those of a nominal outcome's categories are told apart by their labels.
            values, places = np.zeros(len(grouping.terms)), grouping.places(predictor)
            places = list(range(len(values))) if facts.nominal else places
            row = _Row(fit, chosen, in_terms[grouping.name])
            labels = [grouping.terms[i].removeprefix(f"{predictor}:") for i in places]
            means = [grouping.term_means[i] for i in places]
            values[places] = row.of_outcome(labels, means, outcome)
            used |= row.at
            (part_terms[predictor] if predictor else terms)[grouping.name] = values
    of_parts: dict[str, np.ndarray] = {}
    for part in facts.parts if parts else ():
        row = _Row(fit, chosen, in_parts[part.parameter])
        of_parts[part.parameter] = row.values(part.coefficients, part.coefficient_means)
        used |= row.at
    coefficients = None
    if fixed:
        row = _Row(fit, chosen, in_fixed)
        coefficients = row.of_outcome(facts.coefficients, facts.coefficient_means, outcome)
        used |= row.at
    return EvaluationPoint(terms, coefficients, used, of_parts, part_terms)


def _factors(fit: Fit, texts: Sequence[str]) -> tuple[_Factor, ...]:
    """Return the variables of right-hand sides, those with long labels first."""
    found: dict[str, _Factor] = {}

    def visit(node: Node) -> None:
        match node:
            case Binary(_, left, right):
                visit(left)
                visit(right)
            case Unary(_, operand):
                visit(operand)
            case Name() | Call():
                # Labels show names as they are, formulas odd ones in backticks.
                text = unparse(node, expression=True).replace("`", "")
                levels = fit.facts.level_shares.get(text, {})
                found[text] = _Factor(text, node, tuple(column_names(node)), levels)

    for text in texts:
        visit(parse_terms(text))
    return tuple(sorted(found.values(), key=lambda factor: -len(factor.text)))


def _checked_at(
    fit: Fit, at: Mapping[str, object] | None, factors: Sequence[_Factor]
) -> dict[str, float | str]:
    """Return the values that the user set, checked against the model."""
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise FitError(f"at is {quoted(str(at))}. Give covariates with values: at={{'year': 0}}.")
    offsets = {name for text in fit.spec.parts.offsets for name in column_names(parse(text))}
    offsets |= {str(fit.spec.exposure), str(fit.spec.offset)}
    columns = list(dict.fromkeys(column for factor in factors for column in factor.columns))
    allowed = [column for column in columns if column not in offsets]
    chosen: dict[str, float | str] = {}
    for name, value in at.items():
        if name not in allowed:
            reason = (
                "which enters the offset, and the offset stays at its mean"
                if name in offsets
                else "which is not a covariate of this model"
            )
            hint = did_you_mean(name, allowed) if allowed else "The model has none: leave at out."
            raise FitError(f"at names {quoted(name)}, {reason}. {hint}")
        kinds = [factor.levels for factor in factors if name in factor.columns]
        number = any(not levels for levels in kinds)
        chosen[name] = _number(name, value) if number else str(value)
        for levels in filter(None, kinds):
            level = _level(chosen[name], levels)
            if level is None:
                raise FitError(
                    f"at sets {quoted(name)} to {quoted(str(value))}, which is not one of its "
                    f"levels. Levels: {listed(levels, most=12)}."
                )
            if not number:
                chosen[name] = level
    return chosen


def _number(name: str, value: object) -> float:
    number = math.nan
    if isinstance(value, int | float | np.number | np.bool_):
        number = float(value)
    if not math.isfinite(number):
        raise FitError(
            f"at sets {quoted(name)} to {quoted(str(value))}, but this covariate is a number. "
            f"Give one, such as at={{{name!r}: 0}}."
        )
    return number


def _level(value: float | str, levels: Mapping[str, float]) -> str | None:
    """Return the level that a value names: text as it is, numbers by their value."""
    if str(value) in levels:
        return str(value)
    for level in levels:
        try:
            if float(level) == float(value):
                return level
        except ValueError:
            continue
    return None


class _Row:
    """Evaluates labels of one formula part, and notes what the values come from."""

    def __init__(self, fit: Fit, chosen: Mapping[str, float | str], factors: Sequence[_Factor]):
        self.facts = fit.facts
        self.chosen = chosen
        self.factors = factors
        self.columns = {**fit.facts.covariate_means, **chosen}
        self.at: dict[str, float | str] = {}

    def values(self, labels: Sequence[str], means: Sequence[float]) -> np.ndarray:
        """Return the value of each label; its mean where it cannot be computed from covariates."""
        return np.array(
            [self._value(label, mean) for label, mean in zip(labels, means, strict=True)]
        )

    def of_outcome(
        self, labels: Sequence[str], means: Sequence[float], outcome: int | None
    ) -> np.ndarray:
        """Return the value of each label of an outcome, and 0 for those of other outcomes."""
        if outcome is None:
            return self.values(labels, means)
        name = self.facts.outcomes[outcome]
        # All rows tell of every category.
        share = 1.0
        if not self.facts.nominal:
            share = self.facts.level_shares[self.facts.outcome_column][name]
        places = outcome_places(self.facts, labels, outcome)
        values = np.zeros(len(labels))
        own = [labels[place].removeprefix(f"{name}:") for place in places]
        # Means are over the rows of all outcomes, and 0 on the rows of the others.
        values[places] = self.values(own, [means[place] / share for place in places])
        return values

    def _value(self, label: str, mean: float) -> float:
        if label == "Intercept":
            return 1.0
        # Labels may show the constant in backticks, as formulas write a column of that name.
        parts = _parts(label.replace("`pi`", "pi"), self.factors)
        if parts is None:
            self._refuse_chosen(label)
            self.at[label] = mean
            return mean
        value = 1.0
        for factor, level in parts:
            value *= self._level(factor, level) if level else self._number(factor)
        return value

    def _level(self, factor: _Factor, level: str) -> float:
        (column,) = factor.columns
        if column not in self.chosen:
            self.at[f"{factor.text}[{level}]"] = factor.levels[level]
            return factor.levels[level]
        self.at[column] = self.chosen[column]
        return float(_level(self.chosen[column], factor.levels) == level)

    def _number(self, factor: _Factor) -> float:
        used = {column: float(self.columns[column]) for column in factor.columns}
        value = float(evaluate(factor.node, {name: np.array(used[name]) for name in used}))
        if not math.isfinite(value):
            where = ", ".join(f"{name} = {number:g}" for name, number in used.items())
            raise FitError(
                f"{factor.text} is not a finite number at {where}. Set other values: "
                f"at={{{next(iter(used))!r}: ...}}."
            )
        self.at |= used
        return value

    def _refuse_chosen(self, label: str) -> None:
        inside = [
            factor
            for factor in self.factors
            if re.search(rf"(^|:){re.escape(factor.text)}($|:|\[)", label)
        ]
        # A label in which no variable is recognised may depend on any of them.
        suspects = [column for item in inside or self.factors for column in item.columns]
        hit = [column for column in suspects if column in self.chosen]
        if hit:
            raise FitError(
                f"The term {quoted(label)} cannot be computed at a value of {quoted(hit[0])}: "
                "poly, bs, cr, center and scale depend on the whole table. Leave "
                f"{quoted(hit[0])} out of at, which keeps the term at its mean, or fit the model "
                f"with powers such as I({hit[0]} ** 2)."
            )


def _parts(label: str, factors: Sequence[_Factor]) -> list[tuple[_Factor, str]] | None:
    """Return the factors, with levels, that a label multiplies; None where one is not computable.

    The label is matched against the formula's own variables, since names and levels may hold any
    character, colons and brackets too.
    """
    for factor in factors:
        if factor.levels:
            texts = {f"{factor.text}[{level}]": level for level in factor.levels}
        elif _computable(factor):
            texts = {factor.text: ""}
        else:
            continue
        for text, level in texts.items():
            if label == text:
                return [(factor, level)]
            if label.startswith(f"{text}:"):
                rest = _parts(label[len(text) + 1 :], factors)
                if rest is not None:
                    return [(factor, level), *rest]
    return None


def _computable(factor: _Factor) -> bool:
    """Whether the factor follows from the values of its columns alone."""
    try:
        evaluate(factor.node, {name: np.array(1.0) for name in factor.columns})
    except FormulaError:
        return False
    return True


def mean_predictor(fit: Fit, point: EvaluationPoint, outcome: int | None = None) -> np.ndarray:
    """Return the linear predictor at the point, without random effects and cutpoints.

    Returns
    -------
    array, shape (chains, draws)
    """
    sizes = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"])
    eta = np.full(sizes, mean_offset(fit, outcome))
    if "beta" in fit.posterior:
        eta += fit.coefficient_draws @ point.coefficients
    return eta


def mean_offset(fit: Fit, outcome: int | None) -> float:
    """Return the mean of the known part of an outcome's linear predictor over its rows.

    Of outcomes with families of their own the counts have one, the log of the exposure; all of
    them the same.
    """
    facts, spec = fit.facts, fit.spec
    if outcome is None or not spec.families:
        return facts.offset_mean
    shares = facts.level_shares[facts.outcome_column]
    counts = [item.outcome for item in spec.outcome_families if item.record.response == "count"]
    if facts.outcomes[outcome] not in counts:
        return 0.0
    return facts.offset_mean / sum(shares[name] for name in counts)
