"""Maximum likelihood and REML of a Gaussian model, in milliseconds, and beside a posterior."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesml.design.member_terms import all_slots
from bayesml.errors import FitError, quoted
from bayesml.records.modelling import Model

if TYPE_CHECKING:
    from bayesml.engines.linear_models import LinearModel

# An SD below this share of the residual SD, per unit of its term's size, is nought.
_NOUGHT = 1e-4
_PERFECT = 1 - 1e-6
# A residual SD below this share of the outcome's SD is what rounding leaves of 0.
_EXACT = 1e-6
# Error of the log likelihood by rounding that is refused; lme4 stops within 1e-3.
_MOST_ROUNDING = 1e-3


@dataclass(frozen=True)
class LikelihoodFit:
    """A Gaussian model fitted by maximum likelihood or REML.

    Parameters
    ----------
    method : {"ML", "REML"}
    formula : str
        The model in lme4 notation.
    coefficients : DataFrame
        Columns `coef`, `estimate`, `se`; the intercept where all predictors are 0.
    variance_components : DataFrame
        Columns `grouping`, `term`, `term2`, `parameter` (``sd`` or ``corr``), `estimate`;
        grouping ``residual`` last, with ``phi`` or ``corr`` where residuals are correlated, an SD
        for each occasion or outcome, and coefficients of ``log sigma``. SDs, not variances.
    random_effects : DataFrame
        Columns `grouping`, `unit`, `term`, `estimate`: conditional means (BLUPs).
    criterion : float
        -2 log likelihood, restricted for REML, as lme4 defines it.
    rows, parameters : int
        Number of rows; of coefficients, variances and correlations.
    singular : bool
        Whether an SD is 0 or a correlation -1 or 1.
    notes : tuple of str
        What the reader must know.

    Notes
    -----
    Bates, Maechler, Bolker & Walker (2015), doi:10.18637/jss.v067.i01.
    """

    method: str
    formula: str
    coefficients: pd.DataFrame
    variance_components: pd.DataFrame
    random_effects: pd.DataFrame
    criterion: float
    rows: int
    parameters: int
    singular: bool
    notes: tuple[str, ...]
    arrays: "LinearModel" = field(repr=False)
    grouping_names: tuple[str, ...] = ()

    @property
    def loglik(self) -> float:
        """The log likelihood, restricted for REML."""
        return -self.criterion / 2

    @property
    def deviance(self) -> float:
        """-2 log likelihood; for REML the restricted one, as `criterion`."""
        return self.criterion

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 log likelihood + 2 parameters."""
        return self.criterion + 2 * self.parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion, -2 log likelihood + log(rows) parameters."""
        return self.criterion + float(np.log(self.rows)) * self.parameters

    def __str__(self) -> str:
        lines = [
            f"{self.formula}",
            f"{self.method}; {self.rows} rows, {self.parameters} parameters; "
            f"-2 log likelihood {self.criterion:.4f}, AIC {self.aic:.2f}, BIC {self.bic:.2f}",
            "",
            self.coefficients.to_string(index=False),
            "",
            self.variance_components.to_string(index=False),
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def reml(model: Model) -> LikelihoodFit:
    """Fit a Gaussian model by restricted maximum likelihood, without priors.

    The criterion is -2 log of the likelihood integrated over the coefficients: it does not depend
    on them, and its variance estimates make up for their number.

    Parameters
    ----------
    model : Model
        Of a Gaussian outcome with identity link; its priors are not used.

    Returns
    -------
    LikelihoodFit
        Models are comparable by this criterion only where their fixed parts are the same.

    Raises
    ------
    FitError
        The outcome is not Gaussian, the random effects are too many to be integrated out, or
        predictors and units leave no residual or next to none.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> found = bml.reml(bml.two_level(exam, "normexam ~ standLRT", group="school"))
    >>> round(found.criterion, 3)
    9368.765
    """
    return _likelihood_fit(model, restricted=True)


def ml(model: Model) -> LikelihoodFit:
    """Fit a Gaussian model by maximum likelihood, without priors.

    Parameters
    ----------
    model : Model
        Of a Gaussian outcome with identity link; its priors are not used.

    Returns
    -------
    LikelihoodFit
        Nested models are compared by `likelihood_ratio_test`.

    Raises
    ------
    FitError
        The outcome is not Gaussian, the random effects are too many to be integrated out, or
        predictors and units leave no residual or next to none.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> found = bml.ml(bml.two_level(exam, "normexam ~ standLRT", group="school"))
    >>> round(found.criterion, 2)
    9357.24
    """
    return _likelihood_fit(model, restricted=False)


def _likelihood_fit(model: Model, restricted: bool) -> LikelihoodFit:
    if model.spec.family != "gaussian" or model.spec.link != "identity":
        raise FitError(
            f"{'reml' if restricted else 'ml'} is for Gaussian outcomes, and this model is "
            f"{model.spec.family} with link {model.spec.link}. Use model.fit(), which samples it."
        )
    from bayesml.engines.marginal_models import linear_model, reason_of_rows
    from bayesml.engines.residual_models import (
        reason_against_profile,
        reason_against_residuals,
        residual_estimates,
    )

    uneven = [item for item in model.facts.groupings if item.kinds or item.student]
    if uneven:
        raise FitError(
            f"{'reml' if restricted else 'ml'} takes normal effects with one SD for all units, and "
            f"{quoted(uneven[0].name)} has {'Student-t effects' if uneven[0].student else 'kinds'}"
            f"{'' if uneven[0].student else f' of units by {quoted(uneven[0].by)}'}. Use "
            "model.fit(), which samples it."
        )

    resolved, design = model.resolved, model.design
    arrays, reason = None, reason_against_residuals(resolved)
    if not reason:
        arrays = linear_model(resolved, design)
        reason = reason_of_rows(arrays) or reason_against_profile(resolved, design)
    if reason or arrays is None:
        raise FitError(
            f"{'reml' if restricted else 'ml'} cannot take this model: {reason}. Use model.fit(), "
            "which samples it."
        )

    def residual_rows(sigma: float, parameters: np.ndarray) -> list[tuple[str, str, str, float]]:
        own = None if arrays is None else arrays.residual
        if own is None:
            return _one_sigma(sigma, parameters)
        return residual_estimates(resolved, design, own.residuals, sigma, parameters)

    return maximise(
        arrays,
        restricted,
        residual_rows=residual_rows,
        formula=model.spec.text,
        coefficients=model.resolved.coefficients,
        groupings=[
            (grouping.name, grouping.terms, grouping.blocks, part.units.labels)
            for grouping, part in zip(model.resolved.groupings, model.design.varying, strict=True)
        ],
    )


def _one_sigma(sigma: float, parameters: np.ndarray) -> list[tuple[str, str, str, float]]:
    return [("", "", "sd", float(sigma))]


def maximise(
    arrays: "LinearModel",
    restricted: bool,
    *,
    formula: str,
    coefficients: Sequence[str],
    groupings: Sequence[tuple[str, Sequence[str], Sequence[int], Sequence[object]]],
    residual_rows: Callable[[float, np.ndarray], list[tuple[str, str, str, float]]] = _one_sigma,
) -> LikelihoodFit:
    """Maximise a likelihood and label what is found.

    Parameters
    ----------
    arrays : LinearModel
    restricted : bool
    formula : str
    coefficients : sequence of str
    groupings : sequence of (name, terms, sizes of blocks, labels of units)
    residual_rows : callable
        Returns term, second term, parameter and estimate of the residuals' SDs and correlations,
        given sigma and the other residual parameters.

    Raises
    ------
    FitError
        The random effects are too many, or nothing is left for the residuals.
    """
    from bayesml.engines.elimination import TooLarge
    from bayesml.engines.likelihood_optimum import likelihood_optimum
    from bayesml.engines.linear_models import rounding_of_squares, standardise

    method = "REML" if restricted else "ML"
    try:
        found = likelihood_optimum(arrays, restricted)
    except TooLarge as error:
        raise FitError(
            f"{method} cannot take this model: {error}. Use model.fit(engine='pymc')."
        ) from None
    known = 0.0 if arrays.offset is None else arrays.offset
    if found.sigma <= _EXACT * float(np.std(arrays.outcome - known)):
        raise FitError(
            f"In {quoted(formula)} the predictors and the units reproduce every outcome exactly: "
            "the residual SD is 0, and the likelihood has no bound. Look for a predictor that was "
            "made from the outcome, or an outcome that is the same in all rows of a unit."
        )
    if rounding_of_squares(standardise(arrays), found.sigma**2) > _MOST_ROUNDING:
        raise FitError(
            f"In {quoted(formula)} the outcome is so large beside its residual SD of "
            f"{found.sigma:.3g} that its sum of squares loses the digits that count. Subtract a "
            "constant from the outcome and the predictors, or keep the intercept."
        )
    components, notes = _components(
        found.sds,
        found.correlations,
        found.sigma,
        residual_rows(found.sigma, found.residual_parameters),
        groupings,
        arrays,
    )
    if not found.converged:
        notes = [*notes, f"{method} did not converge: the criterion still falls. Rescale terms."]
    effects = [
        pd.DataFrame(
            {
                "grouping": name,
                "unit": np.repeat(np.array(labels, dtype=object), len(terms)),
                "term": list(terms) * len(labels),
                "estimate": values.ravel(),
            }
        )
        for (name, terms, _, labels), values in zip(groupings, found.effects, strict=True)
    ]
    return LikelihoodFit(
        method=method,
        formula=formula,
        coefficients=pd.DataFrame(
            {
                "coef": list(coefficients),
                "estimate": found.coefficients,
                "se": np.sqrt(np.diag(found.covariance)),
            }
        ),
        variance_components=components,
        random_effects=pd.concat(effects, ignore_index=True)
        if effects
        else pd.DataFrame(columns=["grouping", "unit", "term", "estimate"]),
        criterion=found.criterion,
        rows=len(arrays.outcome),
        parameters=len(coefficients) + found.covariance_parameters,
        singular=any("singular" in note for note in notes),
        notes=tuple(notes),
        arrays=arrays,
        grouping_names=tuple(name for name, *_ in groupings),
    )


def _components(
    sds: Sequence[np.ndarray],
    correlations: Sequence[np.ndarray],
    sigma: float,
    residual: Sequence[tuple[str, str, str, float]],
    groupings: Sequence[tuple[str, Sequence[str], Sequence[int], Sequence[object]]],
    arrays: "LinearModel",
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table of variance components, and what is singular about them."""
    rows: list[tuple[str, str, str, str, float]] = []
    notes: list[str] = []
    for (name, terms, blocks, _), sd, corr, part in zip(
        groupings, sds, correlations, arrays.groupings, strict=True
    ):
        rows += [
            (name, term, "", "sd", float(value)) for term, value in zip(terms, sd, strict=True)
        ]
        size = np.sqrt((all_slots(part.terms) ** 2).mean(axis=0))
        for term, value, scale in zip(terms, sd, size, strict=True):
            if value * scale < _NOUGHT * sigma:
                notes.append(
                    f"The fit is singular: the SD of {quoted(term)} over the units of "
                    f"{quoted(name)} is 0. The data show no such variation; a Bayesian fit says "
                    "how large it may be."
                )
        first = 0
        for block in blocks:
            inside = corr[first : first + block, first : first + block]
            for i in range(block):
                for j in range(i):
                    rows.append(
                        (name, terms[first + j], terms[first + i], "corr", float(inside[i, j]))
                    )
            degenerate = np.isfinite(inside).all() and np.linalg.eigvalsh(inside)[0] < 1 - _PERFECT
            if block > 1 and degenerate:
                together = ", ".join(quoted(term) for term in terms[first : first + block])
                notes.append(
                    f"The fit is singular: the terms {together} of {quoted(name)} are perfectly "
                    "correlated. Fewer terms may do."
                )
            first += block
    rows += [("residual", *row) for row in residual]
    table = pd.DataFrame(rows, columns=["grouping", "term", "term2", "parameter", "estimate"])
    return table, notes
