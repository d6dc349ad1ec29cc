"""What a fit knows of its model and table, so that it can be reported without either."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bayesml.specs.category_effects import CATEGORY_SPECIFIC
from bayesml.specs.resolved import labels_by_kind, place_of_label


@dataclass(frozen=True)
class GroupingFacts:
    """A grouping as a fit knows it.

    Parameters
    ----------
    name, identifier : str
        The user's name, and the name in the posterior.
    terms : tuple of str
        Labels of the varying terms.
    blocks : tuple of int
        Number of terms of each block of the covariance.
    units : int
        Number of units.
    rows_per_unit : tuple of float
        Smallest, median, mean and largest number of rows of a unit.
    effective_rows_per_unit : float
        n~ = sum n_j^2 / sum n_j.
    term_means : tuple of float
        Mean of each term over the rows.
    within : tuple of str
        Names of the groupings whose units contain this grouping's units.
    squared_weights : float
        Mean over the rows of the sum of squared weights; 1 unless multiple membership.
    multiple, centred : bool
        Multiple membership; centred parametrisation.
    reason : str
        The parametrisation, such as ``"partly centred"``, a colon, and why.
    predictors : tuple of str
        Linear predictor of each term: empty for the main one, else the parameter; no entries where
        all are the main one's.
    by : str
        Column that says of which kind each unit is; empty where all have the same SDs.
    kinds : tuple of str
        The kinds, each with SDs and correlations of its own.
    student : bool
        Whether the effects are Student-t.
    by_member : bool
        Whether some term has another value for every member of a row.
    """

    name: str
    identifier: str
    terms: tuple[str, ...]
    blocks: tuple[int, ...]
    units: int
    rows_per_unit: tuple[float, float, float, float]
    effective_rows_per_unit: float
    term_means: tuple[float, ...]
    within: tuple[str, ...]
    squared_weights: float
    multiple: bool
    centred: bool
    reason: str
    predictors: tuple[str, ...] = ()
    by: str = ""
    kinds: tuple[str, ...] = ()
    student: bool = False
    by_member: bool = False

    @property
    def sd_labels(self) -> tuple[str, ...]:
        """Labels of the SDs: the terms, or those of every kind of units, `Public:Intercept`."""
        return labels_by_kind(self.kinds, self.terms)

    @property
    def sd_blocks(self) -> tuple[int, ...]:
        """Number of SDs of each block of the covariance; kinds of units share none."""
        return self.blocks * max(1, len(self.kinds))

    @property
    def non_centred(self) -> bool:
        """Whether no term is centred, nor between centred and non-centred."""
        return self.reason.startswith("non-centred:")

    def places(self, predictor: str = "") -> list[int]:
        """Return the positions of the terms that enter a linear predictor."""
        of_terms = self.predictors or ("",) * len(self.terms)
        return [place for place, name in enumerate(of_terms) if name == predictor]

    @property
    def correlated(self) -> bool:
        """Whether the posterior holds correlations of this grouping."""
        return max(self.blocks) > 1


@dataclass(frozen=True)
class PartFacts:
    """The linear predictor of a parameter or category, or category-specific effects.

    Parameters
    ----------
    parameter, link : str
        Such as ``"sigma"``, on the scale of ``"log"``; a category, on its own scale; ``"cs"`` of
        category-specific effects.
    coefficients : tuple of str
        Labels of its fixed part.
    coefficient_means : tuple of float
        Mean of each column of its X over the rows.
    """

    parameter: str
    link: str
    coefficients: tuple[str, ...]
    coefficient_means: tuple[float, ...]

    @property
    def category_specific(self) -> bool:
        """Whether every cutpoint has coefficients of its own."""
        return self.parameter == CATEGORY_SPECIFIC


@dataclass(frozen=True)
class OrderedFacts:
    """An ordered outcome among several.

    Parameters
    ----------
    outcome : int
        Its number.
    variable : str
        Name of its cutpoints in the posterior.
    categories : tuple of str
        Lowest first.
    """

    outcome: int
    variable: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class ModelFacts:
    """What a fit knows of its model and table.

    Parameters
    ----------
    formula, family, link, structure : str
        The model in words: lme4 notation, likelihood, link, builder.
    response, response_identifier : str
        The outcome as the user named it, and its name in the results.
    coefficients : tuple of str
        Labels of the fixed part.
    coefficient_means : tuple of float
        Mean of each column of X over the rows.
    groupings : tuple of GroupingFacts
    covariate_means : mapping of str to float
        Mean over the rows of each numeric column of the fixed part and of the varying terms.
    level_shares : mapping of str to mapping of str to float
        Levels of each categorical predictor, the baseline first, with their share of the rows;
        the key is its text in labels: ``"sex"``, ``"C(size)"``.
    rows, rows_in_table : int
        Rows used, and rows of the table.
    missing : mapping of str to int
        Missing values by column among the rows left out.
    response_mean, response_sd : float
        Mean and SD of the outcome (of the share of successes where there are trials).
    offset_mean : float
        Mean of the known part of the linear predictor.
    trials : bool
        Whether the outcome is successes out of trials.
    categories : tuple of str
        Categories of an ordered outcome.
    priors : tuple of (parameter, prior, origin)
        Every prior with numbers; origin is "default" or "set by the user".
    notes : tuple of str
        What the reader must know.
    censored : str
        How many durations were not observed whole, in words; empty where all were.
    outcomes : tuple of str
        Several outcomes, or members of a unit, or the categories of a nominal outcome but the
        baseline, with coefficients of their own; `coefficients` are then those of the first
        outcome first, ``"written:Intercept"``.
    outcome_column : str
        The column that says of which outcome or member a row is; empty for categories.
    outcome_dim : str
        Name of their dim.
    stacked : bool
        Whether a row of the table was made a row for each outcome.
    parts : tuple of PartFacts
        Parameters of the likelihood with a linear predictor of their own, the categories of a
        nominal outcome but the baseline, and category-specific effects.
    baseline_category : str
        The category of a nominal outcome whose linear predictor is 0; empty for other outcomes.
    ordered : tuple of OrderedFacts
        The ordered ones of several outcomes; their intercept among the coefficients is 0.
    """

    formula: str
    family: str
    link: str
    structure: str
    response: str
    response_identifier: str
    coefficients: tuple[str, ...]
    coefficient_means: tuple[float, ...]
    groupings: tuple[GroupingFacts, ...]
    covariate_means: Mapping[str, float]
    level_shares: Mapping[str, Mapping[str, float]]
    rows: int
    rows_in_table: int
    missing: Mapping[str, int]
    response_mean: float
    response_sd: float
    offset_mean: float
    trials: bool
    categories: tuple[str, ...]
    priors: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    censored: str = ""
    outcomes: tuple[str, ...] = ()
    outcome_column: str = ""
    outcome_dim: str = ""
    stacked: bool = False
    parts: tuple[PartFacts, ...] = ()
    baseline_category: str = ""
    ordered: tuple[OrderedFacts, ...] = ()

    def to_json(self) -> str:
        """Return the facts as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelFacts":
        """Return the facts that `to_json` wrote."""
        entries = _tuples(json.loads(text))
        entries["groupings"] = tuple(GroupingFacts(**item) for item in entries["groupings"])
        entries["parts"] = tuple(PartFacts(**item) for item in entries.get("parts", ()))
        entries["ordered"] = tuple(OrderedFacts(**item) for item in entries.get("ordered", ()))
        return cls(**entries)

    @property
    def specific(self) -> PartFacts | None:
        """The category-specific effects, None where there are none."""
        return next((part for part in self.parts if part.category_specific), None)

    @property
    def main_groupings(self) -> tuple[GroupingFacts, ...]:
        """The groupings over which something of the main linear predictor varies.

        A nominal outcome's linear predictors are all of them main ones.
        """
        return tuple(item for item in self.groupings if item.places() or self.nominal)

    @property
    def estimated(self) -> tuple[int, ...]:
        """The positions of the coefficients that are estimated: not an intercept that is 0."""
        without = {f"{self.outcomes[item.outcome]}:Intercept" for item in self.ordered}
        return tuple(i for i, label in enumerate(self.coefficients) if label not in without)

    def categories_of(self, outcome: int | None) -> tuple[str, ...]:
        """Return the ordered categories of one of several outcomes, or of the only one."""
        own = (item.categories for item in self.ordered if item.outcome == outcome)
        return self.categories if outcome is None else next(own, ())

    @property
    def nominal(self) -> tuple[str, ...]:
        """All categories of a nominal outcome, the baseline first; empty for other outcomes."""
        return (self.baseline_category, *self.outcomes) if self.baseline_category else ()

    def grouping(self, name: str) -> GroupingFacts | None:
        """Return the grouping of this name, or None."""
        return next((item for item in self.groupings if item.name == name), None)


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def outcome_places(facts: ModelFacts, labels: Sequence[str], number: int) -> np.ndarray:
    """Return the positions of the labels that belong to an outcome: they begin with its name."""
    owners = [place_of_label(label, facts.outcomes) for label in labels]
    return np.flatnonzero(np.array(owners, dtype=int) == number)


def outcome_terms(facts: ModelFacts, grouping: GroupingFacts, number: int) -> np.ndarray:
    """Return a grouping's row of Z at the mean of an outcome's rows; 0 for other outcomes."""
    # All rows tell of every category of a nominal outcome.
    share = (
        1.0 if facts.nominal else facts.level_shares[facts.outcome_column][facts.outcomes[number]]
    )
    row = np.zeros(len(grouping.terms))
    places = outcome_places(facts, grouping.terms, number)
    row[places] = np.array(grouping.term_means)[places] / share
    return row
