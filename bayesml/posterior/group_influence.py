"""The influence of whole units: how far the posterior would move without one."""

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import require_normal_effects
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.labelled_draws import labelled_draws
from bayesml.posterior.replicated_rows import checked_seed, chosen_places
from bayesml.posterior.residual_fits import require_independent_residuals
from bayesml.posterior.unit_replications import checked_grouping
from bayesml.quantities.deletion_influence import (
    cook_distance,
    deletion_shift,
    deletion_weights,
)
from bayesml.quantities.importance_sampling import highest_reliable_k
from bayesml.records.fits import Fit

# The tail of the weights needs some draws.
FEWEST_DRAWS = 100


def influence(fit: Fit, grouping: str, draws: int = 1000, seed: int | None = None) -> pd.DataFrame:
    """Return how far the posterior would move without each unit of a grouping.

    The draws are weighted by 1 / p(rows of the unit | parameters), with the effects that only
    these rows tell about (the unit's own, and those of units inside it) integrated out, and the
    largest weights smoothed by Pareto smoothing. D = d' V^-1 d / p is Cook's distance between the
    posterior means with and without the unit, for the p coefficients (and cutpoints) and for the
    logarithms of the SDs; a shift is a change of a mean in posterior SDs.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of a grouping.
    draws : int
        Number of draws used, evenly spaced over all draws; at least 100.
    seed : int or None
        Seed of the integration where it is by simulation; None draws one.

    Returns
    -------
    DataFrame
        One row per unit, the most influential first: `unit`, `rows`, `cook_fixed`, `cook_sd`,
        `parameter` and `shift` (the coefficient, cutpoint or log SD that moves most, and by how
        much), `pareto_k`, and `words`. Where k is above the limit that the attribute `highest_k`
        holds, the draws cannot tell what the posterior would be: the unit moves it far, and only
        a fit without it shows how far. Otherwise units with D above 4 / number of units are
        named. Shifts of more than about 1.5 SDs are understated, since few draws lie so far out.
        Attributes: `grouping`, `draws`, `seed`, `highest_k`, `highest_cook`.

    Raises
    ------
    FitError
        There is no such grouping, the fit has no rows or fewer than 100 draws, or an argument is
        out of range.

    Notes
    -----
    Cook (1977), doi:10.1080/00401706.1977.10489493, for whole units Snijders & Berkhof (2008),
    doi:10.1007/978-0-387-73186-5_3; importance weights and k: Vehtari et al. (2024),
    arXiv:1507.02646.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> bml.influence(fit, "school").head()  # doctest: +SKIP
    """
    seed = checked_seed(seed)
    facts = checked_grouping(fit, grouping)
    require_normal_effects(fit, "influence", "bml.loo(fit)")
    require_independent_residuals(fit.spec, "influence", "Use bml.logo(fit, grouping).")
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < FEWEST_DRAWS:
        raise FitError(f"draws is {quoted(draws)}. Give a whole number from {FEWEST_DRAWS} up.")
    if fit.draws_made < FEWEST_DRAWS:
        raise FitError(
            f"The fit has {fit.draws_made} draws, and importance weights need at least "
            f"{FEWEST_DRAWS}. Fit with more draws."
        )
    rows, places = likelihood_rows(fit), chosen_places(fit.draws_made, int(draws))
    chosen = likelihood_draws(fit).block(places)
    cutpoints = ["cutpoints", *(item.variable for item in fit.facts.ordered)]
    fixed, spreads = _scalars(fit, ["beta", *cutpoints]), _spreads(fit)
    labels = [*fixed, *spreads]
    values = np.column_stack([*fixed.values(), *spreads.values()])[places]
    limit = {"highest_k": highest_reliable_k(len(places)), "highest_cook": 4 / facts.units}
    part = next(item for item in rows.groupings if item.name == facts.name)
    used = part.weight > 0
    rng = np.random.default_rng(seed)
    found = []
    for unit, label in enumerate(fit.posterior[f"u_{facts.identifier}"][facts.identifier].values):
        members = np.flatnonzero(((part.unit == unit) & used).any(axis=1))
        log_likelihood = group_log_likelihood(rows, chosen, members, rng).values
        weights, k = deletion_weights(log_likelihood)
        shifts = deletion_shift(values, weights)
        most = int(np.argmax(np.abs(shifts)))
        found.append(
            {
                "unit": label,
                "rows": len(members),
                "cook_fixed": cook_distance(values[:, : len(fixed)], weights),
                "cook_sd": cook_distance(values[:, len(fixed) :], weights),
                "parameter": labels[most],
                "shift": float(shifts[most]),
                "pareto_k": k,
            }
        )
    table = pd.DataFrame(found)
    table["words"] = [_words(row, limit) for row in found]
    # A distance that cannot be told comes before every one that can.
    distance = table[["cook_fixed", "cook_sd"]].max(axis=1)
    order = distance.where(table["pareto_k"] <= limit["highest_k"], distance + 1e6)
    table = table.loc[order.sort_values(ascending=False, kind="stable").index]
    table = table.reset_index(drop=True)
    table.attrs = {"grouping": facts.name, "draws": chosen.number, "seed": seed}
    table.attrs.update(**limit)
    return table


def _words(row: dict[str, object], limit: dict[str, float]) -> str:
    if float(str(row["pareto_k"])) > limit["highest_k"]:
        return (
            "These draws cannot tell what the posterior would be without this unit, so it has "
            "much influence: fit the model without it."
        )
    distances = [float(str(row[name])) for name in ("cook_fixed", "cook_sd")]
    if np.nanmax([0.0, *distances]) > limit["highest_cook"]:
        shift = float(str(row["shift"]))
        way = "up" if shift > 0 else "down"
        return f"Without this unit {row['parameter']} would go {way} by {abs(shift):.1f} SDs."
    return ""


def _scalars(fit: Fit, names: list[str]) -> dict[str, np.ndarray]:
    """Return the draws of some variables by label, chains one after the other."""
    found = labelled_draws(fit, [name for name in names if name in fit.posterior])
    flat = found.values.reshape(-1, len(found.labels))
    return {label: flat[:, place] for place, label in enumerate(found.labels)}


def _spreads(fit: Fit) -> dict[str, np.ndarray]:
    """Return the draws of the logarithms of the SDs by label."""
    level1 = fit.spec.level1
    names = [f"sd_{item.identifier}" for item in fit.facts.groupings]
    scalars = _scalars(fit, [*names, *([level1] if level1 else [])])
    return {f"log {label}": np.log(np.maximum(values, 1e-300)) for label, values in scalars.items()}
