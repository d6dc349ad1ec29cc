"""Draws from the priors and outcomes from the model, with NumPy and SciPy: nothing is compiled."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesml.errors import FitError, quoted
from bayesml.quantities.correlation_matrices import draw_lkj
from bayesml.quantities.mixed_outcomes import joined_outcomes, parameters_by_outcome
from bayesml.quantities.residual_covariances import CorrelatedResiduals, draw_residuals
from bayesml.quantities.student_effects import student_spread
from bayesml.records.modelling import Model
from bayesml.records.prior_columns import correlation_factors, one_prior, prior_columns
from bayesml.records.prior_predictors import prior_predictor
from bayesml.specs.distributions import Prior
from bayesml.specs.links import LINKS
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec
from bayesml.specs.resolved_residuals import ResolvedResidual

if TYPE_CHECKING:
    import xarray as xr

# Numbers in a block of linear predictors: 32 MB.
_BLOCK = 4_000_000
# A prior such as Gamma^-1(0.001, 0.001) has draws whose squares overflow: they are cut here.
_LARGEST = 1e140


def prior_predictive(model: Model, draws: int = 500, seed: int | None = None) -> "xr.DataTree":
    """Draw parameters from the priors and outcomes from the model, without compiling.

    Parameters
    ----------
    model : Model
    draws : int
        Number of draws.
    seed : int or None
        Seed; None draws one.

    Returns
    -------
    DataTree
        Groups `prior` (names and dims of the posterior, with one chain), `prior_predictive` (the
        outcome, dims chain, draw, obs; categories as numbers from 0) and `observed_data`;
        attribute `seed`. SDs are cut at 1e140.

    Raises
    ------
    FitError
        An argument is out of range.

    Examples
    --------
    >>> import bayesml as bml
    >>> model = bml.two_level(bml.load_dataset("exam"), "normexam ~ standLRT", group="school")
    >>> prior_predictive(model, draws=10, seed=1).prior_predictive["normexam"].sizes["draw"]
    10
    """
    import xarray as xr

    from bayesml.records.fitting import posterior_dims

    _check_whole("draws", draws, 1)
    if seed is not None:
        _check_whole("seed", seed, 0)
    if seed is None:
        seed = secrets.randbelow(2**31)
    rng = np.random.default_rng(int(seed))
    parameters = parameter_draws(model.resolved, rng, draws)
    reported = _on_users_scale(model, parameters)
    for grouping in model.resolved.groupings:
        name = grouping.identifier
        reported[f"u_{name}"] = _effects(grouping, parameters, model.data.get(f"by_{name}"), rng)
    y = np.array(model.design.response.values)
    outcome = np.empty((draws, len(y)), dtype=y.dtype)
    for block in _blocks(model, draws):
        outcome[block] = _outcomes(model, parameters, reported, block, rng)

    dims = posterior_dims(model)
    coords: dict[str, Any] = {"chain": [0], "draw": np.arange(draws)}
    labels = {dim: _labels(model.coords[dim]) for items in dims.values() for dim in items}
    rows = {"obs": np.asarray(model.coords["obs"], dtype=np.int64)}
    response = model.resolved.response
    prior = xr.Dataset(
        {
            name: (("chain", "draw", *dims[name]), reported[name][None])
            for name in model.resolved.posterior_names
        },
        coords=coords | labels,
    )
    predictive = xr.Dataset(
        {response: (("chain", "draw", "obs"), outcome[None])}, coords=coords | rows
    )
    observed = xr.Dataset({response: ("obs", y)}, coords=rows)
    tree = xr.DataTree.from_dict(
        {"prior": prior, "prior_predictive": predictive, "observed_data": observed}
    )
    tree.attrs["seed"] = int(seed)
    return tree


def _check_whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise FitError(f"{name} is {quoted(value)}. Give a whole number from {least} up.")


def parameter_draws(
    resolved: ResolvedSpec, rng: np.random.Generator, draws: int
) -> dict[str, np.ndarray]:
    """Return draws of every parameter but the random effects, as the generated source has them.

    Parameters
    ----------
    resolved : ResolvedSpec
    rng : numpy Generator
    draws : int

    Returns
    -------
    dict of str to array, shape (draws, ...)
        ``intercept`` (at the mean of the predictors), ``slopes``, ``sd_<grouping>``, the Cholesky
        factor ``chol_<grouping>`` of the correlations where there are any, and the likelihood's
        parameters; cutpoints at the mean of the predictors, in order where they must be. Of a
        parameter with a linear predictor: ``intercept_<parameter>`` and ``slopes_<parameter>``;
        category-specific effects, ``slopes_cs``, have the shape (draws, cutpoints, terms).
    """
    found: dict[str, np.ndarray] = {}
    if resolved.intercept_prior is not None:
        found["intercept"] = one_prior(resolved.intercept_prior, rng, draws)
    if resolved.intercept_priors:
        found["intercept"] = prior_columns(resolved.intercept_priors, rng, draws)
    found["slopes"] = prior_columns(resolved.slope_priors, rng, draws)
    for grouping in resolved.groupings:
        name = grouping.identifier
        sd = prior_columns(grouping.sd_priors, rng, draws)
        found[f"sd_{name}"] = np.minimum(sd, _LARGEST)
        kinds = len(grouping.kinds)
        if kinds:
            found[f"sd_{name}"] = found[f"sd_{name}"].reshape(draws, kinds, -1)
        if grouping.correlated and kinds:
            factors = [correlation_factors(grouping, rng, draws) for _ in range(kinds)]
            found[f"chol_{name}"] = np.stack(factors, axis=1)
        elif grouping.correlated:
            found[f"chol_{name}"] = correlation_factors(grouping, rng, draws)
        if grouping.nu_prior is not None:
            found[f"nu_{name}"] = 2 + one_prior(grouping.nu_prior, rng, draws)
    for part in resolved.parts:
        if part.intercept_prior is not None:
            found[f"intercept_{part.parameter}"] = one_prior(part.intercept_prior, rng, draws)
        name = f"slopes_{part.parameter}"
        if part.category_specific:
            each = [prior_columns(part.slope_priors, rng, draws) for _ in resolved.categories[1:]]
            found[name] = np.stack(each, axis=1)
        else:
            found[name] = prior_columns(part.slope_priors, rng, draws)
    for name, prior in resolved.parameter_priors.items():
        if name == "cutpoints":
            ascending = resolved.family.ordered_cutpoints
            found[name] = _cutpoints(prior, len(resolved.categories), ascending, rng, draws)
        else:
            found[name] = np.minimum(one_prior(prior, rng, draws), _LARGEST)
    for name, priors in resolved.outcome_parameter_priors.items():
        found[name] = np.minimum(prior_columns(priors, rng, draws), _LARGEST)
    for item in resolved.outcome_cutpoints:
        categories = len(item.categories)
        found[item.variable] = _cutpoints(item.prior, categories, item.ascending, rng, draws)
    if resolved.residual is not None:
        found |= _residual_draws(resolved.residual, rng, draws)
    return found


def _cutpoints(
    prior: Prior, categories: int, ascending: bool, rng: np.random.Generator, draws: int
) -> np.ndarray:
    # Ordered variables with one prior are the order statistics of independent draws.
    free = prior_columns([prior] * (categories - 1), rng, draws)
    return np.sort(free, axis=1) if ascending else free


def _residual_draws(
    residual: ResolvedResidual, rng: np.random.Generator, draws: int
) -> dict[str, np.ndarray]:
    """Return draws of the SDs by occasion and of the correlations of residuals."""
    found: dict[str, np.ndarray] = {}
    name = residual.record.parameter
    if residual.sigma_priors:
        found["sigma"] = np.minimum(prior_columns(residual.sigma_priors, rng, draws), _LARGEST)
    if residual.record.bounds is None:
        factor = draw_lkj(rng, residual.prior.values[0], len(residual.occasions), draws)
        found[name] = factor @ factor.swapaxes(1, 2)
    else:
        found[name] = one_prior(residual.prior, rng, draws) ** (1 / residual.median_gap)
    return found


def _on_users_scale(model: Model, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what the posterior reports, but for the random effects."""
    resolved = model.resolved
    slopes = parameters["slopes"]
    if resolved.outcomes:
        # Of every outcome over its own rows; without slopes there are none.
        means = model.data.get("x_mean", np.zeros(len(resolved.slopes)))
        return _outcomes_on_users_scale(resolved, parameters, means)
    means = model.design.fixed.values[:, int(resolved.intercept) :].mean(axis=0)
    # Without centring (no intercept and no cutpoints) there is no shift to take back.
    shift = slopes @ means if resolved.centred_predictors else np.zeros(len(slopes))
    reported = dict(parameters)
    if resolved.intercept:
        reported["beta"] = np.column_stack([parameters["intercept"] - shift, slopes])
    else:
        reported["beta"] = slopes
    if "cutpoints" in parameters:
        reported["cutpoints"] = parameters["cutpoints"] + shift[:, None]
        if resolved.specific is not None:
            reported["cutpoints"] += parameters["slopes_cs"] @ model.data["x_cs_mean"]
    for part in resolved.parts:
        slopes = parameters[f"slopes_{part.parameter}"]
        beta = slopes
        if part.intercept:
            x = model.design.parts[part.parameter].values[:, 1:]
            at_mean = parameters[f"intercept_{part.parameter}"]
            beta = np.column_stack([at_mean - slopes @ x.mean(axis=0), slopes])
        reported[f"beta_{part.parameter}"] = beta
    return reported | _correlations(resolved, parameters)


