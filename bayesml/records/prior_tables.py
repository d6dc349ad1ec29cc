"""The priors of a model as a table, with the intervals that they imply."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayesml.quantities.cluster_measures import median_ratio
from bayesml.quantities.correlation_matrices import lkj_marginal
from bayesml.quantities.mixed_outcomes import parameters_by_outcome
from bayesml.quantities.partition import linear_partition, varying_variance
from bayesml.records.facts import GroupingFacts, outcome_terms
from bayesml.records.modelling import Model
from bayesml.records.prior_draws import parameter_draws
from bayesml.records.prior_rows import prior_rows
from bayesml.specs.distributions import Prior
from bayesml.specs.links import LINKS
from bayesml.specs.resolved import ResolvedSpec

PROB = 0.89
DRAWS = 4_000
SEED = 1
# What the exponential of an effect multiplies; with other links it is nothing that has a name.
_RATIOS = {"log": "median rate ratio", "logit": "median odds ratio"}


def prior_table(model: Model) -> pd.DataFrame:
    """Return every prior with its numbers, and what the priors imply for the groupings.

    Parameters
    ----------
    model : Model

    Returns
    -------
    DataFrame
        Columns `parameter`, `prior`, `origin` ("default", "set by the user" or "implied"), and
        `lower`, `median`, `upper`: the 89 % equal-tailed prior interval. SDs and coefficients are
        on the link scale; a correlation's interval follows from the LKJ distribution, that of a
        cutpoint is of each one before they are ordered. Rows ``vpc <grouping>`` give the share of
        the variance, on the latent scale for binomial and ordinal outcomes (Goldstein, Browne &
        Rasbash 2002, doi:10.1207/S15328031US0104_02); rows ``median rate ratio <grouping>`` of
        log links and ``median odds ratio <grouping>`` of outcomes without a latent scale (the odds
        of an adjacent category, or of going on beyond one) give exp(sqrt(2 s2) * 0.6745)
        (Larsen & Merlo 2005, doi:10.1093/aje/kwi017). Both
        hold where every term is at its mean, from 4,000 prior draws with a fixed seed.

    Examples
    --------
    >>> import bayesml as bml
    >>> model = bml.two_level(bml.load_dataset("exam"), "normexam ~ standLRT", group="school")
    >>> prior_table(model)["parameter"].tolist()[-2:]
    ['sigma', 'vpc school']
    """
    tails = np.array([(1 - PROB) / 2, 0.5, (1 + PROB) / 2])
    rows = [
        (*row, *quantiles)
        for row, quantiles in zip(
            prior_rows(model.resolved), _quantiles(model.resolved, tails), strict=True
        )
    ]
    rows += [(name, "", "implied", *np.quantile(draws, tails)) for name, draws in _implied(model)]
    columns = ["parameter", "prior", "origin", "lower", "median", "upper"]
    return pd.DataFrame(rows, columns=columns)


def _quantiles(resolved: ResolvedSpec, tails: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the prior quantiles of each row of `prior_rows`."""
    if resolved.intercept_prior is not None:
        yield _ppf(resolved.intercept_prior, tails)
    for prior in (*resolved.intercept_priors, *resolved.slope_priors):
        yield _ppf(prior, tails)
    for grouping in resolved.groupings:
        for prior in grouping.sd_priors:
            yield _ppf(prior, tails)
        if grouping.correlated:
            # Blocks of different sizes have different marginals; the largest is shown.
            yield lkj_marginal(grouping.eta, max(grouping.blocks)).ppf(tails)
        if grouping.nu_prior is not None:
            yield 2 + _ppf(grouping.nu_prior, tails)
    for prior in resolved.parameter_priors.values():
        yield _ppf(prior, tails)
    if resolved.residual is not None:
        residual = resolved.residual
        for prior in residual.sigma_priors:
            yield _ppf(prior, tails)
        if residual.record.bounds is None:
            yield lkj_marginal(residual.prior.values[0], len(residual.occasions)).ppf(tails)
        else:
            # Of the correlation at a distance of 1, wherever the prior holds.
            yield _ppf(residual.prior, tails) ** (1 / residual.median_gap)
    for priors in resolved.outcome_parameter_priors.values():
        for prior in priors:
            yield _ppf(prior, tails)
    for item in resolved.outcome_cutpoints:
        yield _ppf(item.prior, tails)
    for part in resolved.parts:
        if part.intercept_prior is not None:
            yield _ppf(part.intercept_prior, tails)
        for prior in part.slope_priors:
            yield _ppf(prior, tails)


