"""The rows of a fit, and its draws, as the arrays that log-likelihoods are computed from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from bayesml.design.member_terms import slot_terms
from bayesml.posterior.residual_fits import correlated_residuals
from bayesml.quantities.log_likelihoods import MixedLikelihood, RowLikelihood, category_bounds
from bayesml.quantities.mixed_outcomes import cutpoints_of_outcome
from bayesml.quantities.residual_covariances import CorrelatedResiduals
from bayesml.quantities.response_means import response_mean
from bayesml.specs.category_effects import CATEGORY_SPECIFIC
from bayesml.specs.families import family_named
from bayesml.specs.family_records import Family
from bayesml.specs.residual_correlations import ResidualCorrelation

if TYPE_CHECKING:
    pass

# Numbers in a block of rows by draws: 16 MB an array.
BLOCK = 2_000_000


@dataclass(frozen=True)
class GroupingSlots:
    """Which units of a grouping some rows belong to.

    Parameters
    ----------
    name, identifier : str
        The user's name of the grouping, and the name in the posterior.
    unit : array of int, shape (rows, slots)
        Position of the unit among those of the posterior; -1 for a unit that it does not hold.
    weight : array, shape (rows, slots)
        1 unless multiple membership; 0 for an unused slot.
    terms : array, shape (rows, terms), or (rows, slots, terms)
        Z; by slot where members have terms of their own.
    label : array of int, shape (rows, slots)
        Number of the unit among the rows' own units: two rows with one number share a unit, also
        where the posterior does not hold it.
    multiple : bool
        Multiple membership.
    predictors : tuple of str
        Linear predictor of each term, empty for the main one; no entries where all are the main
        one's.
    """

    name: str
    identifier: str
    unit: np.ndarray
    weight: np.ndarray
    terms: np.ndarray
    label: np.ndarray
    multiple: bool
    predictors: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of terms."""
        return int(self.terms.shape[-1])

    def places(self, predictor: str = "") -> list[int]:
        """Return the positions of the terms that enter a linear predictor."""
        of_terms = self.predictors or ("",) * self.size
        return [place for place, name in enumerate(of_terms) if name == predictor]


@dataclass(frozen=True)
class PartRows:
    """The rows of the linear predictor of a parameter of the likelihood.

    Parameters
    ----------
    link : str
        Scale of the linear predictor.
    x : array, shape (rows, coefficients)
    """

    link: str
    x: np.ndarray


@dataclass(frozen=True)
class ResidualPlaces:
    """Where the rows stand among the rows that their residuals are correlated with.

    Parameters
    ----------
    unit : array of int, shape (rows,)
    place : array, shape (rows,)
        Position, time, or number of the occasion.
    record : ResidualCorrelation
        The structure.
    """

    unit: np.ndarray
    place: np.ndarray
    record: ResidualCorrelation


