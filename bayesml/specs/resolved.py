"""The resolved specification: every prior, parametrisation and name explicit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from bayesml.specs.category_effects import CATEGORY_SPECIFIC
from bayesml.specs.distributions import Prior
from bayesml.specs.family_records import Family
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.outcome_cutpoints import OutcomeCutpoints
from bayesml.specs.resolved_residuals import ResolvedResidual


@dataclass(frozen=True)
class Parent:
    """A grouping whose units contain the units of a centred grouping.

    Parameters
    ----------
    identifier : str
        The outer grouping's identifier.
    terms : tuple of int
        Position among the outer grouping's terms of each centred term.
    """

    identifier: str
    terms: tuple[int, ...]


@dataclass(frozen=True)
class Feed:
    """Neighbouring terms of a grouping that enter one linear predictor.

    Parameters
    ----------
    predictor : str
        Empty for the main linear predictor, else the parameter's name.
    start, stop : int
        The first term, and the one after the last.
    constant : bool
        Whether it is one varying intercept, which needs no column of Z.
    """

    predictor: str
    start: int
    stop: int
    constant: bool

    @property
    def suffix(self) -> str:
        """What the names in the source end in: ``"_sigma"``, empty for the main one."""
        return f"_{self.predictor}" if self.predictor else ""


@dataclass(frozen=True)
class ResolvedGrouping:
    """A grouping with everything that the generated source depends on.

    Parameters
    ----------
    name : str
        The user's name.
    identifier : str
        Its name in the posterior and in code.
    terms : tuple of str
        Labels of the varying terms.
    blocks : tuple of int
        Number of terms of each block of the covariance; terms of one block are correlated.
    units : int
        Number of units.
    centred_terms : int
        How many of the terms are sampled as they are (centred): all, the first, or none. The
        others are standard normal variables that are scaled afterwards (non-centred).
    graded : bool
        Whether the only term is sampled between centred and non-centred, by how much the data say
        about each unit.
    around : bool
        Whether centred terms are sampled around the units' part of X beta.
    parents : tuple of Parent
        Groupings around whose effects the centred terms are sampled: children around their school.
    multiple : bool
        Whether rows may belong to several units.
    sd_priors : tuple of Prior
        Prior of each term's SD, on the link scale.
    eta : float
        Concentration of the LKJ prior of the correlations.
    reason : str
        Why this parametrisation was chosen.
    predictors : tuple of str
        Linear predictor of each term, empty for the main one; no entries where all are the main
        one's.
    by : str
        Column that says of which kind each unit is; empty where all have the same SDs.
    kinds : tuple of str
        The kinds; `sd_priors` are then those of the first kind first.
    nu_prior : Prior or None
        Prior of what the degrees of freedom of Student-t effects have beyond 2; None: normal.
    by_member : bool
        Whether some term has another value for every member of a row.
    """

    name: str
    identifier: str
    terms: tuple[str, ...]
    blocks: tuple[int, ...]
    units: int
    centred_terms: int
    multiple: bool
    sd_priors: tuple[Prior, ...]
    eta: float = 2.0
    graded: bool = False
    around: bool = False
    parents: tuple[Parent, ...] = ()
    reason: str = ""
    predictors: tuple[str, ...] = ()
    by: str = ""
    kinds: tuple[str, ...] = ()
    nu_prior: Prior | None = None
    by_member: bool = False

    @property
    def sd_labels(self) -> tuple[str, ...]:
        """Labels of the SDs: the terms, or those of every kind of units, `Public:Intercept`."""
        return labels_by_kind(self.kinds, self.terms)

    @property
    def student(self) -> bool:
        """Whether the effects are Student-t."""
        return self.nu_prior is not None

    @property
    def centred(self) -> bool:
        """Whether every term is sampled as it is."""
        return self.centred_terms == len(self.terms) and not self.graded

    @property
    def partly_centred(self) -> bool:
        """Whether the first term is sampled as it is, and the others are not."""
        return 0 < self.centred_terms < len(self.terms)

    @property
    def correlated(self) -> bool:
        """Whether any two terms are correlated."""
        return max(self.blocks) > 1

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The linear predictors that the terms enter, in the order of the terms."""
        of_terms = self.predictors or ("",) * len(self.terms)
        found: list[Feed] = []
        start = 0
        for predictor, several in groupby(of_terms):
            stop = start + len(list(several))
            constant = self.terms[start:stop] == (part_label(predictor, "Intercept"),)
            found.append(Feed(predictor, start, stop, constant))
            start = stop
        return tuple(found)


