"""The linear predictors of a likelihood's further parameters: their matrices and default priors."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesml.design.checks import check_predictors
from bayesml.design.default_priors import PriorBook, Scales
from bayesml.design.matrices import Matrix, build_matrix, without_intercept
from bayesml.design.parametrisation import (
    FEWEST_UNITS,
    THRESHOLD,
    Form,
    Reliability,
    chosen_form,
    reliabilities,
)
from bayesml.design.unit_kinds import UnitKinds, terms_by_kind
from bayesml.design.units import Units
from bayesml.design.working_responses import Working
from bayesml.errors import SpecError, quoted
from bayesml.specs.category_effects import CATEGORY_SPECIFIC
from bayesml.specs.distributions import Prior
from bayesml.specs.family_records import Parameter
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import parse
from bayesml.specs.predictors import predicted_parameter, predictor_link
from bayesml.specs.resolved import ResolvedPart, labels_by_kind, part_label
from bayesml.specs.syntax import column_names

if TYPE_CHECKING:
    from bayesml.design.designs import Design

# Scale of the default prior of an SD on the log or logit scale of a parameter. An SD of 1 makes
# the parameters of two units differ by a factor of exp(0.95 * 1) = 2.6 in the median: half of
# that is already a lot for a residual SD, and units with few rows say little about theirs.
SPREAD = 0.5


def build_parts(
    spec: ModelSpec, frame: pd.DataFrame, baseline: Mapping[str, str], positions: np.ndarray
) -> dict[str, Matrix]:
    """Return the matrix of every part: of parameters with a linear predictor, and of `cs(...)`.

    Category-specific effects have no intercept: the cutpoints are one for each category.

    Raises
    ------
    TableError, FormulaError, SpecError
        A column cannot enter the formula, or a predictor repeats others.
    """
    found: dict[str, Matrix] = {}
    for name, formula in spec.part_formulas.items():
        specific = name == CATEGORY_SPECIFIC
        where = "cs()" if specific else f"the formula of {quoted(name)}"
        matrix = build_matrix(formula.fixed, frame, baseline, where, positions)
        check_predictors(matrix, True)
        found[name] = without_intercept(matrix) if specific else matrix
    return found


def columns_of_parts(spec: ModelSpec) -> list[str]:
    """Return the columns of the parts' fixed parts."""
    return [
        name
        for formula in spec.part_formulas.values()
        for name in column_names(parse(formula.fixed))
    ]


def main_reliabilities(
    working: Working,
    predictors: np.ndarray,
    groupings: Sequence[tuple[Units, np.ndarray]],
    of_terms: Sequence[tuple[str, ...]],
    of_kinds: Sequence[UnitKinds | None],
) -> list[Reliability]:
    """Return the reliability of each grouping; of terms of other predictors nothing is known.

    Parameters
    ----------
    working : Working
        The stand-in for the outcome.
    predictors : array, shape (rows, coefficients)
    groupings : sequence of (Units, array of shape (rows, terms))
    of_terms : sequence of tuple of str
        Linear predictor of each term of each grouping, empty for the main one.
    of_kinds : sequence of UnitKinds or None
        The kinds of each grouping's units: every kind has SDs of its own.

    Returns
    -------
    list of Reliability
        With zeros for the terms that do not enter the main linear predictor.
    """
    chosen = [np.array([not name for name in names]) for names in of_terms]
    known = iter(
        reliabilities(
            working,
            predictors,
            [
                (units, _terms_of_kinds(units, terms[..., main], kinds))
                for (units, terms), main, kinds in zip(groupings, chosen, of_kinds, strict=True)
                if main.any()
            ],
        )
    )
    found = []
    for (units, _), main, kinds in zip(groupings, chosen, of_kinds, strict=True):
        sd, by_unit = np.zeros(len(main)), np.zeros((len(units.labels), len(main)))
        if main.any():
            result = next(known)
            own = result.by_unit.reshape(len(units.labels), -1, int(main.sum()))
            number = np.zeros(len(own), dtype=int) if kinds is None else kinds.of_unit
            by_unit[:, main] = own[np.arange(len(own)), number]
            sd[main] = result.sd.reshape(own.shape[1:]).mean(axis=0)
        found.append(Reliability(sd, by_unit, None if kinds is None else kinds.of_unit))
    return found


