"""The model specification: what the model is, without a table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from bayesml.errors import FitError, SpecError, listed, quoted
from bayesml.specs.category_effects import CATEGORY_SPECIFIC, check_category_specific
from bayesml.specs.duration_calls import DurationCall, read_durations
from bayesml.specs.families import FAMILIES, family_named
from bayesml.specs.family_records import Family, Parameter
from bayesml.specs.formula_parts import FormulaParts
from bayesml.specs.formulas import parse_formula, terms_by
from bayesml.specs.groupings import Grouping
from bayesml.specs.links import Link
from bayesml.specs.member_terms import check_member_terms
from bayesml.specs.nominal_checks import check_nominal
from bayesml.specs.outcome_categories import check_distinct
from bayesml.specs.outcome_checks import check_one_outcome, check_outcomes
from bayesml.specs.outcome_families import (
    OutcomeFamily,
    check_mixed,
    families_by_outcome,
    outcomes_with,
    settled_families,
    union_of_parameters,
)
from bayesml.specs.outcome_terms import OUTCOME, ROW, VALUE, outcomes_of
from bayesml.specs.parsing import parse
from bayesml.specs.predictors import (
    bar_text,
    joined_groupings,
    part_formula,
    part_text,
    predicted_parameter,
)
from bayesml.specs.residual_structures import Residual

STRUCTURES = (
    "two_level",
    "three_level",
    "cross_classified",
    "multiple_membership",
    "longitudinal",
    "multivariate",
    "dyadic",
    "twins",
    "social_relations",
    "model",
)


@dataclass(frozen=True)
class ModelSpec:
    """A model: formula, groupings, family and priors. Immutable, comparable, written to TOML.

    Parameters
    ----------
    formula : str
        ``outcome ~ predictors`` without bars, in canonical spelling.
    groupings : tuple of Grouping
        The groupings with their varying terms.
    family, link : str
        Likelihood and link; an empty link is the family's default.
    structure : str
        Name of the builder that wrote the spec, one of `STRUCTURES`.
    trials, exposure, offset : str, int or None
        Column (or number, for trials) of the binomial trials; of the Poisson exposure, whose log
        is added to the linear predictor; and of an offset on the link scale. Of several outcomes
        the trials are those of every binomial one, the exposure that of every count.
    categories : tuple
        Order of an ordinal outcome's categories, lowest first, or the categories of a nominal one,
        the baseline first.
    categories_by_outcome : tuple of (outcome, tuple)
        The same of each ordered outcome among several.
    success : str or None
        The value of a two-valued text outcome that counts as 1.
    priors : tuple of (key, text)
        Priors that differ from the defaults.
    baseline : tuple of (column, level)
        Baseline levels that differ from the first.
    residual : Residual or None
        How the residuals of a unit's rows are correlated; None: they are independent.
    member : str or None
        Column that tells the members of a unit apart (wife, husband): each has coefficients and a
        residual SD of its own.
    residual_correlation : bool
        Whether the residuals of several Gaussian outcomes of one row are correlated.
    families, links : tuple of (outcome, name)
        Family and link of each of several outcomes, where they differ; `family` and `link` then
        say them in words.
    distributional : tuple of (parameter, formula)
        Parameters of the likelihood that have a linear predictor of their own, with its right-hand
        side: ``("sigma", "~ x + (1 | school)")``.

    Raises
    ------
    SpecError
        The parts contradict each other.

    Examples
    --------
    >>> ModelSpec("y ~ x", (Grouping("school", columns=("school",)),)).text
    'y ~ x + (1 | school)'
    """

    formula: str
    groupings: tuple[Grouping, ...] = ()
    family: str = "gaussian"
    link: str = ""
    structure: str = "model"
    trials: str | int | None = None
    exposure: str | None = None
    offset: str | None = None
    categories: tuple[str | int | float, ...] = ()
    success: str | None = None
    priors: tuple[tuple[str, str], ...] = ()
    baseline: tuple[tuple[str, str], ...] = ()
    residual: Residual | None = None
    member: str | None = None
    residual_correlation: bool = True
    distributional: tuple[tuple[str, str], ...] = ()
    families: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    categories_by_outcome: tuple[tuple[str, tuple[str | int | float, ...]], ...] = ()

    def __post_init__(self) -> None:
        self._settle_families()
        if self.structure not in STRUCTURES:
            raise SpecError(
                f"The structure {quoted(self.structure)} is unknown. "
                f"Allowed: {', '.join(STRUCTURES)}."
            )
        parts = parse_formula(self.formula)
        if parts.groupings:
            raise SpecError(
                f"The formula {quoted(self.formula)} of a specification has bars. "
                "Give them as groupings, or use bml.model(table, formula)."
            )
        object.__setattr__(self, "formula", parts.text)
        names = [grouping.name for grouping in self.groupings]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise SpecError(f"Two groupings are named {listed(repeated)}. Rename one.")
        if any(grouping.predictors for grouping in self.groupings):
            raise SpecError(
                "A grouping of a specification names predictors. Give the formulas of further "
                "parameters as distributional=(('sigma', '~ x + (1 | school)'),)."
            )
        for grouping in self.groupings:
            check_member_terms(grouping)
        if self.families:
            given = {key: getattr(self, key) for key in ("offset", "categories")}
            given |= {"offset()": self.parts.offsets, "cs()": self.parts.specific}
            used = {"trials": self.trials, "exposure": self.exposure}
            check_mixed(self.outcome_families, given, used)
        else:
            self._check_family(self.family_record)
        if isinstance(self.trials, int) and (self.trials < 1 or self.trials is True):
            raise SpecError(f"trials is {self.trials}. Give a positive number or a column.")
        for item in self.outcome_families if self.parts.specific else ():
            check_category_specific(item.record)
        check_outcomes(self)
        object.__setattr__(self, "distributional", self._canonical_parts())
        # Said here, so that no contradiction waits until the groupings are used.
        _ = self.every_grouping

    def _settle_families(self) -> None:
        """Give every outcome its family and link, or all of them one where they are equal."""
        names = tuple(name for name, _ in self.families) if self.response == VALUE else ()
        texts = (self.response, self.family, self.link, self.families, self.links)
        categories = (self.categories, self.categories_by_outcome)
        for key, value in settled_families(self.outcomes or names, *texts, *categories).items():
            object.__setattr__(self, key, value)

    def _canonical_parts(self) -> tuple[tuple[str, str], ...]:
        if not self.distributional:
            return ()
        check_one_outcome(self)
        record = self.family_record
        for name, _ in self.distributional:
            predicted_parameter(record, name)
        given = {name: part_text(part_formula(name, text)) for name, text in self.distributional}
        if len(given) < len(self.distributional):
            raise SpecError("distributional names a parameter twice. Give it one formula.")
        # In the order of the family's parameters, so that equal models are equal.
        names = [parameter.name for parameter in record.parameters]
        return tuple(sorted(given.items(), key=lambda item: names.index(item[0])))

    def _check_family(self, record: Family) -> None:
        belongs = (
            ("trials", self.trials is not None, record.response == "binary", "binomial"),
            ("success", self.success is not None, record.response == "binary", "binomial"),
            ("exposure", self.exposure is not None, record.response == "count", "poisson"),
            (
                "categories",
                bool(self.categories),
                record.response in ("ordered", "nominal"),
                "ordinal",
            ),
        )
        for name, given, fits, family in belongs:
            if given and not fits:
                raise SpecError(
                    f"{name}= belongs to the family {quoted(family)}, not to "
                    f"{quoted(self.family)}. Leave it out or change the family."
                )
        if self.response.startswith("cbind("):
            if record.response != "binary":
                raise SpecError(
                    f"cbind() is an outcome of the family 'binomial', not of "
                    f"{quoted(self.family)}. Set family='binomial'."
                )
            if self.trials is not None:
                raise SpecError(
                    "cbind(successes, failures) already says the trials. Leave trials= out."
                )
        if self.durations is not None and record.durations is None:
            names = [name for name, family in FAMILIES.items() if family.durations is not None]
            raise SpecError(
                f"surv() is an outcome of durations, which the family {quoted(self.family)} does "
                f"not have. Set family= to one of {', '.join(names)}."
            )
        if self.residual is not None and not record.correlated_residuals:
            raise SpecError(
                f"residual={quoted(self.residual.text)} belongs to the family 'gaussian', not to "
                f"{quoted(self.family)}, which has no residuals that could be correlated. Leave it "
                "out or change the family."
            )
        if self.residual is not None and self.distributional:
            raise SpecError(
                f"residual={quoted(self.residual.text)} takes one SD for all rows, and "
                f"{quoted(self.distributional[0][0])} has a formula of its own. Leave one of the "
                "two out."
            )
        check_distinct(self.categories)
        if self.nominal:
            check_nominal(self)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Columns of several outcomes; empty where there is one."""
        return outcomes_of(self.response)

    @property
    def nominal(self) -> bool:
        """Whether every category of the outcome but the baseline has a linear predictor."""
        return not self.families and self.family_record.response == "nominal"

    @property
    def outcome_column(self) -> str:
        """Column by which coefficients differ, of outcomes or members; empty without one."""
        return OUTCOME if self.outcomes else self.member or ""

    @cached_property
    def stacked(self) -> "ModelSpec":
        """The same model of the long table, one row for each row and outcome.

        Its terms are those of every outcome. A model of one outcome is its own.
        """
        column = self.outcome_column
        if not column:
            return self
        offsets = "".join(f" + offset({text})" for text in self.parts.offsets)
        response = VALUE if self.outcomes else self.response
        residual = self.residual
        correlated = not self.families and self.family_record.correlated_residuals
        if self.outcomes and correlated and self.residual_correlation:
            residual = Residual("unstructured", (ROW,), OUTCOME)
        return replace(
            self,
            formula=f"{response} ~ {terms_by(column, self.fixed)}{offsets}",
            groupings=tuple(
                replace(item, terms=tuple(terms_by(column, text) for text in item.terms))
                for item in self.groupings
            ),
            structure="model",
            residual=residual,
            member=None,
            residual_correlation=True,
        )

    @cached_property
    def parts(self) -> FormulaParts:
        """The parsed formula."""
        return parse_formula(self.formula)

    @property
    def response(self) -> str:
        """Text of the outcome."""
        return self.parts.response

    @cached_property
    def durations(self) -> DurationCall | None:
        """What an outcome `surv(...)` says, None for any other."""
        return read_durations(parse(self.response), self.formula)

    @property
    def response_label(self) -> str:
        """The outcome as tables and plots name it: of `surv(...)` the duration."""
        return self.response if self.durations is None else self.durations.label

    @property
    def fixed(self) -> str:
        """Text of the fixed part."""
        return self.parts.fixed

    @cached_property
    def part_formulas(self) -> Mapping[str, FormulaParts]:
        """The parsed formulas of the parameters that have one, by parameter.

        Category-specific effects, `cs(...)`, are one more part, of the cutpoints.
        """
        found = {name: part_formula(name, text) for name, text in self.distributional}
        if self.parts.specific:
            found[CATEGORY_SPECIFIC] = part_formula(CATEGORY_SPECIFIC, self.parts.specific)
        return found

    @cached_property
    def every_grouping(self) -> tuple[Grouping, ...]:
        """The groupings of all linear predictors, those of one name joined."""
        return joined_groupings(self.groupings, self.part_formulas)

    @property
    def scalar_parameters(self) -> tuple[Parameter, ...]:
        """The likelihood's parameters that have no linear predictor of their own."""
        modelled = dict(self.distributional)
        every = union_of_parameters(self.outcome_families)
        return tuple(item for item in every if item.name not in modelled)

    @property
    def level1(self) -> str:
        """Name of the one level-1 SD; empty where there is none, or where it depends on the row."""
        name = next(filter(None, (item.record.level1 for item in self.outcome_families)), "")
        return "" if name in dict(self.distributional) else name

    @cached_property
    def outcome_families(self) -> tuple[OutcomeFamily, ...]:
        """Family and link of every outcome; one entry where all outcomes have the same."""
        if self.families:
            names = [name for name, _ in self.families]
            return families_by_outcome(names, dict(self.families), dict(self.links))
        record = family_named(self.family)
        return (OutcomeFamily("", record, record.link(self.link)),)

    def family_of(self, number: int | None) -> OutcomeFamily:
        """Return family and link of the outcome of this number; None where there is one outcome."""
        return self.outcome_families[(number or 0) if self.families else 0]

    def outcomes_of_parameter(self, name: str) -> tuple[int, ...]:
        """Return the numbers of the outcomes that have a parameter of the likelihood."""
        if not self.families:
            return tuple(range(len(self.outcomes)))
        return outcomes_with(self.outcome_families, name)

    @property
    def family_record(self) -> Family:
        """The family's record, where there is one family.

        Raises
        ------
        FitError
            Outcomes have different families, and what asks for one cannot be had of them.
        """
        if self.families:
            raise FitError(
                "What was asked for is about outcomes of one family, and this model has "
                f"{self.family}. Fit one model for each outcome, and ask it of those."
            )
        return family_named(self.family)

    @property
    def link_record(self) -> Link:
        """The link's record."""
        return self.family_record.link(self.link)

    @property
    def latent_variance(self) -> float | None:
        """Level-1 variance of the latent outcome, None for families that are not latent."""
        return self.link_record.latent_variance if self.family_record.latent else None

    @property
    def prior_texts(self) -> Mapping[str, str]:
        """Priors that differ from the defaults, by key."""
        return dict(self.priors)

    @property
    def text(self) -> str:
        """The whole model in lme4 notation, further formulas and the residuals' structure behind.

        Formulas of further parameters follow after semicolons.
        """
        text = " + ".join([self.formula, *(bar_text(grouping) for grouping in self.groupings)])
        text = "; ".join([text, *(f"{name} {formula}" for name, formula in self.distributional)])
        return text if self.residual is None else f"{text}, residual {self.residual.text}"

    def with_priors(self, priors: Mapping[str, str]) -> "ModelSpec":
        """Return the same model with these priors changed."""
        return replace(self, priors=tuple(sorted({**self.prior_texts, **priors}.items())))
