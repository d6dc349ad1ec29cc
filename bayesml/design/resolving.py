"""From a specification and its arrays to a resolved specification, every prior explicit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bayesml.design.default_priors import (
    NU_ABOVE_2,
    PriorBook,
    half_student_t,
    prior_keys,
    resolved_residual,
    response_scales,
)
from bayesml.design.design_centres import design_centres, parents_of
from bayesml.design.designs import Design
from bayesml.design.nominal_outcomes import resolve_nominal
from bayesml.design.outcome_priors import resolve_outcomes
from bayesml.design.predictor_parts import (
    form_of_student_effects,
    form_of_terms,
    form_set_by_user,
    grouping_keys,
    part_term_scales,
    resolve_parts,
    sd_keys,
)
from bayesml.design.residual_rows import (
    RESIDUAL_NAMES,
)
from bayesml.errors import PriorError, quoted
from bayesml.specs.distributions import Prior, parse_prior
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.naming import SPECIFIC_NAMES, assign_identifiers
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec


def resolve(spec: ModelSpec, design: Design) -> ResolvedSpec:
    """Return the specification with every prior, parametrisation and name explicit.

    Parameters
    ----------
    spec : ModelSpec
    design : Design
        Its arrays.

    Returns
    -------
    ResolvedSpec

    Raises
    ------
    PriorError
        A prior has an unknown key or cannot be read.
    """
    if design.outcomes is not None:
        return resolve_outcomes(spec, design, design.outcomes, _resolve_groupings)
    if design.response.nominal:
        return resolve_nominal(spec, design, _resolve_groupings)
    intercept = "Intercept" in design.fixed.labels
    slopes = [label for label in design.fixed.labels if label != "Intercept"]
    names, response_name = assign_identifiers(
        [g.name for g in spec.every_grouping],
        spec.response_label,
        (
            *(RESIDUAL_NAMES if design.residual is not None else ()),
            *(SPECIFIC_NAMES if spec.parts.specific else ()),
        ),
    )
    scales = response_scales(spec, design.response, design.offset)
    keys = prior_keys(
        spec,
        slopes,
        intercept,
        grouping_keys(design),
        {name: matrix.labels for name, matrix in design.parts.items()},
        design.residual,
    )
    book = PriorBook(spec, keys)
    wide = 2.5 * scales.response
    slope_values = design.fixed.values[:, int(intercept) :]
    deviations = np.std(slope_values, axis=0, ddof=1) if slopes else np.empty(0)
    # Without an intercept a constant column is legal; its own size takes the place of an SD.
    deviations = np.where(deviations > 0, deviations, np.abs(slope_values).mean(axis=0))
    slope_priors = tuple(
        book.prior((f"beta[{label}]", "beta"), "real", Prior("Normal", (0.0, wide / deviation)))
        for label, deviation in zip(slopes, deviations, strict=True)
    )
    parameters = {
        parameter.name: book.prior(
            (parameter.name,),
            parameter.support,
            parse_prior(parameter.default.format(s=scales.response), parameter.support),
        )
        for parameter in spec.scalar_parameters
    }
    residual = None
    if design.residual is not None:
        residual = resolved_residual(design.residual, book, parameters["sigma"])
    if residual is not None and residual.sigma_priors:
        del parameters["sigma"]
    groupings = _resolve_groupings(
        spec,
        design,
        book,
        [
            part_term_scales(part.labels, part.predictors, part.terms, scales.response)
            for part in design.varying
        ],
        names,
    )
    return ResolvedSpec(
        spec=spec,
        response=response_name,
        coefficients=design.fixed.labels,
        groupings=groupings,
        intercept_prior=book.prior(("Intercept",), "real", Prior("Normal", (scales.location, wide)))
        if intercept
        else None,
        slope_priors=slope_priors,
        parameter_priors=parameters,
        trials=design.response.trials is not None,
        offset=design.offset is not None,
        categories=tuple(str(category) for category in design.response.categories),
        bounds=tuple(design.response.bounds),
        censored=design.response.censored,
        residual=residual,
        parts=resolve_parts(spec, design.parts, book, scales),
    )


def _resolve_groupings(
    spec: ModelSpec,
    design: Design,
    book: PriorBook,
    scales: Sequence[Sequence[float]],
    names: Mapping[str, str],
) -> tuple[ResolvedGrouping, ...]:
    resolved: list[ResolvedGrouping] = []
    for part, reliability, sizes in zip(design.varying, design.reliabilities, scales, strict=True):
        name = part.grouping.name
        kinds = () if part.kinds is None else part.kinds.labels
        student = part.grouping.effects == "student"
        # Categories are the outcome's own linear predictors, not those of further parameters.
        predictors = ("",) * len(part.labels) if spec.nominal else part.predictors
        priors = tuple(
            book.prior(
                sd_keys(name, label, predictor, predictors, kind),
                "positive",
                half_student_t(size),
            )
            for kind in kinds or ("",)
            for label, predictor, size in zip(part.labels, predictors, sizes, strict=True)
        )
        if max(part.blocks) > 1 and any(prior.distribution == "MLwiN" for prior in priors):
            raise PriorError(
                f"The prior 'mlwin' of {quoted('sd_' + name)} is for one SD, and {quoted(name)} "
                "has correlated terms, where MLwiN uses an inverse-Wishart prior. Use "
                "correlated=False or another prior."
            )
        form = form_of_terms(reliability, predictors)
        if student:
            form = form_of_student_effects(reliability, part.predictors)
        if part.grouping.parametrisation != "auto":
            form = form_set_by_user(part.grouping, len(part.labels))
        eta = book.prior((f"corr_{name}",), "correlation", Prior("LKJ", (2.0,))).values[0]
        resolved.append(
            ResolvedGrouping(
                name=name,
                identifier=names[name],
                terms=part.labels,
                blocks=part.blocks,
                units=len(part.units.labels),
                centred_terms=form.centred_terms,
                graded=form.graded,
                multiple=part.grouping.multiple,
                sd_priors=priors,
                eta=eta,
                reason=form.reason,
                predictors=part.predictors if any(part.predictors) else (),
                by="" if part.kinds is None else part.kinds.column,
                kinds=kinds,
                nu_prior=book.prior((f"nu_{name}",), "positive", NU_ABOVE_2) if student else None,
                by_member=part.terms.ndim == 3,
            )
        )
    resolved = [
        replace(item, parents=parents_of(number, resolved, design))
        for number, item in enumerate(resolved)
    ]
    return tuple(
        replace(item, around=bool(weights.any()))
        for item, weights in zip(resolved, design_centres(design, resolved), strict=True)
    )