def _terms_of_kinds(units: Units, terms: np.ndarray, kinds: UnitKinds | None) -> np.ndarray:
    """Return Z with a column for each kind of units and term, shape (rows, SDs)."""
    if kinds is None:
        return terms
    return terms_by_kind(terms, kinds.of_unit[units.index], len(kinds.labels))


def form_of_student_effects(result: Reliability, predictors: Sequence[str]) -> Form:
    """Return the form that suits Student-t effects: one centred term, or non-centred ones."""
    first = float(result.mean[0])
    words = f"the units' mean reliability is {first:.2f}"
    centred = first >= THRESHOLD and len(result.by_unit) >= FEWEST_UNITS
    if centred and len(predictors) == 1 and not any(predictors):
        return Form(1, False, f"centred: {words}")
    if len(predictors) > 1:
        words = "Student-t effects of several terms share what scales a unit"
    return Form(0, False, f"non-centred: {words}")


def form_set_by_user(grouping: Grouping, terms: int) -> Form:
    """Return the form that the user chose.

    Raises
    ------
    SpecError
        Student-t effects of several terms cannot be centred.
    """
    chosen = grouping.parametrisation
    if chosen == "centred" and grouping.effects == "student" and terms > 1:
        raise SpecError(
            f"The Student-t effects of {quoted(grouping.name)} have {terms} terms, which are "
            "sampled non-centred only. Use parametrisation 'auto' or 'non-centred'."
        )
    centred = {"centred": terms, "partly centred": 1}.get(chosen, 0)
    return Form(centred, False, f"{chosen}: set by the user")


def form_of_terms(result: Reliability, predictors: Sequence[str]) -> Form:
    """Return the form that suits a grouping; terms of other predictors are non-centred."""
    if not any(predictors):
        return chosen_form(result)
    names = ", ".join(dict.fromkeys(name for name in predictors if name))
    if predictors[0]:
        return Form(0, False, f"non-centred: effects of {names}")
    first = float(result.mean[0])
    if len(result.by_unit) >= FEWEST_UNITS and first >= THRESHOLD:
        return Form(
            1,
            False,
            f"partly centred: the units' mean reliability is {first:.2f} for the first term; "
            f"effects of {names} are non-centred",
        )
    return Form(
        0,
        False,
        f"non-centred: the units' mean reliability is {first:.2f}, and there are effects of "
        f"{names}",
    )


def resolve_parts(
    spec: ModelSpec, matrices: Mapping[str, Matrix], book: PriorBook, scales: Scales
) -> tuple[ResolvedPart, ...]:
    """Return the parts with every prior as numbers.

    The intercept, at centred predictors: Student-t(3, m, 1) on the log scale of a parameter whose
    scale is that of the outcome, m = log SD(y); Student-t(3, 0, 2.5) on the log scale of others;
    Normal(0, 1.5) on the logit scale. Coefficients: Normal(0, 1 / SD(x)). Without an intercept,
    columns that add up to a constant (a column per level) each have its location and a scale of 1.
    Category-specific effects have the priors of other coefficients, the same for each cutpoint.
    """
    found = []
    for name, matrix in matrices.items():
        if name == CATEGORY_SPECIFIC:
            found.append(_resolved_specific(matrix, book, scales))
            continue
        parameter = predicted_parameter(spec.family_record, name)
        intercept = "Intercept" in matrix.labels
        default = _intercept_prior(parameter, scales)
        slopes = [label for label in matrix.labels if label != "Intercept"]
        columns = matrix.values[:, int(intercept) :]
        defaults = _slope_priors(columns, intercept, default.values[-2])
        found.append(
            ResolvedPart(
                parameter=name,
                link=predictor_link(parameter),
                coefficients=matrix.labels,
                intercept_prior=book.prior((f"Intercept_{name}",), "real", default)
                if intercept
                else None,
                slope_priors=tuple(
                    book.prior((f"beta_{name}[{label}]", f"beta_{name}"), "real", prior)
                    for label, prior in zip(slopes, defaults, strict=True)
                ),
            )
        )
    return tuple(found)


