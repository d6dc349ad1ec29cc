"""The rows that a model was fitted to, from the model or from a fit that holds them."""

from dataclasses import dataclass, replace

import numpy as np

from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import require_shared_terms
from bayesml.posterior.fitted_rows import fitted_rows
from bayesml.posterior.predictor_terms import require_one_predictor
from bayesml.quantities.dummy_likelihoods import LIKELIHOOD_LINKS, GroupedOutcome
from bayesml.quantities.dummy_regression import Block, membership_block, single_blocks
from bayesml.quantities.ordered_likelihoods import OrderedOutcome, middle_cutpoint
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

# Dummies of a multiple membership are a whole matrix: 320 MB at most.
_MOST_NUMBERS = 40_000_000


_INSTEAD = "Use bml.random_effects(fit, grouping) and bml.variance_components(fit)."


@dataclass(frozen=True)
class GroupingRows:
    """One grouping's part of the rows.

    Parameters
    ----------
    name : str
    labels : tuple of str
        Labels of the terms.
    units : array, shape (units,)
        Labels of the units.
    index : array of int, shape (rows,) or (rows, slots)
    weights : array, shape (rows, slots), or None
        Weights of a multiple membership.
    terms : array, shape (rows, terms)
        Z, on the user's scale.
    within : tuple of str
        Groupings whose units contain this grouping's units.
    """

    name: str
    labels: tuple[str, ...]
    units: np.ndarray
    index: np.ndarray
    weights: np.ndarray | None
    terms: np.ndarray
    within: tuple[str, ...]

    @property
    def rows_per_unit(self) -> np.ndarray:
        """Number of rows of each unit."""
        used = self.index if self.weights is None else self.index[self.weights > 0]
        return np.bincount(used, minlength=len(self.units))

    @property
    def blocks(self) -> list[Block]:
        """The units' columns: the terms of each unit, those of the first unit first."""
        if self.weights is None:
            return single_blocks(self.index, self.terms, len(self.units))
        size = self.terms.size * len(self.units)
        if size > _MOST_NUMBERS:
            raise FitError(
                f"The units of {self.name} have {size:,} dummies, because rows belong to several "
                f"units; {_MOST_NUMBERS:,} is the most in this version. Use a random sample of "
                "the rows."
            )
        return [membership_block(self.index, self.weights, self.terms, len(self.units))]

    def contribution(self, effects: np.ndarray) -> np.ndarray:
        """Return what effects of shape (units, terms) add to the linear predictor of each row."""
        if self.weights is None:
            return (self.terms * effects[self.index]).sum(axis=1)
        own = np.einsum("rs,rst->rt", self.weights, effects[self.index])
        return (self.terms * own).sum(axis=1)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the units' means of values of rows, weighted by membership."""
        return self.sum(values) / np.maximum(self.sum(np.ones(len(values))), 1e-300)

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Return the units' sums of values of rows, weighted by membership."""
        weights = np.ones((len(values), 1)) if self.weights is None else self.weights
        slots = self.index[:, None] if self.weights is None else self.index
        total = np.zeros(len(self.units))
        for slot in range(slots.shape[1]):
            total += np.bincount(slots[:, slot], weights[:, slot] * values, minlength=len(total))
        return total


