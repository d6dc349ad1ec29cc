"""Leave-one-out cross-validation of a fit, without refitting."""

import numpy as np
import pandas as pd

from bayesml.errors import FitError
from bayesml.posterior.held_out import row_log_likelihoods, rows_likelihood, sole_slots
from bayesml.posterior.likelihood_rows import LikelihoodRows, likelihood_draws, likelihood_rows
from bayesml.posterior.predictive_scores import CrossValidation, left_out_table
from bayesml.quantities.importance_sampling import (
    FEWEST_DRAWS,
    LeftOut,
    highest_reliable_k,
    left_out_densities,
    sampling_efficiency,
)
from bayesml.quantities.log_likelihoods import DENSITIES
from bayesml.records.fits import Fit

# Rows whose likelihood tells how well the chains mixed.
_PROBES = 40


def loo(fit: Fit) -> CrossValidation:
    """Return the predictive density of each row, had it been left out of the fit.

    elpd_i = log p(y_i | all other rows), from the draws of the one fit by Pareto-smoothed
    importance sampling. The units of the row are known from their other rows; a unit that has no
    other row would be new, so its effect is integrated out: in closed form for Gaussian outcomes,
    else by adaptive Gauss-Hermite quadrature. The sum is the log pseudo-marginal likelihood
    (LPML), and exp(elpd_i) the conditional predictive ordinate (CPO). Log-likelihoods are computed
    in blocks of rows and never stored.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    CrossValidation
        With `elpd`, `se`, `p`, `table`; by row `pointwise` (`elpd`, `cpo`, `lpd`, `mcse`,
        `pareto_k`); by unit `by_unit`. It prints, and says where it cannot be relied on.

    Raises
    ------
    FitError
        The fit was saved without its rows, or has fewer than 100 draws.

    Notes
    -----
    Vehtari, Gelman & Gabry (2017), Practical Bayesian model evaluation using leave-one-out
    cross-validation and WAIC, doi:10.1007/s11222-016-9696-4. Vehtari, Simpson, Gelman, Yao & Gabry
    (2024), Pareto smoothed importance sampling, arXiv:1507.02646. Integrating out what only the
    row knows: Merkle, Furr & Rabe-Hesketh (2019), doi:10.1007/s11336-019-09679-0.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> print(bml.loo(fit))  # doctest: +SKIP
    """
    check_draws(fit, "loo")
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    sole = {item.identifier: sole_slots(rows, item) for item in rows.groupings}
    probes = np.unique(np.linspace(0, len(rows.outcome) - 1, _PROBES).astype(int))
    efficiency = sampling_efficiency(rows_likelihood(rows, draws, probes, sole), draws.chains)
    parts = [
        left_out_densities(values, efficiency) for _, values in row_log_likelihoods(rows, draws)
    ]
    found = LeftOut(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("elpd", "lpd", "mcse", "pareto_k")
        )
    )
    pointwise = left_out_table(found, pd.Index(rows.positions, name="row"))
    return CrossValidation(
        kind="loo",
        by="row",
        formula=fit.facts.formula,
        pointwise=pointwise,
        by_unit=scores_by_unit(fit, rows, pointwise, highest_reliable_k(draws.number)),
        draws=draws.number,
        mark=rows.mark,
        continuous=rows.family in DENSITIES,
        notes=tuple(
            f"The effects of {int(slots.sum())} of {item.name}'s units, which have one row each, "
            "are integrated out."
            for item in rows.groupings
            if (slots := sole[item.identifier]).any()
        ),
    )


def check_draws(fit: Fit, name: str) -> None:
    """Refuse a fit with too few draws for importance sampling.

    Raises
    ------
    FitError
        It has fewer than 100 draws.
    """
    if fit.draws_made < FEWEST_DRAWS:
        raise FitError(
            f"This fit has {fit.draws_made} draws, and {name} weights them: it needs at least "
            f"{FEWEST_DRAWS}, better 4,000. Fit again with more draws."
        )


def scores_by_unit(
    fit: Fit, rows: LikelihoodRows, pointwise: pd.DataFrame, threshold: float
) -> pd.DataFrame:
    """Return the rows' scores summed up by unit of every grouping.

    Parameters
    ----------
    fit : Fit
    rows : LikelihoodRows
    pointwise : DataFrame
        By row, with `elpd` and `pareto_k`.
    threshold : float
        Pareto k above which a row counts as high.

    Returns
    -------
    DataFrame
        `grouping`, `unit`, `rows`, `elpd`, `pareto_k` (largest), `high_k`; a row of a multiple
        membership counts for each of its units.
    """
    elpd, k = pointwise["elpd"].to_numpy(), pointwise["pareto_k"].to_numpy()
    tables = []
    for grouping in rows.groupings:
        labels = fit.posterior[f"u_{grouping.identifier}"][grouping.identifier].values
        row, slot = np.nonzero(grouping.weight > 0)
        unit = grouping.unit[row, slot]
        largest = np.full(len(labels), -np.inf)
        np.maximum.at(largest, unit, k[row])
        tables.append(
            pd.DataFrame(
                {
                    "grouping": grouping.name,
                    "unit": labels,
                    "rows": np.bincount(unit, minlength=len(labels)),
                    "elpd": np.bincount(unit, weights=elpd[row], minlength=len(labels)),
                    "pareto_k": largest,
                    "high_k": np.bincount(
                        unit, weights=k[row] > threshold, minlength=len(labels)
                    ).astype(int),
                }
            )
        )
    columns = ["grouping", "unit", "rows", "elpd", "pareto_k", "high_k"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