def _resolved_specific(matrix: Matrix, book: PriorBook, scales: Scales) -> ResolvedPart:
    deviations = np.std(matrix.values, axis=0, ddof=1)
    return ResolvedPart(
        parameter=CATEGORY_SPECIFIC,
        link="identity",
        coefficients=matrix.labels,
        intercept_prior=None,
        slope_priors=tuple(
            book.prior(
                (f"beta_{CATEGORY_SPECIFIC}[{label}]", f"beta_{CATEGORY_SPECIFIC}"),
                "real",
                Prior("Normal", (0.0, 2.5 * scales.response / float(deviation))),
            )
            for label, deviation in zip(matrix.labels, deviations, strict=True)
        ),
    )


def _intercept_prior(parameter: Parameter, scales: Scales) -> Prior:
    if predictor_link(parameter) == "logit":
        return Prior("Normal", (0.0, 1.5))
    if "{s}" in parameter.default:
        return Prior("StudentT", (3.0, float(np.log(scales.response)), 1.0))
    return Prior("StudentT", (3.0, 0.0, 2.5))


def _slope_priors(columns: np.ndarray, intercept: bool, location: float) -> list[Prior]:
    if not columns.shape[1]:
        return []
    deviations = np.std(columns, axis=0, ddof=1)
    # A constant column is legal without an intercept: its own size takes the place of an SD.
    deviations = np.where(deviations > 0, deviations, np.abs(columns).mean(axis=0))
    priors = [Prior("Normal", (0.0, float(1 / deviation))) for deviation in deviations]
    if intercept:
        return priors
    ones = np.ones(len(columns))
    weights = np.linalg.lstsq(columns, ones, rcond=None)[0]
    if np.abs(columns @ weights - ones).max() > 1e-8:
        return priors
    return [
        Prior("Normal", (location * float(weight), abs(float(weight))))
        if abs(weight) > 1e-8
        else prior
        for weight, prior in zip(weights, priors, strict=True)
    ]


def sd_keys(
    grouping: str, label: str, predictor: str, predictors: Sequence[str], kind: str = ""
) -> tuple[str, ...]:
    """Return the prior keys of a term's SD, special ones first: those of a kind of units, if any.

    An SD on the scale of a further parameter is no SD of the outcome: what is said of all SDs, or
    of all of a grouping that has main terms too, does not mean it.

    Examples
    --------
    >>> sd_keys("school", "sigma:Intercept", "sigma", ["", "sigma"])
    ('sd_school[sigma:Intercept]',)
    """
    general = f"sd_{grouping}"
    special = tuple(f"{general}[{own}]" for own in labels_by_kind([kind], [label]) if kind)
    special = (*special, f"{general}[{label}]")
    if not predictor:
        return (*special, general, "sd")
    return special if "" in predictors else (*special, general)


def grouping_keys(design: "Design") -> dict[str, list[str]]:
    """Return every prior key of each grouping, general ones before special ones."""
    found = {}
    for part in design.varying:
        name = part.grouping.name
        kinds = () if part.kinds is None else part.kinds.labels
        labels = dict.fromkeys([*part.labels, *labels_by_kind(kinds, part.labels)])
        keys = [f"sd_{name}", *(f"sd_{name}[{label}]" for label in labels)]
        keys += [f"corr_{name}"] if max(part.blocks) > 1 else []
        found[name] = keys + ([f"nu_{name}"] if part.grouping.effects == "student" else [])
    return found


def part_term_scales(
    labels: Sequence[str], predictors: Sequence[str], terms: np.ndarray, spread: float
) -> list[float]:
    """Return the scale of the default prior of each term's SD: s / SD(z), SD(z) = 1 for 1.

    Parameters
    ----------
    labels, predictors : sequence of str
        Label of each term, and the linear predictor that it enters.
    terms : array, shape (rows, terms) or (rows, slots, terms)
    spread : float
        s of the main linear predictor; that of others is `SPREAD`.
    """
    sizes = [
        1.0 if label == part_label(predictor, "Intercept") else _size_of_term(terms[..., place])
        for place, (label, predictor) in enumerate(zip(labels, predictors, strict=True))
    ]
    return [
        (SPREAD if name else spread) / size for name, size in zip(predictors, sizes, strict=True)
    ]


def _size_of_term(values: np.ndarray) -> float:
    """Return the SD of a term; of a number for every member, such as mmc(1, 0), the largest."""
    if values.ndim == 2 and not np.ptp(values, axis=0).any():
        return float(np.abs(values).max())
    return float(np.std(values, ddof=1))
