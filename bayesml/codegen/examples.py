"""Source text of an example: simulated data for a generated model, in plain NumPy.

What it writes shows how the arrays of a model are made from a table, and it lets a script run
without any file. Outcomes are drawn from the model itself with known parameters.
"""

import json
from collections.abc import Sequence
from itertools import cycle, islice

from bayesml.codegen.environments import plain, rendering_environment
from bayesml.codegen.example_columns import predictor_lines
from bayesml.codegen.example_priors import Pairs, example_priors
from bayesml.codegen.example_units import (
    Place,
    example_rows,
    places_of_units,
    rows_per_unit,
    rows_together,
)
from bayesml.codegen.nominal_examples import nominal_effects, nominal_start, shared_terms
from bayesml.codegen.numpy_links import NUMPY_FORWARD, NUMPY_INVERSE, latent_draws, outcome_text
from bayesml.codegen.outcome_examples import (
    counted_outcomes,
    has_outcomes,
    mixed_arrays,
    mixed_coords,
    mixed_draws,
    of_each,
    outcome_row_lines,
    outcome_start,
)
from bayesml.codegen.residual_examples import residual_arrays, residual_outcome
from bayesml.specs.censoring import ENTRY, INTERVAL, LEFT, RIGHT
from bayesml.specs.resolved import ResolvedPart, ResolvedSpec

_BETA = (0.5, -0.3, 0.1, -0.1)
_SD = (0.5, 0.3)
_PART_BETA = (0.2, -0.1)
_INTERCEPT = {"real": "1.0", "positive": "0.5", "unit": "0.2", "binary": "0.2", "count": "0.5"}


def example_source(resolved: ResolvedSpec) -> str:
    """Return the text that makes a generated model a script that runs by itself.

    Parameters
    ----------
    resolved : ResolvedSpec

    Returns
    -------
    str
        Functions `example()` and `load_arrays(path)`, both of which return `(data, coords)`, and
        a main block that samples.
    """
    layout = places_of_units(resolved)
    names = [name for name in resolved.posterior_names if not name.startswith(("u_", "corr_"))]
    if resolved.residual is not None and resolved.residual.record.parameter not in names:
        # A number; the diagonals of the other correlations have nothing to show.
        names += ["corr_residual"] if resolved.residual.record.bounds is not None else []
    template = rendering_environment().get_template("example.jinja")
    defaults, priors = example_priors(resolved)
    return template.render(
        rows=example_rows(resolved),
        units=[*outcome_row_lines(resolved), *(line for place in layout for line in place.lines)],
        predictors=predictor_lines(resolved),
        predictor_words=plain(f"Predictors: {', '.join(resolved.slopes)}"),
        outcome=_outcome(resolved, layout),
        arrays=_arrays(resolved, layout),
        defaults=defaults,
        priors=priors,
        coords=_coords(resolved, layout),
        shown=_list(names),
    )


def literal(text: str) -> str:
    r"""Return any text as a Python string literal in double quotes, all on one line.

    Examples
    --------
    >>> print(literal('a "b"\n'))
    "a \"b\"\n"
    """
    shown = json.dumps(str(text), ensure_ascii=False)
    return "".join(c if c.isprintable() else _escaped(c) for c in shown)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _list(items: Sequence[str]) -> str:
    return f"[{', '.join(literal(item) for item in items)}]"


