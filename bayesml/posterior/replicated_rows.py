"""Replications of a fit's outcome, and its mean and SD, in blocks of some of the draws."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayesml.design.member_terms import slot_terms
from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import (
    factors_by_kind,
    require_normal_effects,
    require_one_covariance,
)
from bayesml.posterior.fitted_rows import FittedRows, UnitRows, fitted_rows
from bayesml.posterior.linear_predictors import flat_draws, flat_parameters
from bayesml.posterior.mixed_predictions import (
    category_moments,
    mean_and_sd,
    moments_by_outcome,
    replicated_by_outcome,
)
from bayesml.posterior.predictor_arrays import flat_coefficients
from bayesml.posterior.residual_fits import correlated_residuals, residual_record
from bayesml.quantities.residual_covariances import CorrelatedResiduals, draw_residuals
from bayesml.quantities.response_means import response_mean
from bayesml.records.fits import Fit

SAME, NEW = "same", "new"
DRAWS = 500
# Numbers in a block of draws by rows: 16 MB an array, of which there are about ten.
_BLOCK = 2_000_000


@dataclass(frozen=True, eq=False)
class ChosenDraws:
    """Some of a fit's draws, chains one after the other.

    Parameters
    ----------
    beta : array, shape (draws, coefficients)
    parameters : mapping of str to array, shape (draws, ...)
        Further parameters of the likelihood.
    effects : mapping of str to array, shape (draws, units, terms)
        Random effects by the grouping's identifier.
    roots : mapping of str to array, shape (draws, terms, terms)
        S with S S' = Sigma, by the grouping's identifier.
    part_betas : mapping of str to array, shape (draws, coefficients)
        Coefficients of the parameters that have a linear predictor of their own;
        category-specific effects have the shape (draws, cutpoints, coefficients).
    """

    beta: np.ndarray
    parameters: Mapping[str, np.ndarray]
    effects: Mapping[str, np.ndarray]
    roots: Mapping[str, np.ndarray]
    part_betas: Mapping[str, np.ndarray]

    @property
    def number(self) -> int:
        """Number of draws."""
        return len(self.beta)

    def take(self, chosen: slice | np.ndarray) -> "ChosenDraws":
        """Return some of these draws."""
        return ChosenDraws(
            self.beta[chosen],
            {name: value[chosen] for name, value in self.parameters.items()},
            {name: value[chosen] for name, value in self.effects.items()},
            {name: value[chosen] for name, value in self.roots.items()},
            {name: value[chosen] for name, value in self.part_betas.items()},
        )


@dataclass(frozen=True, eq=False)
class CheckedRows:
    """The rows of a fit with a subset of its draws, ready to be replicated.

    Parameters
    ----------
    fit : Fit
    rows : FittedRows
    draws : ChosenDraws
        The subset, evenly spaced over all draws.
    outcome : array, shape (rows,)
        The outcome as it is shown: numbers, counts, shares of the trials, categories from 0.
    """

    fit: Fit
    rows: FittedRows
    draws: ChosenDraws
    outcome: np.ndarray

    @property
    def kind(self) -> str:
        """What the outcome is: the family's kind of response, or "share" with trials."""
        number, spec = self.rows.outcome_number, self.fit.spec
        one = spec.family_record if number is None else spec.family_of(number).record
        response = one.response
        return "share" if response == "binary" and self.has_trials else response

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories of the outcome, ordered or nominal."""
        facts = self.fit.facts
        return facts.categories_of(self.rows.outcome_number) or facts.nominal

    @property
    def has_trials(self) -> bool:
        """Whether the outcome is successes out of more than one trial."""
        return self.rows.trials is not None and bool((self.rows.trials != 1).any())


@dataclass(frozen=True, eq=False)
class Replications:
    """A block of draws with outcomes drawn from them.

    Parameters
    ----------
    draws : ChosenDraws
        Effects of redrawn units replaced.
    outcome : array, shape (draws, rows)
        On the scale of `CheckedRows.outcome`.
    eta : array, shape (draws, rows)
        Linear predictor that they were drawn from.
    """

    draws: ChosenDraws
    outcome: np.ndarray
    eta: np.ndarray


def checked_rows(fit: Fit, draws: int) -> CheckedRows:
    """Return the rows of a fit with at most `draws` of its draws, evenly spaced.

    Raises
    ------
    FitError
        `draws` is not a whole number from 1 up, or the fit has no rows.
    """
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise FitError(f"draws is {quoted(draws)}. Give a whole number from 1 up.")
    rows = fitted_rows(fit, "A check of the rows")
    if fit.facts.censored:
        raise FitError(
            f"The outcome {quoted(fit.facts.response)} is censored ({fit.facts.censored}), and "
            "replicated durations are whole ones: side by side they would differ however good the "
            "model is. Compare survival curves, bml.survival(fit, ...), with the Kaplan-Meier "
            "curve of each group, or models by bml.loo(fit), which takes censoring into account."
        )
    outcome = rows.outcome.astype(float)
    if rows.trials is not None:
        outcome = outcome / rows.trials
    return CheckedRows(fit, rows, chosen_draws(fit, int(draws)), outcome)


def chosen_draws(fit: Fit, most: int) -> ChosenDraws:
    """Return at most `most` draws, evenly spaced over all chains."""
    chosen = chosen_places(fit.draws_made, most)
    groupings = [item.identifier for item in fit.facts.groupings]
    beta = flat_coefficients(fit)
    parameters = {name: values[chosen] for name, values in flat_parameters(fit).items()}
    record = residual_record(fit.spec)
    if record is not None:
        parameters[record.parameter] = flat_draws(fit, record.parameter)[chosen]
    return ChosenDraws(
        beta[chosen],
        parameters,
        {name: flat_draws(fit, f"u_{name}")[chosen] for name in groupings},
        {item.identifier: factors_by_kind(fit, item)[chosen] for item in fit.facts.groupings},
        {
            part.parameter: flat_coefficients(fit, part.parameter)[chosen]
            for part in fit.facts.parts
        },
    )


def chosen_places(number: int, most: int) -> np.ndarray:
    """Return the places of at most `most` of `number` draws, evenly spaced.

    Examples
    --------
    >>> chosen_places(9, 3).tolist(), chosen_places(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.linspace(0, number - 1, min(most, number)).round().astype(int)


def checked_seed(seed: int | None) -> int:
    """Return the seed, or a new one for None.

    Raises
    ------
    FitError
        The seed is not a whole number from 0 up.
    """
    if seed is None:
        return secrets.randbelow(2**31)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise FitError(f"seed is {quoted(seed)}. Give a whole number from 0 up, or None.")
    return int(seed)


def replications(
    checked: CheckedRows, rng: np.random.Generator, units: str
) -> Iterator[Replications]:
    """Yield blocks of draws with replicated outcomes.

    Parameters
    ----------
    checked : CheckedRows
    rng : numpy Generator
    units : {"same", "new"}
        "same" keeps the effects of every unit, but for groupings with one row a unit: their
        effects are a part of what varies between rows. "new" draws all effects from Sigma.
    """
    redrawn = [
        grouping.facts.identifier
        for grouping in checked.rows.groupings
        if units == NEW or one_row_a_unit(grouping)
    ]
    if redrawn:
        what = "A check with units drawn anew"
        require_one_covariance(checked.fit, what, "bml.unit_checks(fit, grouping)")
        require_normal_effects(checked.fit, what, "bml.unit_checks(fit, grouping)")
    for block in draw_blocks(checked):
        draws = with_new_effects(block, redrawn, rng)
        eta = predictors_of(checked, draws)
        yield Replications(draws, simulated_outcomes(checked, draws, eta, rng), eta)


def draw_blocks(checked: CheckedRows) -> Iterator[ChosenDraws]:
    """Yield the draws a few at a time, so that draws by rows stay in bounds."""
    size = max(1, _BLOCK // len(checked.outcome))
    for start in range(0, checked.draws.number, size):
        yield checked.draws.take(slice(start, start + size))


def one_row_a_unit(grouping: UnitRows) -> bool:
    """Return whether no unit has a second row."""
    return grouping.weights is None and int(grouping.sizes.max()) == 1


def with_new_effects(
    draws: ChosenDraws, redrawn: list[str], rng: np.random.Generator
) -> ChosenDraws:
    """Return the draws with effects of some groupings drawn from their own Sigma."""
    effects = dict(draws.effects)
    for name in redrawn:
        standard = rng.normal(size=effects[name].shape)
        effects[name] = standard @ draws.roots[name].swapaxes(1, 2)
    return replace(draws, effects=effects)


def predictors_of(
    checked: CheckedRows, draws: ChosenDraws, *, effects: bool = True, predictor: str = ""
) -> np.ndarray:
    """Return a linear predictor of every row, shape (draws, rows), with or without effects."""
    rows = checked.rows
    if predictor:
        eta = draws.part_betas[predictor] @ rows.parts[predictor].T
    else:
        eta = draws.beta @ rows.predictors.T + rows.offset
    for part in rows.groupings if effects else ():
        index = part.index.reshape(len(rows.outcome), -1)
        values = draws.effects[part.facts.identifier]
        for slot in range(index.shape[1]):
            for term in part.facts.places(predictor):
                z = slot_terms(part.terms, slot)[:, term]
                share = z if part.weights is None else z * part.weights[:, slot]
                eta += share * values[:, index[:, slot], term]
    return eta


def row_parameters(checked: CheckedRows, draws: ChosenDraws) -> dict[str, np.ndarray]:
    """Return the likelihood's parameters, each an array that broadcasts to (draws, rows, ...)."""
    if checked.fit.facts.outcome_column:
        own = outcomes_of_rows(checked)
        # Cutpoints of several outcomes have no axis of rows.
        return {
            name: value if name == "cutpoints" else value[:, own]
            for name, value in draws.parameters.items()
        }
    # One more axis than the draws: the rows.
    found = {name: np.expand_dims(value, 1) for name, value in draws.parameters.items()}
    for part in checked.fit.facts.parts:
        own = predictors_of(checked, draws, predictor=part.parameter)
        if part.category_specific:
            found["cutpoints"] = found["cutpoints"] - own.swapaxes(1, 2)
            continue
        found[part.parameter] = response_mean(part.link, own)
    return found


def simulated_outcomes(
    checked: CheckedRows, draws: ChosenDraws, eta: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return outcomes drawn by the family's simulator, shape (draws, rows).

    Correlated residuals are drawn jointly over the rows of their unit.
    """
    residuals = _residuals(checked, draws)
    if residuals is not None:
        return eta + draw_residuals(residuals, rng).T
    spec, trials = checked.fit.spec, checked.rows.trials
    parameters = row_parameters(checked, draws)
    if spec.families:
        own = {**parameters, "trials": _trials_of(checked)}
        return replicated_by_outcome(spec, eta, own, outcomes_of_rows(checked), rng)
    family, link = spec.family_record, spec.link_record
    with np.errstate(over="ignore"):
        mean = eta if family.response == "ordered" else link.inverse(eta)
    drawn = family.simulate(
        rng,
        mean,
        {**parameters, "link": link.name},
        np.asarray(1 if trials is None else trials),
    ).astype(float)
    return drawn if trials is None else drawn / trials


def outcome_moments(
    checked: CheckedRows, draws: ChosenDraws, eta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of every row's outcome given its linear predictor.

    The variance is the family's, or the square of its scale where it is infinite; of ordered
    outcomes it is that of the category's number.

    Returns
    -------
    (array, array), each of shape (draws, rows)
    """
    spec = checked.fit.spec
    residuals = _residuals(checked, draws)
    if residuals is not None:
        return eta, residuals.row_sd.T
    if spec.families:
        of_rows = {**row_parameters(checked, draws), "trials": _trials_of(checked)}
        return moments_by_outcome(spec, eta, of_rows, outcomes_of_rows(checked))
    family = spec.family_record
    if family.response == "ordered":
        cutpoints = np.moveaxis(row_parameters(checked, draws)["cutpoints"], -1, 0)
        return category_moments(spec.family_of(None), eta, cutpoints)
    trials = np.ones(1) if checked.rows.trials is None else checked.rows.trials
    return mean_and_sd(spec.family_of(None), eta, row_parameters(checked, draws), trials)


def _trials_of(checked: CheckedRows) -> np.ndarray:
    """Return the trials of the rows, shape (1, rows); 1 where there are none."""
    trials = checked.rows.trials
    return np.ones((1, 1)) if trials is None else trials[None]


def outcomes_of_rows(checked: CheckedRows) -> np.ndarray:
    """Return the number of each row's outcome, where there are several."""
    if checked.rows.outcome_number is not None:
        return np.full(len(checked.outcome), checked.rows.outcome_number)
    return np.asarray(checked.fit.data["constant_data"].to_dataset()["outcome_number"].values)


def _residuals(checked: CheckedRows, draws: ChosenDraws) -> CorrelatedResiduals | None:
    """Return the distribution of correlated residuals, None where they are independent."""
    record = residual_record(checked.fit.spec)
    if record is None:
        return None
    rows = checked.fit.data["constant_data"].to_dataset()
    return correlated_residuals(
        record,
        np.asarray(rows["unit_residual"].values, dtype=np.int64),
        np.asarray(rows["place_residual"].values, dtype=float),
        draws.parameters,
    )
