"""What every builder shares: its options, and the steps from arguments to a model."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from numbers import Integral
from typing import Any, TypedDict

import pandas as pd

from bayesml.design.columns import plain_frame
from bayesml.errors import BayesmlWarning, FormulaError, SpecError, did_you_mean, quoted
from bayesml.records.argument_checks import (
    categories_given,
    plain_value,
    require_flag,
    require_names,
)
from bayesml.records.modelling import Model, make_model
from bayesml.specs.formula_parts import FormulaParts
from bayesml.specs.formulas import parse_formula
from bayesml.specs.groupings import Effects, Grouping, Parametrisation
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.outcome_terms import outcomes_of
from bayesml.specs.parsing import name_text, parse, unparse
from bayesml.specs.residual_structures import Residual, read_residual
from bayesml.specs.syntax import Number
from bayesml.tables.relations import cells_of, codes_of, relation


class Options(TypedDict, total=False):
    """Arguments that all builders share.

    Attributes
    ----------
    family : str or mapping of str to str
        Likelihood; default gaussian; of several outcomes a mapping where they differ:
        ``{"score": "gaussian", "passed": "binomial"}``. `bayesml new STRUCTURE --family NAME`
        describes each; a name that does not exist is answered by the names that do. Durations may
        be censored:
        ``surv(time, status)`` left of the tilde, ``surv(entry, time, status)`` with delayed entry,
        ``surv(lower, upper, kind="interval")`` where a duration lies between two times (an empty
        bound is an open one). The exponential of the linear predictor is the mean of an
        exponential and a Weibull duration, as in brms, and the median of a log-normal and a
        log-logistic one.
    link : str or mapping of str to str
        Link; default the family's first; of several outcomes a mapping where they differ.
    trials : str or int
        Column or number of binomial trials; the outcome is then the number of successes. Of
        several outcomes they are those of every binomial one.
    exposure : str
        Column of a Poisson exposure; its log is added to the linear predictor, of several outcomes
        to that of every count.
    offset : str
        Column of an offset on the link scale.
    categories : sequence, or mapping of str to sequence
        Order of an ordinal outcome's categories, lowest first; of several outcomes a list for all
        ordered ones, or a mapping: ``{"grade": ["low", "high"]}``.
    success : str
        Value of a two-valued text outcome that counts as 1.
    priors : mapping of str to str, or "mlwin"
        Priors that differ from the defaults, by key; "mlwin" replicates MLwiN's on variances.
    baseline : mapping of str to str
        Baseline level by column.
    correlated : bool
        Whether the varying terms of a grouping are correlated; default True.
    parametrisation : {"auto", "centred", "partly centred", "non-centred"} or mapping
        For all groupings or by grouping; default "auto".
    by : str or mapping of str to str
        For all groupings or by grouping: the column that says of which kind each unit is; units of
        each kind have SDs and correlations of their own: ``{"school": "sector"}``.
    effects : {"normal", "student"} or mapping
        For all groupings or by grouping: the distribution of the effects. Those of "student" have
        heavy tails, for outlying units: ``nu_<grouping>`` degrees of freedom, above 2, with the
        prior Gamma(2, 0.1) on what they have beyond 2. ``sd_<grouping>`` is their SD; brms reports
        their scale, sd * sqrt((nu - 2) / nu).
    residual : str
        Structure of the residuals within a unit, as a call: ``"ar1(time, unit)"``, ``"ar1(unit)"``
        for the order of the rows, ``"continuous_ar(time, unit)"``, ``"compound_symmetric(unit)"``
        or ``"unstructured(occasion, unit)"``; default "iid", independent.
    residual_correlation : bool
        Whether the residuals of several Gaussian outcomes of one row are correlated; default True.
    distributional : mapping of str to str
        Formulas of further parameters of the likelihood: ``{"sigma": "~ x + (1 | school)"}``.
    """

    family: str | Mapping[str, str]
    link: str | Mapping[str, str]
    trials: str | int
    exposure: str
    offset: str
    categories: Sequence[Any] | Mapping[str, Sequence[Any]]
    success: str
    priors: Mapping[str, str] | str
    baseline: Mapping[str, str]
    correlated: bool
    parametrisation: Parametrisation | Mapping[str, Parametrisation]
    by: str | Mapping[str, str]
    effects: Effects | Mapping[str, Effects]
    residual: str
    residual_correlation: bool
    distributional: Mapping[str, str]


# What an option may be, and how a message says so.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "family": ((str, Mapping), "the name of a family, or a mapping by outcome"),
    "link": ((str, Mapping), "the name of a link, or a mapping by outcome"),
    "trials": ((str, Integral), "a column or a whole number"),
    "exposure": ((str,), "a column"),
    "offset": ((str,), "a column"),
    "categories": ((Iterable,), "a list of categories, lowest first, or a mapping by outcome"),
    "priors": ((Mapping, str), "a mapping such as {'sd_school': 'HalfNormal(0.5)'}, or 'mlwin'"),
    "baseline": ((Mapping,), "a mapping such as {'sex': 'male'}"),
    "distributional": ((Mapping,), "a mapping such as {'sigma': '~ x + (1 | school)'}"),
    "parametrisation": ((str, Mapping), "'auto', 'centred' and the like, or a mapping by grouping"),
    "by": ((str, Mapping), "a column, or a mapping such as {'school': 'sector'}"),
    "effects": ((str, Mapping), "'normal', 'student', or a mapping such as {'school': 'student'}"),
    "residual": ((str,), "a text such as 'ar1(time, unit)', or 'iid'"),
}


def build_model(
    structure: str,
    frame: pd.DataFrame,
    formula: str,
    groupings: Sequence[Grouping],
    options: Options,
    notes: Sequence[str] = (),
    member: str | None = None,
) -> Model:
    """Return the model of these groupings with the options that all builders share.

    Raises
    ------
    TableError, SpecError
        The table, the formula or an option cannot be used.
    """
    given = _checked(structure, options)
    parts = parts_without_bars(formula)
    for key in ("parametrisation", "by", "effects"):
        if isinstance(given.get(key), Mapping):
            for name in given[key]:
                _require_grouping(name, [grouping.name for grouping in groupings], key)
    spec = ModelSpec(
        formula=parts.text,
        groupings=tuple(_adjusted(grouping, given) for grouping in groupings),
        **_likelihoods(given, outcomes_of(parts.response)),
        structure=structure,
        trials=plain_value(given.get("trials"), "trials"),
        exposure=given.get("exposure"),
        offset=given.get("offset"),
        **categories_given(given.get("categories", ())),
        success=str(given["success"]) if "success" in given else None,
        priors=_priors(given),
        baseline=tuple(
            sorted((str(key), str(value)) for key, value in given.get("baseline", {}).items())
        ),
        residual=_residual(given),
        member=member,
        residual_correlation=given.get("residual_correlation", True),
        distributional=tuple(
            (str(key), value) for key, value in given.get("distributional", {}).items()
        ),
    )
    return announced(make_model(spec, frame, tuple(notes)))


def _checked(structure: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, each of a type that it may have."""
    for key in options:
        if key not in Options.__annotations__:
            raise SpecError(
                f"{structure} has no argument {quoted(key)}. "
                f"{did_you_mean(key, list(Options.__annotations__))}"
            )
    given = {key: value for key, value in options.items() if value is not None}
    for key in [key for key in _KINDS if key in given]:
        value, (kinds, words) = given[key], _KINDS[key]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise SpecError(
                f"{key} is {quoted(value)} of type {type(value).__name__}. Give {words}."
            )
    for flag in ("correlated", "residual_correlation"):
        require_flag(given.get(flag, True), flag)
    return given