def labels_by_kind(kinds: Sequence[str], terms: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of SDs: the terms, or those of every kind of units.

    Examples
    --------
    >>> labels_by_kind(["Public", "Catholic"], ["Intercept"])
    ('Public:Intercept', 'Catholic:Intercept')
    """
    return tuple(f"{kind}:{term}" for kind in kinds for term in terms) if kinds else tuple(terms)


def part_label(predictor: str, label: str) -> str:
    """Return how a term or coefficient of a predictor is called: `sigma:Intercept`.

    Examples
    --------
    >>> part_label("sigma", "x"), part_label("", "x")
    ('sigma:x', 'x')
    """
    return f"{predictor}:{label}" if predictor else label


def place_of_label(label: str, outcomes: Sequence[str]) -> int:
    """Return the number of the outcome that a term or coefficient belongs to.

    Examples
    --------
    >>> place_of_label("a:b:Intercept", ["a", "a:b"])
    1
    """
    begins = [number for number, name in enumerate(outcomes) if label.startswith(f"{name}:")]
    return max(begins, key=lambda number: len(outcomes[number]))


@dataclass(frozen=True)
class ResolvedPart:
    """The linear predictor of a parameter of the likelihood, or category-specific effects.

    Parameters
    ----------
    parameter, link : str
        Such as ``"sigma"``, on the scale of ``"log"``; ``"cs"`` of category-specific effects,
        which are on the scale of the cutpoints.
    coefficients : tuple of str
        Labels of its fixed part, ``"Intercept"`` first where there is one.
    intercept_prior : Prior or None
        Prior of the intercept at the mean of the predictors, None where there is none.
    slope_priors : tuple of Prior
        Prior of each coefficient but the intercept.
    """

    parameter: str
    link: str
    coefficients: tuple[str, ...]
    intercept_prior: Prior | None
    slope_priors: tuple[Prior, ...]

    @property
    def intercept(self) -> bool:
        """Whether it has an intercept."""
        return self.intercept_prior is not None

    @property
    def slopes(self) -> tuple[str, ...]:
        """Labels of the coefficients but the intercept."""
        return self.coefficients[1:] if self.intercept else self.coefficients

    @property
    def centred_predictors(self) -> bool:
        """Whether its predictors are centred: an intercept, or cutpoints, take up the shift."""
        return self.intercept or self.category_specific

    @property
    def category_specific(self) -> bool:
        """Whether every cutpoint has coefficients of its own."""
        return self.parameter == CATEGORY_SPECIFIC


@dataclass(frozen=True)
class ResolvedSpec:
    """A specification with every prior, parametrisation and name explicit.

    Parameters
    ----------
    spec : ModelSpec
        What the user asked for.
    response : str
        Identifier of the outcome.
    coefficients : tuple of str
        Labels of the fixed part, ``"Intercept"`` first where there is one.
    groupings : tuple of ResolvedGrouping
    intercept_prior : Prior or None
        Prior of the intercept at the mean of the predictors, None where there is none.
    slope_priors : tuple of Prior
        Prior of each coefficient but the intercept.
    parameter_priors : mapping of str to Prior
        Priors of the likelihood's further parameters that are one number, or have one prior.
    trials, offset : bool
        Whether there are binomial trials, and a known part of the linear predictor.
    categories : tuple of str
        Categories of an ordered outcome.
    bounds : tuple of str
        What rows of durations say beside y: ``censoring``, ``upper_bound``, ``entry_time``.
    censored : tuple of int
        Codes of censoring that occur, see `bayesml.specs.censoring`; empty where all ended.
    residual : ResolvedResidual or None
        How residuals are correlated, None where they are independent.
    outcomes : tuple of str
        Several outcomes, or members of a unit, or the categories of a nominal outcome but the
        baseline, each with coefficients of its own; empty where there is one. `coefficients` are
        then those of the first outcome first.
    outcome_dim : str
        Name of their dim.
    intercept_priors : tuple of Prior
        Prior of the intercept of each of `intercept_owners`; `intercept_prior` is None then.
    outcome_parameter_priors : mapping of str to tuple of Prior
        Priors of the likelihood's further parameters, one per outcome.
    parts : tuple of ResolvedPart
        Parameters of the likelihood with a linear predictor of their own, and category-specific
        effects.
    outcome_identifiers : tuple of str
        Names of the outcomes in the source where each has a likelihood of its own; else empty.
    baseline_category : str
        The category of a nominal outcome whose linear predictor is 0; empty for other outcomes.
    outcome_cutpoints : tuple of OutcomeCutpoints
        Of the ordered ones of several outcomes, whose intercept is 0.
    """

    spec: ModelSpec
    response: str
    coefficients: tuple[str, ...]
    groupings: tuple[ResolvedGrouping, ...]
    intercept_prior: Prior | None
    slope_priors: tuple[Prior, ...]
    parameter_priors: Mapping[str, Prior]
    trials: bool = False
    offset: bool = False
    categories: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    censored: tuple[int, ...] = ()
    residual: ResolvedResidual | None = None
    outcomes: tuple[str, ...] = ()
    outcome_dim: str = "outcome"
    intercept_priors: tuple[Prior, ...] = ()
    outcome_parameter_priors: Mapping[str, tuple[Prior, ...]] = field(default_factory=dict)
    parts: tuple[ResolvedPart, ...] = ()
    outcome_identifiers: tuple[str, ...] = ()
    baseline_category: str = ""
    outcome_cutpoints: tuple[OutcomeCutpoints, ...] = ()

    def parameter_dim(self, name: str) -> str:
        """Return the dim of a likelihood's parameter that several outcomes have."""
        return f"{name}_outcome" if self.outcome_identifiers else self.outcome_dim

    @property
    def nominal(self) -> bool:
        """Whether every category of the outcome but the baseline has a linear predictor."""
        return self.spec.nominal

    @property
    def own_coefficients(self) -> tuple[str, ...]:
        """Labels of the coefficients of one outcome, the same for all of them."""
        if not self.outcomes:
            return self.coefficients
        own = self.coefficients[: len(self.coefficients) // len(self.outcomes)]
        return tuple(label.removeprefix(f"{self.outcomes[0]}:") for label in own)

    @property
    def family(self) -> Family:
        """The family's record."""
        return self.spec.family_record

    @property
    def intercept(self) -> bool:
        """Whether the linear predictor has an intercept, or that of several outcomes a place."""
        return "Intercept" in self.own_coefficients[:1]

    @property
    def intercept_owners(self) -> tuple[str, ...]:
        """The outcomes, members or categories that have an intercept; none without intercepts."""
        without = {item.name for item in self.outcome_cutpoints}
        return tuple(name for name in self.outcomes if name not in without) * self.intercept

    @property
    def slopes(self) -> tuple[str, ...]:
        """Labels of the coefficients of one outcome but the intercept."""
        if self.outcomes:
            return self.own_coefficients[int(self.intercept) :]
        return self.coefficients[1:] if self.intercept else self.coefficients

    @property
    def specific(self) -> ResolvedPart | None:
        """The category-specific effects, None where there are none."""
        return next((part for part in self.parts if part.category_specific), None)

    @property
    def centred_predictors(self) -> bool:
        """Whether predictors are centred: with an intercept or cutpoints to take up the shift."""
        return self.intercept or bool(self.categories)

    @property
    def posterior_names(self) -> tuple[str, ...]:
        """Names of the variables that the posterior holds."""
        names = ["beta"] if self.coefficients else []
        for grouping in self.groupings:
            names.append(f"sd_{grouping.identifier}")
            if grouping.correlated:
                names.append(f"corr_{grouping.identifier}")
            if grouping.student:
                names.append(f"nu_{grouping.identifier}")
        names += [f"beta_{part.parameter}" for part in self.parts if part.coefficients]
        cutpoints = [item.variable for item in self.outcome_cutpoints]
        scalars = [parameter.name for parameter in self.spec.scalar_parameters]
        names += [name for name in scalars if name != "cutpoints" or not cutpoints] + cutpoints
        if self.residual is not None:
            names.append(self.residual.record.parameter)
        names += [f"u_{grouping.identifier}" for grouping in self.groupings]
        return tuple(names)
