"""Do the results hang on the hyper-priors? Power-scaling of priors and likelihood, in words."""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from bayesml.errors import FitError
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out_rows import joint_log_likelihood, rows_likelihood
from bayesml.posterior.labelled_draws import labelled_draws
from bayesml.posterior.leave_one_out import check_draws
from bayesml.posterior.likelihood_rows import LikelihoodDraws, LikelihoodRows, blocks_of
from bayesml.posterior.prior_densities import (
    log_prior_densities,
    prior_texts_of,
    widened_prior,
)
from bayesml.posterior.residual_fits import residual_record
from bayesml.quantities.power_scaling import power_scaling_sensitivity
from bayesml.records.fits import Fit
from bayesml.specs.distributions import Support

# Kallioinen et al. (2024), section 3.2: about what scaling does to a normal posterior whose mean
# moves by 0.3 SD per doubling of the power.
THRESHOLD = 0.05
# With fewer units the prior of a grouping's SD begins to matter.
FEW_UNITS_FOR_SD = 20
_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How much the posterior hangs on the hyper-priors and on the data. Print it.

    Parameters
    ----------
    table : DataFrame
        Index `parameter` (variance parameters and coefficients); `prior` and `likelihood`:
        sensitivity to all hyper-priors together, and to the data; `strongest`: the prior that it
        depends on most; `diagnosis`: "", "strong prior" or "prior-data conflict".
    by_prior : DataFrame
        Sensitivity of each parameter (rows) to each prior alone (columns).
    findings : tuple of str
        One sentence per parameter that hangs on a prior, with what to do.
    verdict : str
        The result in one sentence.
    threshold : float
        Sensitivity above which a component matters.
    """

    table: pd.DataFrame
    by_prior: pd.DataFrame
    findings: tuple[str, ...]
    verdict: str
    threshold: float

    @property
    def ok(self) -> bool:
        """Whether no parameter hangs on a prior."""
        return not self.findings

    def __str__(self) -> str:
        lines = [self.verdict, *(f"- {finding}" for finding in self.findings)]
        return "\n".join([*lines, self.table.round(3).to_string()])

    def __repr__(self) -> str:
        return f"<bayesml Sensitivity: {self.verdict}>"

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(finding)}</li>" for finding in self.findings)
        return (
            f"<div><p><strong>{escape(self.verdict)}</strong></p><ul>{items}</ul>"
            f"{self.table.round(3).to_html()}</div>"
        )


def sensitivity(fit: Fit) -> Sensitivity:
    """Return how much the variance parameters and coefficients hang on the hyper-priors.

    The hyper-priors (of SDs, correlations, coefficients, sigma, phi, cutpoints) and the likelihood
    are raised to a power near 1, one at a time, and the draws weighted accordingly: nothing is
    refitted. p(u | sd), which is part of the model, is never scaled. A parameter that moves with
    the prior but hardly with the likelihood has a strong prior; one that moves with both has a
    prior that the data contradict.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Sensitivity
        With `table`, `by_prior`, `findings` and `verdict`; it prints.

    Raises
    ------
    FitError
        The fit was saved without its rows, or has fewer than 100 draws.

    Notes
    -----
    Kallioinen, Paananen, Bürkner & Vehtari (2024), Detecting and diagnosing prior and likelihood
    sensitivity with power-scaling, doi:10.1007/s11222-023-10366-5. The sensitivity is the change
    of the cumulative Jensen-Shannon distance per doubling of the power; above 0.05 it matters.

    Examples
    --------
    >>> import bayesml as bml
    >>> print(bml.sensitivity(fit))  # doctest: +SKIP
    """
    check_draws(fit, "sensitivity")
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    labelled = labelled_draws(fit)
    shape = labelled.values.shape[:2]
    priors = log_prior_densities(fit)
    by_prior = pd.DataFrame(
        {
            name: power_scaling_sensitivity(labelled.values, density)
            for name, density in priors.items()
        },
        index=pd.Index(labelled.labels, name="parameter"),
    )
    whole = sum(priors.values(), np.zeros(shape))
    likelihood = total_log_likelihood(rows, draws).reshape(shape)
    table = pd.DataFrame(
        {
            "prior": power_scaling_sensitivity(labelled.values, whole),
            "likelihood": power_scaling_sensitivity(labelled.values, likelihood),
            "strongest": by_prior.fillna(0.0).idxmax(axis=1),
        },
        index=by_prior.index,
    )
    table["diagnosis"] = [
        _diagnosis(prior, data)
        for prior, data in zip(table["prior"], table["likelihood"], strict=True)
    ]
    flagged = table[table["diagnosis"] != ""].sort_values("prior", ascending=False)
    findings = tuple(_finding(fit, str(name), row) for name, row in flagged.iterrows())
    return Sensitivity(table, by_prior, findings, _verdict(table, flagged), THRESHOLD)


def total_log_likelihood(rows: LikelihoodRows, draws: LikelihoodDraws) -> np.ndarray:
    """Return the log-likelihood of all rows in every draw, given the random effects.

    Returns
    -------
    array, shape (draws,)
    """
    if rows.residual is not None:
        return joint_log_likelihood(rows, draws)
    # Here the effects of units with one row are parameters like all others.
    none = {item.identifier: np.zeros(item.unit.shape, dtype=bool) for item in rows.groupings}
    total = np.zeros(draws.number)
    for block in blocks_of(len(rows.outcome), draws.number):
        chosen = np.arange(block.start, block.stop)
        total += rows_likelihood(rows, draws, chosen, none).sum(axis=0)
    return total


def groupings_with_few_units(fit: Fit) -> tuple[str, ...]:
    """Return the groupings with fewer than 20 units: with any, `sensitivity` should run by itself.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    tuple of str
    """
    return tuple(item.name for item in fit.facts.groupings if item.units < FEW_UNITS_FOR_SD)


def sensitivity_words(fit: Fit) -> tuple[str, ...]:
    """Return what a report says about the hyper-priors; nothing where every grouping is large.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    tuple of str
        Sentences: why it was checked, what was found, what to do. Empty where every grouping has
        20 units or more.
    """
    few = groupings_with_few_units(fit)
    if not few:
        return ()
    counts = ", ".join(
        f"{item.name} ({item.units} units)" for item in fit.facts.groupings if item.name in few
    )
    opening = f"Few units: {counts}. The prior of an SD may matter there."
    try:
        found = sensitivity(fit)
    except FitError as error:
        return opening, f"Whether it does was not checked: {error}"
    return opening, found.verdict, *found.findings


def _diagnosis(prior: float, likelihood: float) -> str:
    if not prior >= THRESHOLD:
        return ""
    return "prior-data conflict" if likelihood >= THRESHOLD else "strong prior"


def _prior_words(fit: Fit, parameter: str, strongest: str) -> tuple[str, str]:
    """Return the prior that a parameter depends on most, and what to fit again with, in words."""
    texts = prior_texts_of(fit)
    key = strongest if strongest in texts else parameter
    if key not in texts or not key.startswith(strongest):
        # Several priors together, none of them the parameter's own.
        what = "the coefficients" if strongest.startswith("beta") else strongest
        return f"the priors of {what}", f"wider priors of {what}"
    support: Support = "real"
    if strongest.startswith("corr_"):
        support = "correlation"
    elif strongest.startswith("sd_"):
        support = "positive"
    for item in fit.spec.scalar_parameters:
        if item.name == strongest:
            support = item.support
    record = residual_record(fit.spec)
    bounded = record is not None and record.bounds is not None and key == record.parameter
    # A prior of degrees of freedom is about what they have beyond 2, and has no wider one; nor has
    # one between bounds.
    wider = "" if strongest.startswith("nu_") or bounded else widened_prior(texts[key], support)
    again = f"priors={{{key!r}: {wider!r}}}" if wider else f"another prior of {key}"
    return f"the prior {key} ~ {texts[key]}", again


def _finding(fit: Fit, parameter: str, row: pd.Series) -> str:
    prior, again = _prior_words(fit, parameter, str(row["strongest"]))
    numbers = f"sensitivity to the priors {row['prior']:.2f}, to the data {row['likelihood']:.2f}"
    if row["diagnosis"] == "strong prior":
        return (
            f"{parameter}: the data say little, and {prior} matters ({numbers}). Report it with "
            f"the result, and fit again with {again} to show how much changes."
        )
    return (
        f"{parameter}: {prior} and the data pull apart, or share the say ({numbers}). Check that "
        f"it says what you mean, and fit again with {again} to show how much changes."
    )


def _verdict(table: pd.DataFrame, flagged: pd.DataFrame) -> str:
    if not len(flagged):
        if table["prior"].isna().all():
            return "No parameter moves, so that its sensitivity cannot be measured."
        largest = table["prior"].idxmax()
        return (
            f"The results hardly hang on the hyper-priors: the largest sensitivity is "
            f"{table['prior'].max():.2f} ({largest}), below {THRESHOLD}."
        )
    shown = ", ".join(map(str, flagged.index[:_SHOWN])) + (
        f", ... ({len(flagged)} in all)" if len(flagged) > _SHOWN else ""
    )
    return f"These hang on the hyper-priors: {shown}."