def announced(built: Model) -> Model:
    """Warn of everything that the reader must know, and return the model."""
    for note in built.notes:
        warnings.warn(note, BayesmlWarning, stacklevel=4)
    return built


def _adjusted(grouping: Grouping, options: Mapping[str, Any]) -> Grouping:
    changes: dict[str, Any] = {}
    if "correlated" in options:
        changes["correlated"] = options["correlated"]
    for key, default in (("parametrisation", "auto"), ("by", None), ("effects", "normal")):
        value = options.get(key, default)
        if isinstance(value, Mapping):
            value = value.get(grouping.name, default)
        if value != default:
            changes[key] = value
    return replace(grouping, **changes)


def parts_without_bars(formula: str) -> FormulaParts:
    """Return the parts of a formula that has no groupings.

    Raises
    ------
    FormulaError
    """
    parts = parse_formula(formula)
    if parts.groupings:
        raise FormulaError(
            f"The formula {quoted(formula)} has bars, but this builder takes its groupings by "
            "argument. Use bml.model(table, formula), or leave the bars out."
        )
    return parts


def _priors(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    priors = options.get("priors", {})
    if isinstance(priors, str):
        if priors != "mlwin":
            raise SpecError(f"priors is {quoted(priors)}. Give {_KINDS['priors'][1]}.")
        priors = {"sd": "mlwin"}
        plain = "sigma" not in options.get("distributional", {})
        if plain and options.get("family", "gaussian") == "gaussian":
            priors["sigma"] = "mlwin"
    return tuple(sorted((str(key), value) for key, value in priors.items()))


def _likelihoods(options: Mapping[str, Any], outcomes: Sequence[str]) -> dict[str, Any]:
    """Return family and link, by outcome where a mapping says them."""
    found: dict[str, Any] = {}
    for key, by_outcome in (("family", "families"), ("link", "links")):
        value = options.get(key)
        if isinstance(value, Mapping):
            for name, text in value.items():
                if not isinstance(text, str):
                    raise SpecError(
                        f"{key} is {quoted(text)} for {quoted(str(name))}. Give {_KINDS[key][1]}."
                    )
            found[by_outcome] = tuple((str(name), text) for name, text in value.items())
        elif value is not None:
            found[key] = value
    # One link for outcomes of several families is that of each of them.
    if "families" in found and "link" in found:
        found["links"] = tuple((name, found["link"]) for name in outcomes)
    return found


def _residual(options: Mapping[str, Any]) -> Residual | None:
    text = options.get("residual", "iid")
    return None if text == "iid" else read_residual(text)


def slopes_by_grouping(slopes: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Return the varying slopes of each grouping that has some.

    Raises
    ------
    SpecError
    """
    if slopes is None:
        return {}
    if not isinstance(slopes, Mapping):
        raise SpecError(
            f"slopes is {quoted(str(slopes))}. With several groupings say which: "
            f"slopes={{{names[0]!r}: ['x']}}."
        )
    for name in slopes:
        _require_grouping(name, names, "slopes")
    return slopes


def _require_grouping(name: Any, names: Sequence[str], argument: str) -> None:
    if name not in names:
        raise SpecError(
            f"{argument} names {quoted(name)}, which is not a grouping of this model. "
            f"{did_you_mean(str(name), list(names))}"
        )


def varying_terms(slopes: Any, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the varying terms as one block; a column's name is a term however odd it is.

    Raises
    ------
    SpecError
    """
    items = [slopes] if isinstance(slopes, str) else require_names(slopes, "slopes", "['x']")
    texts = []
    for item in items:
        node = None if item in frame.columns else parse(item)
        if isinstance(node, Number):
            raise SpecError(
                f"slopes holds {quoted(item)}. Give predictors; the intercept varies anyway."
            )
        texts.append(name_text(item) if node is None else unparse(node))
    return (" + ".join(["1", *texts]),)


def nested_order(inner: str, outer: str, frame: pd.DataFrame) -> tuple[str, str, list[str]]:
    """Return two groupings as the data order them, inner first, with notes on what was changed."""
    notes: list[str] = []
    plain = plain_frame(frame, {inner: "grouping", outer: "grouping"})
    found = cells_of(codes_of(plain[inner], inner), codes_of(plain[outer], outer)).nesting
    if found == "outer in inner":
        inner, outer = outer, inner
        notes.append(
            f"The units of {quoted(inner)} lie within those of {quoted(outer)}, so "
            f"{quoted(inner)} was taken as the inner grouping."
        )
    elif found == "crossed":
        notes.append(
            f"Labels of {quoted(inner)} occur in several units of {quoted(outer)} and were taken "
            "as different units there. Use cross_classified if they are the same units."
        )
    return inner, outer, notes


def repeated_occasion_notes(frame: pd.DataFrame, unit: str, time: str) -> list[str]:
    """Return a note where a unit has two rows of one time."""
    plain = plain_frame(frame, {unit: "grouping", time: "time"}).dropna()
    repeated = plain.duplicated()
    if not repeated.any():
        return []
    return [
        f"{int(repeated.sum())} rows repeat an occasion: the same {quoted(unit)} and "
        f"{quoted(time)} as another row."
    ]


def unit_residual(residual: Any, unit: str, time: str) -> Residual | None:
    """Return the residual structure that a name or a call says, None for independent residuals.

    Parameters
    ----------
    residual : str or None
        None or ``"iid"``, a call, or the name of a structure: that of `unit` over `time`.
    unit, time : str
        Columns.

    Raises
    ------
    SpecError
    """
    if residual is None:
        return None
    if not isinstance(residual, str):
        raise SpecError(
            f"residual is {quoted(residual)} of type {type(residual).__name__}. Give "
            f"{_KINDS['residual'][1]}."
        )
    if residual == "iid":
        return None
    if "(" in residual:
        return read_residual(residual)
    timeless = Residual("compound_symmetric", (unit,))
    return timeless if residual == timeless.structure else Residual(residual, (unit,), time)


def implicit_label_notes(groupings: Sequence[Grouping], frame: pd.DataFrame) -> list[str]:
    """Return a note for labels that look recycled: class 1, 2, 3 in every school."""
    columns = [
        grouping.columns[0]
        for grouping in groupings
        if len(grouping.columns) == 1 and grouping.columns[0] in frame.columns
    ]
    notes = []
    frame = plain_frame(frame, dict.fromkeys(columns, "grouping"))
    for first, second in combinations(frame.columns, 2):
        if not (frame[first].notna() & frame[second].notna()).any():
            continue
        found = relation(codes_of(frame[first], first), codes_of(frame[second], second))
        if found.kind == "implicitly labelled":
            notes.append(
                f"{found} They were taken as the same units everywhere. If each unit of "
                f"{quoted(found.outer)} has units of its own, use three_level, or write "
                f"({found.outer}/{found.inner}) in a formula."
            )
    return notes