@dataclass(frozen=True)
class LikelihoodRows:
    """Rows of a table as a likelihood sees them.

    Parameters
    ----------
    family, link : str
    outcome : array, shape (rows,)
    trials, offset : array, shape (rows,), or None
    x : array, shape (rows, coefficients)
    groupings : tuple of GroupingSlots
    positions : array of int, shape (rows,)
        Positions of the rows in the user's table, counted from 0.
    bounds : mapping of str to array, shape (rows,)
        What is known of durations that were not observed whole.
    complete : bool
        Whether these are all rows of the fit; False where the fit has not seen them.
    residual : ResidualPlaces or None
        Units and places of correlated residuals.
    outcome_number : array of int, shape (rows,), or None
        Number of each row's outcome, where there are several.
    families : tuple of (str, str)
        Family and link of each outcome where they differ; else empty.
    parts : mapping of str to PartRows
        By parameter of the likelihood that has a linear predictor of its own.
    """

    family: str
    link: str
    outcome: np.ndarray
    trials: np.ndarray | None
    offset: np.ndarray | None
    x: np.ndarray
    groupings: tuple[GroupingSlots, ...]
    positions: np.ndarray
    bounds: Mapping[str, np.ndarray] = field(default_factory=dict)
    complete: bool = True
    residual: ResidualPlaces | None = None
    outcome_number: np.ndarray | None = None
    parts: Mapping[str, PartRows] = field(default_factory=dict)
    families: tuple[tuple[str, str], ...] = ()

    @property
    def family_records(self) -> tuple[Family, ...]:
        """The records of the families of the outcomes."""
        names = [name for name, _ in self.families] or [self.family]
        return tuple(family_named(name) for name in names)

    @property
    def continuous(self) -> bool:
        """Whether some outcome has a density rather than probabilities."""
        return any(not family.discrete for family in self.family_records)

    @property
    def mark(self) -> str:
        """Text that differs between sets of rows, or outcomes, that may not be compared."""
        digest = sha256(np.ascontiguousarray(self.positions, dtype=np.int64).tobytes())
        digest.update(np.ascontiguousarray(self.outcome, dtype=np.float64).tobytes())
        if self.trials is not None and (self.trials != 1).any():
            digest.update(np.ascontiguousarray(self.trials, dtype=np.float64).tobytes())
        if self.families:
            # Densities of one outcome and probabilities of another one do not compare.
            digest.update(bytes(family.discrete for family in self.family_records))
        for name in sorted(self.bounds):
            digest.update(np.ascontiguousarray(self.bounds[name], dtype=np.float64).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class LikelihoodDraws:
    """The draws that log-likelihoods need, chains one after the other.

    Parameters
    ----------
    chains : int
    beta : array, shape (draws, coefficients)
    parameters : mapping of str to array, shape (draws, ...)
        Further parameters of the likelihood.
    effects : mapping of str to array, shape (draws, units, terms)
        Random effects by the grouping's identifier.
    factors : mapping of str to array, shape (draws, terms, terms)
        L with L L' = Sigma, by the grouping's identifier.
    part_betas : mapping of str to array, shape (draws, coefficients)
        Coefficients of the parameters that have a linear predictor of their own;
        category-specific effects have the shape (draws, cutpoints, coefficients).
    freedom : mapping of str to array, shape (draws,)
        Degrees of freedom of Student-t effects, by the grouping's identifier.
    """

    chains: int
    beta: np.ndarray
    parameters: Mapping[str, np.ndarray]
    effects: Mapping[str, np.ndarray]
    factors: Mapping[str, np.ndarray]
    part_betas: Mapping[str, np.ndarray] = field(default_factory=dict)
    freedom: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Number of draws."""
        return len(self.beta)

    def block(self, chosen: slice | np.ndarray) -> "LikelihoodDraws":
        """Return some of the draws."""
        return LikelihoodDraws(
            self.chains,
            self.beta[chosen],
            {name: value[chosen] for name, value in self.parameters.items()},
            {name: value[chosen] for name, value in self.effects.items()},
            {name: value[chosen] for name, value in self.factors.items()},
            {name: value[chosen] for name, value in self.part_betas.items()},
            {name: value[chosen] for name, value in self.freedom.items()},
        )


def residuals_of_rows(
    rows: LikelihoodRows, draws: LikelihoodDraws, chosen: np.ndarray
) -> CorrelatedResiduals:
    """Return the distribution of the correlated residuals of some rows."""
    assert rows.residual is not None
    places = rows.residual
    return correlated_residuals(
        places.record, places.unit[chosen], places.place[chosen], draws.parameters
    )


def row_likelihood(
    rows: LikelihoodRows,
    draws: LikelihoodDraws,
    chosen: np.ndarray,
    known: Mapping[str, np.ndarray],
) -> RowLikelihood:
    """Return the log-likelihood of some rows, as a function of their main linear predictor.

    Parameters that have a linear predictor of their own are at it, with the effects that `known`
    includes (see `known_predictor`). Only of rows that are independent given their effects; see
    `residuals_of_rows` for others.
    """
    assert rows.residual is None
    outcome = rows.outcome[chosen]
    parameters = {name: value for name, value in draws.parameters.items() if name != "cutpoints"}
    if rows.outcome_number is not None:
        own = rows.outcome_number[chosen]
        parameters = {
            name: value[:, own].T if value.ndim == 2 else value
            for name, value in parameters.items()
        }
    if "cutpoints" in draws.parameters and rows.families:
        parameters |= _bounds_by_outcome(rows, draws.parameters["cutpoints"], chosen)
    elif "cutpoints" in draws.parameters:
        cutpoints = draws.parameters["cutpoints"]
        lower, upper = category_bounds(outcome, cutpoints)
        parameters |= {"lower": lower, "upper": upper, "cutpoints": cutpoints.T[:, None]}
    for name, part in rows.parts.items():
        if name == CATEGORY_SPECIFIC:
            moved = np.einsum("rc,dkc->krd", part.x[chosen], draws.part_betas[name])
            parameters["cutpoints"] = parameters["cutpoints"] - moved
            continue
        own = known_predictor(rows, draws, chosen, known, name)
        parameters[name] = response_mean(part.link, own)
    if rows.trials is not None:
        parameters["trials"] = rows.trials[chosen, None].astype(float)
    parameters |= {name: value[chosen, None] for name, value in rows.bounds.items()}
    values = outcome[:, None].astype(float)
    if rows.families:
        assert rows.outcome_number is not None
        number = rows.outcome_number[chosen]
        return MixedLikelihood("", "", values, parameters, number, rows.families)
    return RowLikelihood(rows.family, rows.link, values, parameters)


def _bounds_by_outcome(
    rows: LikelihoodRows, cutpoints: np.ndarray, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the cutpoints of several outcomes, and those around the category of each row."""
    assert rows.outcome_number is not None
    number = rows.outcome_number[chosen]
    lower = np.full((len(chosen), len(cutpoints)), np.nan)
    upper = lower.copy()
    for place in np.unique(number):
        own = cutpoints_of_outcome(cutpoints, int(place))
        if own.size:
            of_outcome = number == place
            bounds = category_bounds(rows.outcome[chosen[of_outcome]], own)
            lower[of_outcome], upper[of_outcome] = bounds
    return {"lower": lower, "upper": upper, "cutpoints": cutpoints}


def known_predictor(
    rows: LikelihoodRows,
    draws: LikelihoodDraws,
    chosen: np.ndarray,
    known: Mapping[str, np.ndarray],
    predictor: str = "",
) -> np.ndarray:
    """Return a linear predictor of some rows without the effects that are integrated out.

    Parameters
    ----------
    rows : LikelihoodRows
    draws : LikelihoodDraws
    chosen : array of int
        The rows.
    known : mapping of str to array of bool, shape (len(chosen), slots)
        By identifier, the slots whose effects are included.
    predictor : str
        Empty for the main linear predictor, else the parameter's name.

    Returns
    -------
    array, shape (len(chosen), draws)
    """
    if predictor:
        eta = rows.parts[predictor].x[chosen] @ draws.part_betas[predictor].T
    else:
        eta = rows.x[chosen] @ draws.beta.T
    if rows.offset is not None and not predictor:
        eta += rows.offset[chosen, None]
    for grouping in rows.groupings:
        effects = draws.effects[grouping.identifier]
        for slot in range(grouping.unit.shape[1]):
            weight = grouping.weight[chosen, slot] * known[grouping.identifier][:, slot]
            used = np.flatnonzero(weight)
            unit = grouping.unit[chosen[used], slot]
            terms = slot_terms(grouping.terms, slot)
            for term in grouping.places(predictor):
                z = terms[chosen[used], term] * weight[used]
                eta[used] += z[:, None] * effects[:, unit, term].T
    return eta


def blocks_of(number: int, width: int) -> list[slice]:
    """Return slices that cover `number` items, as many at a time as keep an array in bounds."""
    size = max(1, BLOCK // max(width, 1))
    return [slice(start, min(start + size, number)) for start in range(0, number, size)]