def _ppf(prior: Prior, tails: np.ndarray) -> np.ndarray:
    # The upper quantile of a very vague prior may be beyond the largest number.
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(prior.frozen.ppf(tails), dtype=float)


def _implied(model: Model) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the prior draws of what the priors imply for each grouping."""
    resolved = model.resolved
    groupings = model.facts.main_groupings
    # Without groupings nothing has a share, and with an SD for each occasion it is not one share.
    by_occasion = resolved.residual is not None and resolved.residual.occasions
    if not groupings or (by_occasion and not resolved.outcomes):
        return
    # Members and kinds have shares of their own, and median ratios are those of normal effects.
    log = any(item.link.name == "log" for item in resolved.spec.outcome_families)
    if any(item.by_member or item.kinds or (item.student and log) for item in groupings):
        return
    draws = parameter_draws(resolved, np.random.default_rng(SEED), DRAWS)
    if resolved.outcomes:
        by_outcome = {
            item.name for item in resolved.spec.scalar_parameters if item.name != "cutpoints"
        }
        for name in by_outcome if resolved.outcome_identifiers else ():
            having = resolved.spec.outcomes_of_parameter(name)
            draws[name] = parameters_by_outcome(draws[name], having, len(resolved.outcomes))
        for number, outcome in enumerate(resolved.outcomes):
            own = {
                name: values[:, number] if name in by_outcome else values
                for name, values in draws.items()
            }
            rows = [outcome_terms(model.facts, item, number) for item in groupings]
            for name, values in _implied_at(model, own, rows, number):
                yield f"{name} [{outcome}]", values
        return
    yield from _implied_at(model, draws, [_main_terms(item) for item in groupings])


def _implied_at(
    model: Model, draws: dict[str, np.ndarray], rows: list[np.ndarray], outcome: int | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what the priors imply where the terms of each grouping have these values."""
    groupings = model.facts.main_groupings
    between = np.column_stack(
        [
            _variance(draws, item.identifier, z) * item.squared_weights
            for item, z in zip(groupings, rows, strict=True)
        ]
    )
    names = [item.name for item in groupings]
    level1 = level1_variance(model, draws, outcome)
    if level1 is None:
        families = model.spec.outcome_families
        chosen = families[outcome if outcome is not None and len(families) > 1 else 0]
        ratio = _RATIOS.get(chosen.link.name)
        # The median is that of normal effects.
        if ratio is not None and not any(item.student for item in groupings):
            ratios = median_ratio(between)
            yield from ((f"{ratio} {name}", ratios[:, i]) for i, name in enumerate(names))
        return
    # Which grouping contains which matters for correlations only, not for shares.
    none = np.zeros((len(names), len(names)), dtype=bool)
    shares = linear_partition(between, level1, none).shares
    yield from ((f"vpc {name}", shares[:, i]) for i, name in enumerate(names))


def _main_terms(grouping: GroupingFacts) -> np.ndarray:
    """Return the mean of each term; 0 of those that enter other linear predictors."""
    main = grouping.places()
    return np.array([m if i in main else 0.0 for i, m in enumerate(grouping.term_means)])


def _variance(draws: dict[str, np.ndarray], name: str, z: np.ndarray) -> np.ndarray:
    factor = draws.get(f"chol_{name}")
    corr = None if factor is None else factor @ factor.swapaxes(1, 2)
    return varying_variance(draws[f"sd_{name}"], corr, z)


def level1_variance(
    model: Model, draws: dict[str, np.ndarray], outcome: int | None = None
) -> np.ndarray | float | None:
    """Return the level-1 variance on the scale of the linear predictor, None where there is none.

    Parameters
    ----------
    model : Model
    draws : dict of str to array
        With the parameter that is the level-1 SD, where the family has one.
    outcome : int or None
        Number of the outcome, where there are several.
    """
    own = model.spec.family_of(outcome)
    if own.record.level1:
        return own.record.variance(np.zeros(DRAWS), _at_mean(model, draws), np.ones(1))
    return own.latent_variance


def _at_mean(model: Model, draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return draws with modelled parameters at the mean of their predictors, effects of 0."""
    found = dict(draws)
    for part in model.facts.parts:
        name = part.parameter
        eta = draws.get(f"intercept_{name}")
        if eta is None:
            eta = draws[f"slopes_{name}"] @ np.array(part.coefficient_means)
        with np.errstate(over="ignore"):
            # Squares of a very vague prior's draws would overflow.
            found[name] = np.minimum(LINKS[part.link].inverse(eta), 1e140)
    return found