def _correlations(
    resolved: ResolvedSpec, parameters: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the correlation matrices of the groupings."""
    found = {}
    for grouping in resolved.groupings:
        if grouping.correlated:
            factor = parameters[f"chol_{grouping.identifier}"]
            found[f"corr_{grouping.identifier}"] = factor @ factor.swapaxes(-1, -2)
    return found


def _outcomes_on_users_scale(
    resolved: ResolvedSpec, parameters: Mapping[str, np.ndarray], means: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what the posterior of several outcomes reports, but for the random effects."""
    slopes = parameters["slopes"].reshape(-1, len(resolved.outcomes), len(resolved.slopes))
    beta, reported = slopes, dict(parameters)
    shift = (slopes * means).sum(axis=-1)
    if resolved.intercept:
        intercept = np.zeros_like(shift)
        if resolved.intercept_owners:
            places = [resolved.outcomes.index(name) for name in resolved.intercept_owners]
            intercept[:, places] = parameters["intercept"] - shift[:, places]
        beta = np.concatenate([intercept[..., None], slopes], axis=-1)
    for item in resolved.outcome_cutpoints:
        reported[item.variable] = parameters[item.variable] + shift[:, [item.outcome]]
    return {**reported, "beta": beta} | _correlations(resolved, parameters)


def _effects(
    grouping: ResolvedGrouping,
    parameters: Mapping[str, np.ndarray],
    kind: np.ndarray | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return draws of one grouping's random effects, shape (draws, units, terms).

    `kind` is the number of each unit's kind, None where all units have the same SDs.
    """
    name = grouping.identifier
    sd = parameters[f"sd_{name}"]
    effects = rng.normal(size=(len(sd), grouping.units, len(grouping.terms)))
    if grouping.correlated and kind is not None:
        effects = np.einsum("dust,dut->dus", parameters[f"chol_{name}"][:, kind], effects)
    elif grouping.correlated:
        effects = effects @ parameters[f"chol_{name}"].swapaxes(1, 2)
    effects *= sd[:, None, :] if kind is None else sd[:, kind]
    if grouping.student:
        effects *= student_spread(parameters[f"nu_{name}"], grouping.units, rng)[..., None]
    return effects


def _blocks(model: Model, draws: int) -> Iterator[slice]:
    """Yield draws a few at a time, so that draws by rows stay in bounds."""
    rows = len(model.design.response.values)
    slots = max([1, *(np.size(part.units.index) // rows for part in model.design.varying)])
    size = max(1, _BLOCK // (rows * slots))
    for start in range(0, draws, size):
        yield slice(start, min(start + size, draws))


def _outcomes(
    model: Model,
    parameters: Mapping[str, np.ndarray],
    reported: Mapping[str, np.ndarray],
    block: slice,
    rng: np.random.Generator,
) -> np.ndarray:
    eta = prior_predictor(model, parameters, reported, block)
    if model.design.residual is not None:
        rows, residual = model.design.residual, model.resolved.residual
        assert residual is not None
        residuals = CorrelatedResiduals(
            rows.units.index,
            rows.place,
            residual.record.correlations,
            parameters["sigma"][block],
            parameters[residual.record.parameter][block],
        )
        return eta + draw_residuals(residuals, rng).T
    if model.resolved.outcome_identifiers:
        return _outcomes_by_family(model, reported, block, eta, rng)
    family, link = model.resolved.family, model.spec.link_record
    values: dict[str, Any] = {
        # One more axis than the draws: the rows.
        item.name: np.expand_dims(parameters[item.name][block], 1)
        for item in model.spec.scalar_parameters
    }
    if model.design.outcomes is not None:
        own = model.design.outcomes.number
        values = {name: value[:, 0][:, own] for name, value in values.items()}
    for category in model.resolved.outcomes if model.resolved.nominal else ():
        values[category] = prior_predictor(model, parameters, reported, block, category)
    for part in model.resolved.parts:
        if part.category_specific:
            moved = parameters["slopes_cs"][block] @ model.data["x_cs_centred"].T
            values["cutpoints"] = values["cutpoints"] - moved.swapaxes(1, 2)
            continue
        own = prior_predictor(model, parameters, reported, block, part.parameter)
        with np.errstate(over="ignore"):
            values[part.parameter] = np.minimum(LINKS[part.link].inverse(own), _LARGEST)
    trials = np.asarray(model.data.get("trials", 1))
    with np.errstate(over="ignore"):
        mean = eta if family.response == "ordered" else link.inverse(eta)
    return family.simulate(rng, mean, values | {"link": link.name}, trials)


def _outcomes_by_family(
    model: Model,
    reported: Mapping[str, np.ndarray],
    block: slice,
    eta: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return outcomes that have families of their own, each drawn by its family."""
    assert model.design.outcomes is not None
    spec, number = model.spec, model.design.outcomes.number
    values = {
        item.name: parameters_by_outcome(
            reported[item.name][block],
            spec.outcomes_of_parameter(item.name),
            len(model.resolved.outcomes),
        )[:, number]
        for item in spec.scalar_parameters
        if item.name != "cutpoints"
    }
    cutpoints = {
        item.outcome: reported[item.variable][block][:, None]
        for item in model.resolved.outcome_cutpoints
    }
    trials = model.design.response.trials
    values["trials"] = np.ones((1, 1)) if trials is None else trials[None]

    def drawn(place: int, own: np.ndarray, of_rows: Mapping[str, np.ndarray]) -> np.ndarray:
        family = spec.family_of(place)
        of_family = {**of_rows, "link": family.link.name}
        if place in cutpoints:
            of_family["cutpoints"] = cutpoints[place]
        with np.errstate(over="ignore"):
            mean = own if place in cutpoints else family.link.inverse(own)
        return family.record.simulate(rng, mean, of_family, of_rows["trials"])

    return joined_outcomes(number, eta, values, drawn, axis=-1)


def _labels(labels: Iterable[Any]) -> np.ndarray:
    items = list(labels)
    if all(isinstance(item, int | np.integer) for item in items):
        return np.array(items, dtype=np.int64)
    return np.array([str(item) for item in items], dtype=object)
