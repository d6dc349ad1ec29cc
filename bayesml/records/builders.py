"""The builders: a structure in a user's words becomes groupings of a specification."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, TypedDict, Unpack

import pandas as pd

from bayesml.errors import BayesmlWarning, FormulaError, SpecError, did_you_mean, listed, quoted
from bayesml.records.modelling import Model, make_model
from bayesml.specs.formulas import FormulaParts, parse_formula, summand_texts
from bayesml.specs.groupings import Grouping, Parametrisation
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import name_text, parse, unparse
from bayesml.tables.checks import require_columns, require_table
from bayesml.tables.relations import codes_of, nesting, relation


class Options(TypedDict, total=False):
    """Arguments that all builders share.

    Attributes
    ----------
    family : {"gaussian", "binomial", "poisson", "ordinal"}
        Likelihood; default gaussian.
    link : str
        Link; default the family's first.
    trials : str or int
        Column or number of binomial trials; the outcome is then the number of successes.
    exposure : str
        Column of a Poisson exposure; its log is added to the linear predictor.
    offset : str
        Column of an offset on the link scale.
    categories : sequence
        Order of an ordinal outcome's categories, lowest first.
    success : str
        Value of a two-valued text outcome that counts as 1.
    priors : mapping of str to str, or "mlwin"
        Priors that differ from the defaults, by key; "mlwin" replicates MLwiN's on variances.
    baseline : mapping of str to str
        Baseline level by column.
    correlated : bool
        Whether the varying terms of a grouping are correlated; default True.
    parametrisation : {"auto", "centred", "non-centred"} or mapping
        For all groupings or by grouping; default "auto".
    """

    family: str
    link: str
    trials: str | int
    exposure: str
    offset: str
    categories: Sequence[Any]
    success: str
    priors: Mapping[str, str] | str
    baseline: Mapping[str, str]
    correlated: bool
    parametrisation: Parametrisation | Mapping[str, Parametrisation]


def two_level(
    table: Any,
    formula: str,
    *,
    group: str,
    slopes: Sequence[str] | str = (),
    **options: Unpack[Options],
) -> Model:
    """Return a model of rows in one grouping: pupils in schools.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars.
    group : str
        Column of the grouping.
    slopes : sequence of str
        Predictors whose coefficients vary over the units, besides the intercept.
    **options
        See `Options`: family, link, trials, exposure, offset, categories, success, priors,
        baseline, correlated, parametrisation.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used; the message says what to do.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"]).spec.text
    'normexam ~ standLRT + (standLRT | school)'
    """
    frame = require_table(table)
    if not isinstance(group, str):
        raise SpecError(
            f"group is {quoted(group)}, not a column name. two_level takes one grouping; use "
            "three_level, cross_classified or model for more."
        )
    require_columns(frame, [group], "grouping")
    grouping = Grouping(group, columns=(group,), terms=_terms(slopes, frame))
    return _build("two_level", frame, formula, [grouping], options)


def three_level(
    table: Any,
    formula: str,
    *,
    groups: Sequence[str],
    slopes: Mapping[str, Sequence[str] | str] | None = None,
    **options: Unpack[Options],
) -> Model:
    """Return a model of rows in two nested groupings: occasions in children in schools.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars.
    groups : sequence of two str
        Columns of the groupings, the inner one first; swapped with a note where the data say so.
        The inner labels are made explicit: class 1 of two schools are two classes.
    slopes : mapping of str to sequence of str
        Varying slopes by grouping.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> deaths = bml.load_dataset("mmmec")
    >>> bml.three_level(
    ...     deaths, "deaths ~ uvb", groups=["region", "nation"], family="poisson",
    ...     exposure="expected",
    ... ).facts.groupings[0].units
    78
    """
    frame = require_table(table)
    names = _group_names(groups, frame)
    if len(names) != 2:
        raise SpecError(
            f"three_level takes two groupings, the inner one first; groups has {len(names)}. "
            "Use two_level for one and model(table, 'y ~ x + (1 | a/b/c)') for more."
        )
    inner, outer = names
    notes: list[str] = []
    found = nesting(frame[inner], frame[outer])
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
    chosen = _slopes(slopes, [inner, outer])
    groupings = [
        Grouping(inner, columns=(outer, inner), terms=_terms(chosen.get(inner, ()), frame)),
        Grouping(outer, columns=(outer,), terms=_terms(chosen.get(outer, ()), frame)),
    ]
    return _build("three_level", frame, formula, groupings, options, notes)


def cross_classified(
    table: Any,
    formula: str,
    *,
    groups: Sequence[str],
    slopes: Mapping[str, Sequence[str] | str] | None = None,
    **options: Unpack[Options],
) -> Model:
    """Return a model of rows in groupings that cross: pupils by primary and secondary school.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars.
    groups : sequence of str
        Columns of the groupings, labels taken as they are.
    slopes : mapping of str to sequence of str
        Varying slopes by grouping.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> scots = bml.load_dataset("scotssec")
    >>> len(bml.cross_classified(scots, "attain ~ verbal", groups=["primary", "second"]).spec.groupings)
    2
    """
    frame = require_table(table)
    names = _group_names(groups, frame)
    if len(names) < 2:
        raise SpecError(
            f"cross_classified takes two or more groupings; groups has {len(names)}. "
            "Use two_level for one."
        )
    chosen = _slopes(slopes, names)
    groupings = [
        Grouping(name, columns=(name,), terms=_terms(chosen.get(name, ()), frame)) for name in names
    ]
    notes = _implicit_labels(groupings, frame)
    return _build("cross_classified", frame, formula, groupings, options, notes)


def multiple_membership(
    table: Any,
    formula: str,
    *,
    members: Sequence[str],
    weights: Sequence[str] | str = "equal",
    absent: str | int | float | None = None,
    normalise: bool = False,
    name: str | None = None,
    slopes: Mapping[str, Sequence[str] | str] | Sequence[str] | str = (),
    groups: Sequence[str] = (),
    **options: Unpack[Options],
) -> Model:
    """Return a model whose rows belong to several units: workers and their employers.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars.
    members : sequence of str
        Columns of unit labels, one per slot.
    weights : sequence of str or "equal"
        Columns of weights, one per slot, or equal shares of the slots in use.
    absent : str, int or float
        Label of an unused slot; a missing label is always unused.
    normalise : bool
        Divide the weights of a row by their sum.
    name : str
        Name of the grouping; default the first of `members`.
    slopes : sequence of str, or mapping by grouping
        Varying slopes of the multiple membership, or of each grouping.
    groups : sequence of str
        Further, ordinary groupings.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> wage = bml.load_dataset("wage1")
    >>> model = bml.multiple_membership(
    ...     wage, "logearn ~ age_40", members=["company", "company2", "company3", "company4"],
    ...     weights=["weight1", "weight2", "weight3", "weight4"], absent=0,
    ... )
    >>> model.facts.groupings[0].units
    141
    """
    frame = require_table(table)
    if isinstance(members, str) or len(members) < 2:
        raise SpecError(
            f"members is {quoted(str(members))}. Give two or more columns of labels, one per slot."
        )
    name = name or members[0]
    further = _group_names(groups, frame)
    if not isinstance(slopes, Mapping):
        slopes = {name: slopes}
    chosen = _slopes(slopes, [name, *further])
    groupings = [
        Grouping(
            name,
            terms=_terms(chosen.get(name, ()), frame),
            members=tuple(members),
            weights=_weights(weights),
            absent=absent,
            normalise=normalise,
        ),
        *(
            Grouping(item, columns=(item,), terms=_terms(chosen.get(item, ()), frame))
            for item in further
        ),
    ]
    return _build("multiple_membership", frame, formula, groupings, options)


def longitudinal(
    table: Any,
    formula: str,
    *,
    unit: str,
    time: str,
    growth: int = 1,
    residual: str = "iid",
    slopes: Sequence[str] | str = (),
    **options: Unpack[Options],
) -> Model:
    """Return a growth model of occasions in units: children measured repeatedly.

    Parameters
    ----------
    table : DataFrame
    formula : str
        ``outcome ~ predictors``, without bars; time is added by `growth`.
    unit : str
        Column of the units that are measured repeatedly.
    time : str
        Column of time, in any unit; its zero is where the intercept's SD holds.
    growth : int
        Degree of the growth curve: time ... time^growth are added to the fixed and to the varying
        part unless they are there already; 0 is a varying intercept only.
    residual : {"iid"}
        Structure of the residuals.
    slopes : sequence of str
        Further predictors whose coefficients vary over the units.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> sleep = bml.load_dataset("sleepstudy")
    >>> bml.longitudinal(sleep, "Reaction ~ 1", unit="Subject", time="Days").spec.text
    'Reaction ~ 1 + Days + (Days | Subject)'
    """
    frame = require_table(table)
    require_columns(frame, [unit], "unit")
    require_columns(frame, [time], "time")
    if isinstance(growth, bool) or not isinstance(growth, int) or not 0 <= growth <= 5:
        raise SpecError(f"growth is {quoted(str(growth))}. Give a whole number from 0 to 5.")
    if residual != "iid":
        raise SpecError(
            f"residual is {quoted(str(residual))}. Allowed in this version: 'iid' (independent)."
        )
    curve = [_power(time, degree) for degree in range(1, growth + 1)]
    parts = _parts(formula)
    present = set(summand_texts(parts.fixed))
    added = [term for term in curve if term not in present]
    fixed = " + ".join([parts.fixed, *added])
    offsets = "".join(f" + offset({text})" for text in parts.offsets)
    extra = _terms(slopes, frame)[0].removeprefix("1").removeprefix(" + ")
    varying = " + ".join(["1", *curve, *([extra] if extra and extra not in curve else [])])
    grouping = Grouping(unit, columns=(unit,), terms=(varying,))
    notes = _repeated_occasions(frame, unit, time)
    whole = f"{parts.response} ~ {fixed}{offsets}"
    return _build("longitudinal", frame, whole, [grouping], options, notes)


def model(table: Any, formula: str | ModelSpec, **options: Unpack[Options]) -> Model:
    """Return the model that a formula in lme4 notation, or a specification, describes.

    Parameters
    ----------
    table : DataFrame
    formula : str or ModelSpec
        Such as ``"y ~ x + (1 + x | school)"``; see `bayesml.specs.formulas.parse_formula` for
        every kind of bar. A ModelSpec is taken as it is.
    **options
        See `Options`.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table, the formula or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> bml.model(exam, "normexam ~ standLRT + (standLRT || school)").resolved.groupings[0].blocks
    (1, 1)
    """
    frame = require_table(table)
    if isinstance(formula, ModelSpec):
        if options:
            raise SpecError(
                f"A ModelSpec already says {listed(options)}. Change the specification instead: "
                "dataclasses.replace(spec, ...)."
            )
        return _announced(
            make_model(formula, frame, tuple(_implicit_labels(formula.groupings, frame)))
        )
    parts = parse_formula(formula)
    groupings = list(parts.groupings)
    if "correlated" in options and not options["correlated"]:
        raise SpecError(
            "correlated=False belongs to the other builders. In a formula write (x || g)."
        )
    notes = _implicit_labels(groupings, frame)
    return _build("model", frame, parts.text, groupings, options, notes)


def _build(
    structure: str,
    frame: pd.DataFrame,
    formula: str,
    groupings: Sequence[Grouping],
    options: Options,
    notes: Sequence[str] = (),
) -> Model:
    unknown = [key for key in options if key not in Options.__annotations__]
    if unknown:
        raise SpecError(
            f"{structure} has no argument {quoted(unknown[0])}. "
            f"{did_you_mean(unknown[0], list(Options.__annotations__))}"
        )
    parts = _parts(formula)
    spec = ModelSpec(
        formula=parts.text,
        groupings=tuple(_adjusted(grouping, options) for grouping in groupings),
        family=options.get("family", "gaussian"),
        link=options.get("link", ""),
        structure=structure,
        trials=options.get("trials"),
        exposure=options.get("exposure"),
        offset=options.get("offset"),
        categories=tuple(_plain_values(options.get("categories", ()))),
        success=None if options.get("success") is None else str(options["success"]),
        priors=_priors(options),
        baseline=tuple(
            sorted((key, str(value)) for key, value in options.get("baseline", {}).items())
        ),
    )
    return _announced(make_model(spec, frame, tuple(notes)))


def _announced(built: Model) -> Model:
    """Warn of everything that the reader must know, and return the model."""
    for note in built.notes:
        warnings.warn(note, BayesmlWarning, stacklevel=4)
    return built


def _adjusted(grouping: Grouping, options: Options) -> Grouping:
    changes: dict[str, Any] = {}
    if "correlated" in options:
        changes["correlated"] = bool(options["correlated"])
    form = options.get("parametrisation", "auto")
    if isinstance(form, Mapping):
        form = form.get(grouping.name, "auto")
    if form != "auto":
        changes["parametrisation"] = form
    return replace(grouping, **changes)


def _parts(formula: str) -> FormulaParts:
    parts = parse_formula(formula)
    if parts.groupings:
        raise FormulaError(
            f"The formula {quoted(formula)} has bars, but this builder takes its groupings by "
            "argument. Use bml.model(table, formula), or leave the bars out."
        )
    return parts


def _priors(options: Options) -> tuple[tuple[str, str], ...]:
    priors = options.get("priors", {})
    if isinstance(priors, str):
        if priors != "mlwin":
            raise SpecError(
                f"priors is {quoted(priors)}. Give a mapping such as "
                "{'sd_school': 'HalfNormal(0.5)'}, or 'mlwin'."
            )
        priors = {"sd": "mlwin"}
        if options.get("family", "gaussian") == "gaussian":
            priors["sigma"] = "mlwin"
    if not isinstance(priors, Mapping):
        raise SpecError(
            f"priors is of type {type(priors).__name__}. Give a mapping such as "
            "{'sd_school': 'HalfNormal(0.5)'}."
        )
    return tuple(sorted((str(key), value) for key, value in priors.items()))


def _plain_values(values: Sequence[Any]) -> list[Any]:
    if isinstance(values, str):
        raise SpecError(f"categories is the text {quoted(values)}. Give a list of categories.")
    return [value.item() if hasattr(value, "item") else value for value in values]


def _group_names(groups: Sequence[str] | str, frame: pd.DataFrame) -> list[str]:
    names = [groups] if isinstance(groups, str) else list(groups)
    require_columns(frame, names, "grouping")
    return names


def _weights(weights: Sequence[str] | str) -> Any:
    if isinstance(weights, str):
        if weights != "equal":
            raise SpecError(
                f"weights is {quoted(weights)}. Give one column per slot in a list, or 'equal'."
            )
        return "equal"
    return tuple(weights)


def _slopes(
    slopes: Mapping[str, Sequence[str] | str] | None, names: Sequence[str]
) -> Mapping[str, Sequence[str] | str]:
    if slopes is None:
        return {}
    if not isinstance(slopes, Mapping):
        raise SpecError(
            f"slopes is {quoted(str(slopes))}. With several groupings say which: "
            f"slopes={{{names[0]!r}: ['x']}}."
        )
    for name in slopes:
        if name not in names:
            raise SpecError(
                f"slopes names {quoted(name)}, which is not a grouping of this model. "
                f"{did_you_mean(name, list(names))}"
            )
    return slopes


def _terms(slopes: Sequence[str] | str, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the varying terms as one block; a column's name is a term however odd it is."""
    items = [slopes] if isinstance(slopes, str) else list(slopes)
    texts = [name_text(item) if item in frame.columns else unparse(parse(item)) for item in items]
    return (" + ".join(["1", *texts]),)


def _power(time: str, degree: int) -> str:
    return name_text(time) if degree == 1 else f"I({name_text(time)} ** {degree})"


def _repeated_occasions(frame: pd.DataFrame, unit: str, time: str) -> list[str]:
    repeated = frame.dropna(subset=[unit, time]).duplicated(subset=[unit, time])
    if not repeated.any():
        return []
    return [
        f"{int(repeated.sum())} rows repeat an occasion: the same {quoted(unit)} and "
        f"{quoted(time)} as another row."
    ]


def _implicit_labels(groupings: Sequence[Grouping], frame: pd.DataFrame) -> list[str]:
    """Return a note for labels that look recycled: class 1, 2, 3 in every school."""
    columns = [
        grouping.columns[0]
        for grouping in groupings
        if len(grouping.columns) == 1 and grouping.columns[0] in frame.columns
    ]
    notes = []
    for first, second in combinations(dict.fromkeys(columns), 2):
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
