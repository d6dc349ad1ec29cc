"""Leave-one-group-out cross-validation of a fit, without refitting."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pandas as pd

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.effect_distributions import require_normal_effects
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import GroupLikelihood, cuts_residual_units, group_log_likelihood
from bayesml.posterior.leave_one_out import check_draws
from bayesml.posterior.likelihood_rows import GroupingSlots, LikelihoodRows
from bayesml.posterior.predictive_scores import CrossValidation, left_out_table
from bayesml.quantities.importance_sampling import (
    LeftOut,
    highest_reliable_k,
    left_out_densities,
    sampling_efficiency,
)
from bayesml.records.fits import Fit

_PROBES = 20


def logo(fit: Fit, grouping: str, *, seed: int = 1) -> CrossValidation:
    """Return the joint predictive density of each unit's rows, had they been left out of the fit.

    elpd_j = log p(y_j | the rows of all other units): how well the model predicts a new school
    rather than a new pupil of a known school. The effects of every unit, of any grouping, that
    occurs in these rows only are integrated out together: the school's own and those of its
    classes. Exact for Gaussian outcomes, by the multivariate normal density with its low-rank
    structure; else by adaptive Gauss-Hermite quadrature, or by importance sampling where more than
    two effects are shared within the group, with the standard error in `integration_error`.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of the grouping whose units are left out. The rows of a unit of a multiple membership
        are all that belong to it in part.
    seed : int
        Seed of the importance sampling.

    Returns
    -------
    CrossValidation
        With `elpd`, `se`, `p`, `table`; by unit `pointwise` (`rows`, `elpd`, `cpo`, `lpd`, `mcse`,
        `pareto_k`, `method`, `integration_error`). `elpd` is on the scale of a group's rows
        together: do not compare it with that of `loo`.

    Raises
    ------
    FitError
        The model has no such grouping, the fit was saved without its rows, or it has fewer than
        100 draws.

    Notes
    -----
    Merkle, Furr & Rabe-Hesketh (2019), Bayesian comparison of latent variable models: conditional
    versus marginal likelihoods, doi:10.1007/s11336-019-09679-0. Vehtari et al. (2024), Pareto
    smoothed importance sampling, arXiv:1507.02646.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> print(bml.logo(fit, "school"))  # doctest: +SKIP
    """
    check_draws(fit, "logo")
    require_normal_effects(fit, "logo, which integrates the effects of a unit out,", "bml.loo(fit)")
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    chosen = grouping_rows(rows, grouping, "logo(fit, {})")
    labels = fit.posterior[f"u_{chosen.identifier}"][chosen.identifier].values
    members = rows_of_units(chosen, len(labels))
    if rows.residual is not None and any(
        cuts_residual_units(rows.residual, of_unit) for of_unit in members
    ):
        raise FitError(
            f"logo leaves out the rows of a unit of {quoted(chosen.name)}, and the residuals of "
            f"this model ({quoted(fit.spec.text)}) correlate some of them with rows of "
            "another unit, which stay. Use the grouping of the residuals' unit, or bml.loo(fit)."
        )
    rng = np.random.default_rng(seed)
    likelihoods: list[GroupLikelihood] = []
    parts: list[LeftOut] = []
    probes = np.unique(np.linspace(0, len(labels) - 1, _PROBES).astype(int))
    # The groups that tell how well the chains mixed come first.
    early = {
        int(unit): group_log_likelihood(rows, draws, members[unit], rng)
        for unit in probes
        if len(members[unit])
    }
    efficiency = sampling_efficiency(
        np.array([item.values for item in early.values()]), draws.chains
    )
    for unit, of_unit in enumerate(members):
        found = early.get(unit) or group_log_likelihood(rows, draws, of_unit, rng)
        likelihoods.append(found)
        parts.append(left_out_densities(found.values[None], efficiency))
    together = LeftOut(
        *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(LeftOut))
    )
    pointwise = left_out_table(together, pd.Index(labels, name=chosen.name))
    pointwise.insert(0, "rows", [len(of_unit) for of_unit in members])
    pointwise["method"] = [item.method for item in likelihoods]
    pointwise["integration_error"] = [item.error for item in likelihoods]
    by_unit = pointwise[["rows", "elpd", "pareto_k"]].rename_axis("unit").reset_index()
    by_unit.insert(0, "grouping", chosen.name)
    by_unit["high_k"] = (by_unit["pareto_k"] > highest_reliable_k(draws.number)).astype(int)
    return CrossValidation(
        kind="logo",
        by=chosen.name,
        formula=fit.facts.formula,
        pointwise=pointwise,
        by_unit=by_unit,
        draws=draws.number,
        mark=f"{rows.mark} {members_mark(members)}",
        continuous=rows.continuous,
        notes=_notes(chosen.name, likelihoods),
    )


def grouping_rows(rows: LikelihoodRows, name: str, call: str) -> GroupingSlots:
    """Return a grouping's rows by the user's name.

    Raises
    ------
    FitError
        There is no grouping of this name; `call` shows the right one, with {} for the name.
    """
    names = [item.name for item in rows.groupings]
    if name not in names:
        if not names:
            raise FitError(
                f"{quoted(str(name))} is not a grouping of this model, which has none. Use "
                "bml.loo(fit), which leaves out rows."
            )
        raise FitError(
            f"{quoted(str(name))} is not a grouping of this model. "
            f"{did_you_mean(str(name), names)} Write {call.format(repr(names[0]))}."
        )
    return rows.groupings[names.index(name)]


def rows_of_units(grouping: GroupingSlots, units: int) -> list[np.ndarray]:
    """Return the rows of each unit, in the order of the units."""
    row, slot = np.nonzero(grouping.weight > 0)
    unit = grouping.label[row, slot]
    order = np.argsort(unit, kind="stable")
    bounds = np.searchsorted(unit[order], np.arange(units + 1))
    return [np.unique(row[order[start:stop]]) for start, stop in pairwise(bounds)]


def members_mark(members: list[np.ndarray]) -> str:
    """Return a text that differs between divisions of the rows into groups."""
    from hashlib import sha256

    digest = sha256()
    for rows in members:
        digest.update(np.asarray(rows, dtype=np.int64).tobytes() + b"/")
    return digest.hexdigest()


def _notes(name: str, likelihoods: list[GroupLikelihood]) -> tuple[str, ...]:
    others = sorted({other for item in likelihoods for other in item.integrated} - {name})
    notes = []
    if others:
        notes.append(
            f"Units of {', '.join(others)} that occur in one unit of {name} only are integrated "
            "out with it."
        )
    if any(name not in item.integrated for item in likelihoods):
        notes.append(
            f"Some rows of {name} belong to several of its units, whose effects stay known from "
            "the rows that remain."
        )
    return tuple(notes)