def _outcome(resolved: ResolvedSpec, places: Sequence[Place]) -> list[str]:
    lines = _offset(resolved)
    kinds = [item.record.response for item in resolved.spec.outcome_families]
    parts = [_INTERCEPT[kinds[0]]] if resolved.intercept and not resolved.nominal else []
    if resolved.slopes and not resolved.nominal:
        beta = [str(value) for value in islice(cycle(_BETA), len(resolved.slopes))]
        parts.append(f"x @ [{', '.join(beta)}]")
    parts += ["offset"] if resolved.offset else []
    if not resolved.slopes and not resolved.offset:
        parts = [f"np.full(obs.size, {parts[0] if parts else '0.0'})"]
    if has_outcomes(resolved):
        # One family serves all outcomes, or each has its own.
        intercepts = [_INTERCEPT[kind] for kind in islice(cycle(kinds), len(resolved.outcomes))]
        lines += outcome_start(resolved, intercepts, _BETA)
    elif resolved.nominal:
        lines += nominal_start(resolved)
    else:
        lines.append(f"eta = {' + '.join(parts)}")
    for part in resolved.parts:
        if part.category_specific:
            continue
        own = ["-0.2"] if part.intercept else []
        if part.slopes:
            weights = [str(value) for value in islice(cycle(_PART_BETA), len(part.slopes))]
            own.append(f"x_{part.parameter} @ [{', '.join(weights)}]")
        start = " + ".join(own) if part.slopes else f"np.full(obs.size, {(own or ['0.0'])[0]})"
        lines.append(f"eta_{part.parameter} = {start}")
    for place in places:
        lines += _effects(resolved, place)
    return [*lines, *_draw(resolved)]


