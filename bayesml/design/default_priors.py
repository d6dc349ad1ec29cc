"""Default priors of every parameter, resolved to numbers, and the user's changes to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from bayesml.design.residual_rows import ResidualRows
from bayesml.design.responses import Response
from bayesml.errors import PriorError, did_you_mean, listed, quoted
from bayesml.specs.censoring import CENSORING, ENTRY, RIGHT
from bayesml.specs.distributions import Prior, Support, parse_prior
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.residual_correlations import RESIDUAL_CORRELATIONS
from bayesml.specs.resolved_residuals import ResolvedResidual


@dataclass(frozen=True)
class Scales:
    """What the default priors take from the table.

    Parameters
    ----------
    response : float
        s: SD of the outcome on the link scale for families that are normal there, else 1.
    location : float
        Prior mean of the intercept on the link scale.
    """

    response: float
    location: float


def response_scales(spec: ModelSpec, response: Response, offset: np.ndarray | None) -> Scales:
    """Return the outcome's scale and its location on the link scale.

    The location is the mean of the outcome on the link scale for families that are normal there,
    else the link of sum(y) / sum(trials) or sum(y) / sum(exp(offset)) or, between 0 and 1, of
    mean(y), clipped so that an outcome of all zeros or ones stays finite. Of censored durations it
    is the log of the time under observation over the number that ended.
    """
    family = spec.family_record
    values = response.values.astype(float)
    spread = 1.0
    if family.scaled:
        latent = spec.link_record.forward(values)
        # Times of censoring may all be the same.
        spread = float(np.std(latent, ddof=1)) or 1.0
        location = float(latent.mean() - (0.0 if offset is None else offset.mean()))
    elif family.response == "binary":
        trials = response.trials if response.trials is not None else np.ones_like(values)
        total = float(trials.sum())
        share = np.clip(values.sum() / total, 0.5 / total, 1 - 0.5 / total)
        location = float(spec.link_record.forward(np.asarray(share)))
        if offset is not None:
            location -= float(offset.mean())
    elif ENTRY in response.bounds or CENSORING in response.bounds:
        # Time under observation over the number that ended: the mean of constant hazards.
        ended = response.bounds.get(CENSORING, np.ones(len(values))) != RIGHT
        time = values - response.bounds.get(ENTRY, 0.0)
        scale = 1.0 if offset is None else np.exp(-offset)
        location = float(np.log((time * scale).sum() / max(int(ended.sum()), 1)))
    elif family.response in ("count", "positive"):
        exposure = float(np.exp(offset).sum()) if offset is not None else float(len(values))
        # Counts may all be 0; positive numbers may be as small as their unit makes them.
        least = 0.5 if family.response == "count" else 0.0
        location = float(np.log(max(values.sum(), least) / exposure))
    elif family.response == "unit":
        location = float(spec.link_record.forward(np.asarray(values.mean())))
        location -= 0.0 if offset is None else float(offset.mean())
    else:
        location = 0.0
    return Scales(spread, location)


class PriorBook:
    """The priors of one model: defaults looked up by key, replaced by the user's where given.

    Parameters
    ----------
    spec : ModelSpec
        With the user's changes.
    keys : sequence of str
        Every key that this model has.

    Raises
    ------
    PriorError
        A key does not exist.
    """

    def __init__(self, spec: ModelSpec, keys: Sequence[str]):
        self.changes: Mapping[str, str] = spec.prior_texts
        for key in self.changes:
            if key not in keys:
                raise PriorError(
                    f"There is no prior {quoted(key)} in this model. {did_you_mean(key, keys)} "
                    f"Keys: {listed(keys, most=30)}."
                )

    def prior(
        self,
        keys: Sequence[str],
        support: Support,
        default: Prior,
        bounds: tuple[float, float] = (-inf, inf),
    ) -> Prior:
        """Return the prior of the first key that the user changed, else the default.

        Parameters
        ----------
        keys : sequence of str
            The most special key first, such as ``("sd_school[x]", "sd_school")``.
        support : {"real", "positive", "share", "correlation", "bounded"}
        default : Prior
        bounds : (float, float)
            Range of a bounded parameter.
        """
        for key in keys:
            if key in self.changes:
                return parse_prior(self.changes[key], support, key, bounds)
        return default


def prior_keys(
    spec: ModelSpec,
    slopes: Sequence[str],
    intercept: bool,
    groupings: Mapping[str, Sequence[str]],
    parts: Mapping[str, Sequence[str]],
    residual: ResidualRows | None = None,
) -> list[str]:
    """Return every prior key of a model, general ones before special ones."""
    keys = ["Intercept"] if intercept else []
    if slopes:
        keys += ["beta", *(f"beta[{label}]" for label in slopes)]
    if groupings:
        keys.append("sd")
    for own in groupings.values():
        keys += own
    keys += [parameter.name for parameter in spec.scalar_parameters]
    for name, labels in parts.items():
        keys += [f"Intercept_{name}"] if "Intercept" in labels else []
        of_slopes = [f"beta_{name}[{label}]" for label in labels if label != "Intercept"]
        keys += [f"beta_{name}", *of_slopes] if of_slopes else []
    if residual is not None:
        keys += [f"sigma[{label}]" for label in residual.occasions]
        keys.append(RESIDUAL_CORRELATIONS[residual.residual.structure].parameter)
    return keys


def resolved_residual(rows: ResidualRows, book: PriorBook, sigma: Prior) -> ResolvedResidual:
    """Return the structure of the residuals with its priors.

    Parameters
    ----------
    rows : ResidualRows
    book : PriorBook
    sigma : Prior
        Prior of the residual SD, which each occasion's SD has where nothing else is said.

    Raises
    ------
    PriorError
        A prior cannot be read, or lies outside what the correlation may be.
    """
    record = RESIDUAL_CORRELATIONS[rows.residual.structure]
    labels = tuple(str(label) for label in rows.occasions)
    if record.bounds is None:
        default = parse_prior(record.default, "correlation")
        prior = book.prior((record.parameter,), "correlation", default)
    else:
        bounds = record.bounds(rows.largest)
        text = record.default.format(lower=repr(bounds[0]), upper=repr(bounds[1]))
        default = parse_prior(text, "bounded", record.parameter, bounds)
        prior = book.prior((record.parameter,), "bounded", default, bounds)
    return ResolvedResidual(
        rows.residual,
        prior,
        tuple(book.prior((f"sigma[{label}]",), "positive", sigma) for label in labels),
        labels,
        rows.median_gap if record.at_median_gap else 1.0,
    )


# Of what the degrees of freedom of Student-t effects have beyond 2, below which they have no SD;
# after Juarez & Steel (2010), doi:10.1198/jbes.2009.07145.
NU_ABOVE_2 = Prior("Gamma", (2.0, 0.1))


def half_student_t(scale: float) -> Prior:
    """Return the default prior of an SD."""
    return Prior("HalfStudentT", (4.0, scale))