@dataclass(frozen=True)
class ModelRows:
    """The rows of a model as arrays.

    Parameters
    ----------
    y : array, shape (rows,)
    trials : array, shape (rows,), or None
    offset : array, shape (rows,)
    x : array, shape (rows, coefficients)
        X, on the user's scale.
    coefficients : tuple of str
    groupings : tuple of GroupingRows
    family, link : str
    censored : str
        How many durations were not observed whole, in words.
    categories : tuple of str
        Of an ordered outcome.
    """

    y: np.ndarray
    trials: np.ndarray | None
    offset: np.ndarray
    x: np.ndarray
    coefficients: tuple[str, ...]
    groupings: tuple[GroupingRows, ...]
    family: str
    link: str
    censored: str = ""
    categories: tuple[str, ...] = ()

    def with_intercept(self) -> "ModelRows":
        """Return the rows with a column for the intercept that ordered outcomes have not got.

        It stands for minus the middle cutpoint.
        """
        if not self.categories:
            return self
        x = np.column_stack([np.ones(len(self.y)), self.x])
        return replace(self, x=x, coefficients=("Intercept", *self.coefficients))

    def outcome(
        self, what: str, offset: np.ndarray | None = None, gaps: np.ndarray | None = None
    ) -> GroupedOutcome | OrderedOutcome:
        """Return the outcome for maximum likelihood, with the model's offset or another.

        Parameters
        ----------
        what : str
            What asks for it.
        offset : array, shape (rows,), optional
        gaps : array, shape (cutpoints,), optional
            Of an ordered outcome, the cutpoints less the middle one, where they are known.

        Raises
        ------
        FitError
            The family's likelihood has further parameters.
        """
        used = self.offset if offset is None else offset
        if self.categories:
            codes = self.y.astype(int)
            middle = middle_cutpoint(codes, len(self.categories))
            return OrderedOutcome(
                codes, self.family, self.link, used, self.categories, middle, gaps
            )
        if self.family not in ("gaussian", "binomial", "poisson") or (
            self.link not in LIKELIHOOD_LINKS
        ):
            raise FitError(
                f"{what} needs estimates without pooling, and the family {quoted(self.family)} "
                f"with link {quoted(self.link)} has none in this version. Allowed: 'gaussian', "
                "'binomial', 'poisson' and ordered categories. Use bml.random_effects(fit, "
                "grouping) instead."
            )
        trials = np.ones(len(self.y)) if self.trials is None else self.trials.astype(float)
        return GroupedOutcome(self.y.astype(float), self.link, trials, used)


def rows_of_model(model: Model) -> ModelRows:
    """Return the rows of a model.

    Raises
    ------
    FitError
        A parameter of the likelihood has a linear predictor of its own.
    """
    require_one_predictor(model.facts, "This comparison", _INSTEAD)
    require_shared_terms(model.facts, "This comparison", "bml.random_effects(fit, grouping)")
    design = model.design
    y = np.asarray(design.response.values)
    return ModelRows(
        y=y,
        trials=design.response.trials,
        offset=np.zeros(len(y)) if design.offset is None else design.offset,
        x=design.fixed.values,
        coefficients=tuple(design.fixed.labels),
        groupings=tuple(
            GroupingRows(
                name=facts.name,
                labels=facts.terms,
                units=unit_labels(part.units.labels),
                index=np.asarray(part.units.index),
                weights=part.units.weights,
                terms=part.terms,
                within=facts.within,
            )
            for facts, part in zip(model.facts.groupings, design.varying, strict=True)
        ),
        family=model.spec.family,
        link=model.spec.link,
        censored=model.facts.censored,
        categories=model.facts.categories,
    )


def unit_labels(labels: tuple[object, ...]) -> np.ndarray:
    """Return labels as results hold them: whole numbers, or text."""
    if all(isinstance(label, int) for label in labels):
        return np.array(labels, dtype=np.int64)
    return np.array([str(label) for label in labels], dtype=object)


def rows_in_fit(fit: Fit, wanted_by: str) -> ModelRows:
    """Return the rows that a fit holds.

    Raises
    ------
    FitError
        The fit was saved without its rows, or a parameter of the likelihood has a linear predictor
        of its own.
    """
    require_one_predictor(fit.facts, wanted_by, _INSTEAD)
    require_shared_terms(fit.facts, wanted_by, "bml.random_effects(fit, grouping)")
    found = fitted_rows(fit, wanted_by)
    posterior = fit.posterior
    return ModelRows(
        y=found.outcome,
        trials=found.trials,
        offset=found.offset,
        x=found.predictors,
        coefficients=fit.facts.coefficients,
        groupings=tuple(
            GroupingRows(
                name=item.facts.name,
                labels=item.facts.terms,
                units=posterior[f"u_{item.facts.identifier}"].coords[item.facts.identifier].values,
                index=item.index,
                weights=item.weights,
                terms=item.terms,
                within=item.facts.within,
            )
            for item in found.groupings
        ),
        family=fit.facts.family,
        link=fit.facts.link,
        censored=fit.facts.censored,
        categories=fit.facts.categories,
    )
