"""Leave-one-out cross-validation of a fit, without refitting."""

import numpy as np
import pandas as pd

from bayesml.errors import FitError
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import cuts_residual_units, group_log_likelihood
from bayesml.posterior.held_out_rows import row_log_likelihoods, rows_likelihood, sole_slots
from bayesml.posterior.likelihood_rows import LikelihoodDraws, LikelihoodRows
from bayesml.posterior.predictive_scores import CrossValidation, left_out_table
from bayesml.quantities.importance_sampling import (
    FEWEST_DRAWS,
    LeftOut,
    highest_reliable_k,
    left_out_densities,
    sampling_efficiency,
)
from bayesml.records.fits import Fit

# Rows whose likelihood tells how well the chains mixed.
_PROBES = 40
# Rows that are estimated anew take some hundredths of a second each.
_MOST_REPAIRED = 100
# In a larger unit one row hardly moves the effects.
_MOST_ROWS = 500
_SEED = 1


def loo(fit: Fit) -> CrossValidation:
    """Return the predictive density of each row, had it been left out of the fit.

    elpd_i = log p(y_i | all other rows), from the draws of the one fit by Pareto-smoothed
    importance sampling. The units of the row are known from their other rows; a unit that has no
    other row would be new, so its effect is integrated out: in closed form for Gaussian outcomes,
    else by adaptive Gauss-Hermite quadrature, and Student-t effects with the scale of their unit
    around it, by the trapezoidal rule. The sum is the log pseudo-marginal likelihood
    (LPML), and exp(elpd_i) the conditional predictive ordinate (CPO). Log-likelihoods are computed
    in blocks of rows and never stored. Rows whose Pareto k is too high, 100 at most, are estimated
    anew with the effects of their smallest unit integrated out given its other rows: the same
    density, from weights that vary less.

    Where residuals are correlated within units, the weights come from the density of a row given
    the other rows of its unit, in closed form from the inverse of the residuals' covariance
    (Bürkner, Gabry & Vehtari 2021, doi:10.1007/s00180-020-01045-4): rows before and after the row
    are known, so this is not the error of a forecast.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    CrossValidation
        With `elpd`, `se`, `p`, `table`; by row `pointwise` (`elpd`, `cpo`, `lpd`, `mcse`,
        `pareto_k`, and the `outcome` where there are several); by unit `by_unit`. It prints, and
        says where it cannot be relied on.

    Raises
    ------
    FitError
        The fit was saved without its rows, or has fewer than 100 draws; or a row is alone in
        several units with Student-t effects.

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
    heavy = any(item.student for item in fit.facts.groupings)
    probes = np.unique(np.linspace(0, len(rows.outcome) - 1, _PROBES).astype(int))
    efficiency = sampling_efficiency(rows_likelihood(rows, draws, probes, sole), draws.chains)
    parts = [
        (place, left_out_densities(values, efficiency))
        for place, values in row_log_likelihoods(rows, draws)
    ]
    order = np.argsort(np.concatenate([place for place, _ in parts]))
    found = LeftOut(
        *(
            np.concatenate([getattr(part, name) for _, part in parts])[order]
            for name in ("elpd", "lpd", "mcse", "pareto_k")
        )
    )
    pointwise = left_out_table(found, pd.Index(rows.positions, name="row"))
    if fit.facts.stacked and rows.outcome_number is not None:
        pointwise["outcome"] = np.array(fit.facts.outcomes, dtype=object)[rows.outcome_number]
    # What mends rows with a high k integrates normal effects out.
    repaired = () if heavy else _with_units_integrated(rows, draws, pointwise, efficiency)
    return CrossValidation(
        kind="loo",
        by="row",
        formula=fit.facts.formula,
        pointwise=pointwise,
        by_unit=scores_by_unit(fit, rows, pointwise, highest_reliable_k(draws.number)),
        draws=draws.number,
        mark=rows.mark,
        continuous=rows.continuous,
        notes=(
            *(
                f"The effects of {int(slots.sum())} of {item.name}'s units, which have one row "
                "each, are integrated out."
                for item in rows.groupings
                if (slots := sole[item.identifier]).any()
            ),
            *(
                (
                    "With heavy tails these integrals are rough where the SD of the effects is "
                    "several times the scale of the outcome, and the elpd of such rows may be far "
                    "off. Use bml.kfold(model) to be sure.",
                )
                if any(family.heavy_tails for family in rows.family_records)
                and any(map(np.any, sole.values()))
                else ()
            ),
            *repaired,
            *_by_outcome(pointwise),
        ),
    )


def _by_outcome(pointwise: pd.DataFrame) -> tuple[str, ...]:
    """Say what the rows of each of several outcomes add to the whole."""
    if "outcome" not in pointwise:
        return ()
    sums = pointwise.groupby("outcome", sort=False)["elpd"].sum()
    words = ", ".join(f"{name} {value:.1f}" for name, value in sums.items())
    return (f"elpd by outcome: {words}.",)


def _with_units_integrated(
    rows: LikelihoodRows, draws: LikelihoodDraws, pointwise: pd.DataFrame, efficiency: float
) -> tuple[str, ...]:
    """Estimate rows with a high Pareto k anew, their unit's effects integrated out; return notes.

    A row in a small unit moves the unit's effect, and little else: with j the unit's rows,
    p(y_i | other rows, the rest) = p(y_j | the rest) / p(y_j without i | the rest), both with the
    unit's effects integrated out, varies far less over the draws than p(y_i | its effect).
    `pointwise` is changed where the new k is the lower one.
    """
    k = pointwise["pareto_k"].to_numpy()
    high = np.flatnonzero(k > highest_reliable_k(draws.number))
    high = high[np.argsort(-k[high], kind="stable")][:_MOST_REPAIRED]
    rng = np.random.default_rng(_SEED)
    count = 0
    for row in high:
        unit_rows = _smallest_unit(rows, int(row))
        if len(unit_rows) < 2 or len(unit_rows) > _MOST_ROWS:
            continue
        if rows.residual is not None and cuts_residual_units(rows.residual, unit_rows):
            continue
        whole = group_log_likelihood(rows, draws, unit_rows, rng)
        rest = group_log_likelihood(rows, draws, unit_rows, rng, without=int(row))
        # The noise of importance sampling would be taken for the row's own.
        if max(whole.error, rest.error) > 0:
            continue
        again = left_out_densities((whole.values - rest.values)[None], efficiency)
        if again.pareto_k[0] < k[row]:
            label = pointwise.index[int(row)]
            pointwise.loc[label, ["elpd", "cpo", "mcse", "pareto_k"]] = [
                again.elpd[0],
                np.exp(again.elpd[0]),
                again.mcse[0],
                again.pareto_k[0],
            ]
            count += 1
    if not count:
        return ()
    return (
        f"{count} of the {len(high)} rows with the highest Pareto k were estimated anew with the "
        "effects of their smallest unit integrated out.",
    )


def _smallest_unit(rows: LikelihoodRows, row: int) -> np.ndarray:
    """Return the rows of the smallest unit of several rows that a row belongs to."""
    found = np.array([row])
    for grouping in rows.groupings:
        if not grouping.multiple:
            members = np.flatnonzero(grouping.label[:, 0] == grouping.label[row, 0])
            if len(members) > 1 and (len(found) == 1 or len(members) < len(found)):
                found = members
    return found


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
