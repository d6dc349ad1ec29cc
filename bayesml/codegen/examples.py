"""Source text of an example: simulated data for a generated model, in plain NumPy.

What it writes shows how the arrays of a model are made from a table, and it lets a script run
without any file. Outcomes are drawn from the model itself with known parameters.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from math import ceil

from bayesml.codegen.environments import plain, rendering_environment
from bayesml.codegen.example_columns import MEMBERSHIP_UNITS, membership_lines, predictor_lines
from bayesml.codegen.example_priors import Pairs, example_priors
from bayesml.codegen.nominal_examples import nominal_effects, nominal_start, shared_terms
from bayesml.codegen.numpy_links import NUMPY_FORWARD, NUMPY_INVERSE, latent_draws, outcome_text
from bayesml.codegen.residual_examples import (
    example_rows,
    residual_arrays,
    residual_outcome,
    rows_per_unit,
)
from bayesml.specs.censoring import ENTRY, INTERVAL, LEFT, RIGHT
from bayesml.specs.resolved import ResolvedGrouping, ResolvedPart, ResolvedSpec

ROWS = 600
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
    layout = _places(resolved)
    names = [name for name in resolved.posterior_names if not name.startswith(("u_", "corr_"))]
    template = rendering_environment().get_template("example.jinja")
    defaults, priors = example_priors(resolved)
    return template.render(
        rows=example_rows(ROWS, resolved),
        units=[line for place in layout for line in place.lines],
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


@dataclass(frozen=True)
class _Place:
    """Where the units of a grouping come from in the example."""

    grouping: ResolvedGrouping
    units: int
    lines: tuple[str, ...]

    @property
    def index(self) -> str:
        """Name of the array of units."""
        return f"unit_{self.grouping.identifier}"


def _places(resolved: ResolvedSpec) -> list[_Place]:
    """Return the groupings of the example, inner ones before outer ones."""
    columns = {item.name: set(item.columns) for item in resolved.spec.every_grouping}
    slots = {item.name: len(item.members) for item in resolved.spec.every_grouping}
    ordered = sorted(resolved.groupings, key=lambda item: -len(columns[item.name]))
    places: list[_Place] = []
    for grouping in ordered:
        name = grouping.identifier
        own = columns[grouping.name]
        inner = [place for place in places if own and own < columns[place.grouping.name]]
        if grouping.multiple:
            units, lines = MEMBERSHIP_UNITS, membership_lines(name, slots[grouping.name])
        elif inner:
            units = ceil(inner[-1].units / 4)
            lines = [f"unit_{name} = {inner[-1].index} // 4  # {units} units"]
        elif not any(place.lines and "obs //" in place.lines[0] for place in places):
            size = 6 if resolved.spec.structure == "longitudinal" else 5
            units = ROWS // size
            lines = [f"unit_{name} = obs // {size}  # {units} units of {size} rows"]
        else:
            units = 60
            lines = [f"unit_{name} = rng.integers({units}, size=obs.size)"]
        places.append(_Place(grouping, units, tuple(lines)))
    return places


def _outcome(resolved: ResolvedSpec, places: Sequence[_Place]) -> list[str]:
    kind = resolved.family.response
    lines = []
    if resolved.spec.exposure is not None:
        lines += ["exposure = rng.uniform(0.5, 2.0, size=obs.size)", "offset = np.log(exposure)"]
    elif resolved.offset:
        lines.append("offset = rng.normal(scale=0.3, size=obs.size)")
    parts = [_INTERCEPT[kind]] if resolved.intercept and not resolved.nominal else []
    if resolved.slopes and not resolved.nominal:
        beta = [str(value) for value in islice(cycle(_BETA), len(resolved.slopes))]
        parts.append(f"x @ [{', '.join(beta)}]")
    parts += ["offset"] if resolved.offset else []
    if not resolved.slopes and not resolved.offset:
        parts = [f"np.full(obs.size, {parts[0] if parts else '0.0'})"]
    lines += nominal_start(resolved) if resolved.nominal else [f"eta = {' + '.join(parts)}"]
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


def _effects(resolved: ResolvedSpec, place: _Place) -> list[str]:
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
    if grouping.multiple:
        lines.append(f"shared_{name} = weight_{name}[:, :, None] * {whole}")
        whole = f"shared_{name}.sum(axis=1)"
    if resolved.nominal:
        return lines + nominal_effects(grouping, whole, len(resolved.outcomes))
    for feed in grouping.feeds:
        several = len(grouping.feeds) > 1
        effect = f"{whole}[:, {feed.start}:{feed.stop}]" if several else whole
        if feed.constant:
            lines.append(f"eta{feed.suffix} += {whole}[:, {feed.start}]")
        else:
            lines.append(f"eta{feed.suffix} += (terms_{name}{feed.suffix} * {effect}).sum(axis=-1)")
    return lines


def _draw(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that draw the outcome, and what the default priors take from it."""
    if resolved.residual is not None:
        return residual_outcome(resolved.residual, rows_per_unit(resolved))
    kind, link = resolved.family.response, resolved.spec.link
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
        return [
            *([f"trials = {counts}"] if resolved.trials else []),
            drawn,
            f"share = {share}",
        ]
    if kind == "unit":
        return [drawn, "share = y.mean()"]
    return [
        drawn,
        *(_partly_known(resolved) if resolved.bounds else []),
        *([f"s = {outcome_text(link)}.std(ddof=1)"] if resolved.family.scaled else []),
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


def _arrays(resolved: ResolvedSpec, places: Sequence[_Place]) -> Pairs:
    pairs = [("y", "y")]
    if resolved.slopes and resolved.centred_predictors:
        pairs += [("x_mean", "x.mean(axis=0)"), ("x_centred", "x - x.mean(axis=0)")]
    elif resolved.slopes:
        pairs.append(("x", "x"))
    for name, given in (("offset", resolved.offset), ("trials", resolved.trials)):
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


def _coords(resolved: ResolvedSpec, places: Sequence[_Place]) -> Pairs:
    pairs = [("obs", "obs")]
    if resolved.coefficients:
        pairs.append(("coef", _list(resolved.own_coefficients)))
    if resolved.nominal:
        pairs.append((resolved.outcome_dim, _list(resolved.outcomes)))
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
        pairs += [(dim, _list(resolved.residual.occasions)) for dim in ("occasion", "occasion_bis")]
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
