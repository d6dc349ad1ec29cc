"""The columns of a table that a model uses, with their role."""

from bayesml.design.predictor_parts import columns_of_parts
from bayesml.design.responses import response_columns
from bayesml.specs.formulas import parse_terms
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import column_names


def columns_used(spec: ModelSpec) -> dict[str, str]:
    """Return the columns that the model uses, with their role."""
    columns = dict.fromkeys(response_columns(spec), "outcome")
    for name in column_names(parse_terms(spec.fixed)):
        columns.setdefault(name, "predictor")
    for name in columns_of_parts(spec):
        columns.setdefault(name, "predictor")
    for grouping in spec.every_grouping:
        for text in grouping.terms:
            for name in column_names(parse_terms(text)):
                columns.setdefault(name, "varying term")
    for name, role in offset_columns(spec).items():
        columns.setdefault(name, role)
    if spec.residual is not None and spec.residual.time is not None:
        columns.setdefault(spec.residual.time, "time of the residuals")
    for name in spec.residual.unit if spec.residual is not None else ():
        columns.setdefault(name, "grouping")
    for grouping in spec.every_grouping:
        weights = grouping.weight_columns
        kinds = () if grouping.by is None else (grouping.by,)
        for name in (*grouping.columns, *grouping.members, *weights, *kinds):
            columns.setdefault(name, "grouping")
    if spec.member is not None:
        columns.setdefault(spec.member, "grouping")
    return columns


def offset_columns(spec: ModelSpec) -> dict[str, str]:
    """Return the columns of the known part of the linear predictor, with their role."""
    columns = {name: "offset" for text in spec.parts.offsets for name in column_names(parse(text))}
    for column, role in ((spec.exposure, "exposure"), (spec.offset, "offset")):
        if column is not None:
            columns.setdefault(column, role)
    return columns