def _offset(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that draw a known part of the linear predictor."""
    together = rows_together(resolved)
    size = "obs.size" if together == 1 else f"obs.size // {together}"
    each = "" if together == 1 else f".repeat({together})"
    if resolved.spec.exposure is not None:
        offset = "np.log(exposure)"
        if resolved.outcome_identifiers:
            offset = f"np.isin(outcome_number, {counted_outcomes(resolved)}) * {offset}"
        return [f"exposure = rng.uniform(0.5, 2.0, size={size}){each}", f"offset = {offset}"]
    return [f"offset = rng.normal(scale=0.3, size={size}){each}"] if resolved.offset else []


def _effects(resolved: ResolvedSpec, place: Place) -> list[str]:
    grouping = place.grouping
    name, terms = grouping.identifier, len(grouping.terms)
    sd = [str(_SD[0 if label.endswith("Intercept") else 1]) for label in grouping.terms]
    lines = []
    if len(grouping.blocks) == 1 and terms > 1:
        lines += [
            f"sd_{name} = np.array([{', '.join(sd)}])",
            f"corr_{name} = 0.7 * np.eye({terms}) + 0.3",
            f"covariance_{name} = sd_{name}[:, None] * corr_{name} * sd_{name}",
            f"u_{name} = rng.multivariate_normal(np.zeros({terms}), covariance_{name}, "
            f"size={place.units})",
        ]
    else:
        lines.append(
            f"u_{name} = rng.normal(scale=[{', '.join(sd)}], size=({place.units}, {terms}))"
        )
    whole = f"u_{name}[{place.index}]"
    if grouping.by_member:
        lines.append(f"loaded_{name} = weight_{name}[:, :, None] * {whole}")
        whole = f"loaded_{name}"
    elif grouping.multiple:
        lines.append(f"shared_{name} = weight_{name}[:, :, None] * {whole}")
        whole = f"shared_{name}.sum(axis=1)"
    if resolved.nominal:
        return lines + nominal_effects(grouping, whole, len(resolved.outcomes))
    for feed in grouping.feeds:
        several = len(grouping.feeds) > 1
        start, axis = ("[:, :, ", "(1, 2)") if grouping.by_member else ("[:, ", "-1")
        effect = f"{whole}{start}{feed.start}:{feed.stop}]" if several else whole
        if feed.constant:
            summed = ".sum(axis=-1)" if grouping.by_member else ""
            lines.append(f"eta{feed.suffix} += {whole}{start}{feed.start}]{summed}")
        else:
            array = f"terms_{name}{feed.suffix}"
            lines.append(f"eta{feed.suffix} += ({array} * {effect}).sum(axis={axis})")
    return lines


def _draw(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that draw the outcome, and what the default priors take from it."""
    if resolved.outcome_identifiers:
        return mixed_draws(resolved)
    kind, link = resolved.family.response, resolved.spec.link
    spread = f"{outcome_text(link)}.std(ddof=1)"
    if resolved.residual is not None:
        lines = residual_outcome(resolved.residual, rows_per_unit(resolved))
        return [*lines, f"s = {of_each(resolved, spread)}"]
    trials = "trials" if resolved.trials else "1"
    drawn = resolved.family.example.format(
        mean=NUMPY_INVERSE[link],
        trials=trials,
        categories=len(resolved.outcomes) + 1,
        **latent_draws(link),
    )
    if kind == "nominal":
        return [drawn]
    if kind == "ordered":
        most = len(resolved.categories) - 1
        specific = [] if resolved.specific is None else _specific_lines(resolved.specific, most)
        return [
            f"cutpoints = np.linspace(-1.5, 1.5, {most})",
            *specific,
            *drawn.splitlines(),
            f"share = np.array([(y <= category).mean() for category in range({most})])",
        ]
    if kind == "binary":
        share = "y.sum() / trials.sum()" if resolved.trials else "y.mean()"
        size = resolved.spec.trials if isinstance(resolved.spec.trials, int) else None
        counts = f"np.full(obs.size, {size})" if size else "rng.integers(5, 15, size=obs.size)"
        if resolved.spec.outcomes and not size:
            # The outcomes of a row share its trials.
            count = len(resolved.outcomes)
            counts = f"rng.integers(5, 15, size=obs.size // {count}).repeat({count})"
        return [
            *([f"trials = {counts}"] if resolved.trials else []),
            drawn,
            f"share = {of_each(resolved, share)}",
        ]
    if kind == "unit":
        return [drawn, f"share = {of_each(resolved, 'y.mean()')}"]
    return [
        drawn,
        *(_partly_known(resolved) if resolved.bounds else []),
        *([f"s = {of_each(resolved, spread)}"] if resolved.family.scaled else []),
    ]


def _specific_lines(part: ResolvedPart, cutpoints: int) -> list[str]:
    """Return the lines that move the cutpoints of each row."""
    shape = f"({len(part.slopes)}, {cutpoints})"
    return [
        f"beta_cs = np.linspace(0.6, -0.2, {len(part.slopes) * cutpoints}).reshape({shape})",
        "cutpoints = cutpoints - x_cs @ beta_cs",
    ]


def _partly_known(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that leave of durations what a study observes of them."""
    lines = []
    if INTERVAL in resolved.censored:
        lines += [
            "# Visits in between: a duration ended after one of them, and before the next one",
            "width = np.median(y) / 3",
            "upper_bound = width * np.ceil(y / width)",
            "censoring = np.full(obs.size, 3)",
            "y = np.maximum(upper_bound - width, 0.01 * width)",
        ]
    elif RIGHT in resolved.censored:
        lines += [
            "# Some are still going on when they are last seen: 1 ended, 0 censored",
            "last_seen = np.median(y) * rng.uniform(0.2, 3.0, size=obs.size)",
            "censoring = (y <= last_seen).astype(int)",
            "y = np.minimum(y, last_seen)",
        ]
    elif LEFT in resolved.censored:
        lines += [
            "# Some had ended when they were first seen: 1 ended later, 2 had ended",
            "first_seen = np.median(y) * rng.uniform(0.1, 1.0, size=obs.size)",
            "censoring = np.where(y < first_seen, 2, 1)",
            "y = np.maximum(y, first_seen)",
        ]
    if ENTRY in resolved.bounds:
        lines.append("entry_time = np.zeros(obs.size)  # all were there from the start")
    return lines


def _arrays(resolved: ResolvedSpec, places: Sequence[Place]) -> Pairs:
    pairs = mixed_arrays(resolved) if resolved.outcome_identifiers else [("y", "y")]
    if has_outcomes(resolved):
        pairs.append(("outcome_number", "outcome_number"))
    if resolved.slopes and has_outcomes(resolved) and resolved.intercept:
        pairs += [("x_mean", "x_mean"), ("x_centred", "x - x_mean[outcome_number]")]
    elif resolved.slopes and resolved.centred_predictors:
        pairs += [("x_mean", "x.mean(axis=0)"), ("x_centred", "x - x.mean(axis=0)")]
    elif resolved.slopes:
        pairs.append(("x", "x"))
    trials = resolved.trials and not resolved.outcome_identifiers
    for name, given in (("offset", resolved.offset), ("trials", trials)):
        pairs += [(name, name)] if given else []
    pairs += [(name, name) for name in resolved.bounds]
    if resolved.residual is not None:
        pairs += residual_arrays(resolved.residual, rows_per_unit(resolved))
    by_name = {place.grouping.identifier: place for place in places}
    for grouping in resolved.groupings:
        name = grouping.identifier
        if grouping.around:
            # Effects that are sampled around 0 are the same model; a table's weights sample better.
            terms = "" if grouping.centred_terms == 1 else f"{grouping.centred_terms}, "
            shape = f"({by_name[name].units}, {terms}{len(resolved.coefficients)})"
            pairs.append((f"centre_{name}", f"np.zeros({shape})"))
        pairs.append((f"unit_{name}", by_name[name].index))
        pairs += [(f"weight_{name}", f"weight_{name}")] if grouping.multiple else []
        if resolved.nominal and shared_terms(grouping):
            pairs.append((f"terms_{name}", f"terms_{name}"))
        for feed in grouping.feeds if not resolved.nominal else ():
            array = f"terms_{name}{feed.suffix}"
            pairs += [] if feed.constant else [(array, array)]
    for part in resolved.parts:
        name = f"x_{part.parameter}"
        if part.slopes and part.centred_predictors:
            pairs += [(f"{name}_mean", f"{name}.mean(axis=0)")]
            pairs += [(f"{name}_centred", f"{name} - {name}.mean(axis=0)")]
        elif part.slopes:
            pairs.append((name, name))
    if resolved.categories:
        pairs.append(("cutpoints_start", NUMPY_FORWARD[resolved.spec.link]))
    return pairs


def _coords(resolved: ResolvedSpec, places: Sequence[Place]) -> Pairs:
    pairs = mixed_coords(resolved) if resolved.outcome_identifiers else [("obs", "obs")]
    if resolved.coefficients:
        pairs.append(("coef", _list(resolved.own_coefficients)))
    if resolved.outcomes:
        pairs.append((resolved.outcome_dim, _list(resolved.outcomes)))
    if resolved.outcome_identifiers:
        for name in resolved.outcome_parameter_priors:
            having = resolved.spec.outcomes_of_parameter(name)
            own = _list([resolved.outcomes[place] for place in having])
            pairs.append((resolved.parameter_dim(name), own))
    if resolved.slopes:
        pairs.append(("predictor", _list(resolved.slopes)))
    for part in resolved.parts:
        if part.coefficients:
            pairs.append((f"coef_{part.parameter}", _list(part.coefficients)))
        if part.slopes:
            pairs.append((f"predictor_{part.parameter}", _list(part.slopes)))
    if resolved.categories:
        names = [
            f"{a}|{b}" for a, b in zip(resolved.categories, resolved.categories[1:], strict=False)
        ]
        pairs.append(("cutpoint", _list(names)))
    if resolved.residual is not None and resolved.residual.occasions:
        dim, labels = resolved.residual.dim, _list(resolved.residual.occasions)
        pairs += [] if resolved.outcomes else [(dim, labels)]
        pairs.append((f"{dim}_bis", labels))
    units = {place.grouping.identifier: place.units for place in places}
    for grouping in resolved.groupings:
        name = grouping.identifier
        pairs.append((name, f"np.arange({units[name]})"))
        pairs.append((f"{name}_term", _list(grouping.terms)))
        if grouping.partly_centred:
            pairs.append((f"{name}_rest", _list(grouping.terms[1:])))
        if grouping.correlated:
            pairs.append((f"{name}_term_bis", _list(grouping.terms)))
    return pairs
