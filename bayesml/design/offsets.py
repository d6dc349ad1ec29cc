"""The known part of the linear predictor: offsets and exposures."""

import numpy as np
import pandas as pd

from bayesml.design.expressions import evaluate
from bayesml.design.rows import numeric_column, row_list
from bayesml.errors import TableError, quoted
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.outcome_terms import OUTCOME
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import column_names


def offset_of_rows(
    spec: ModelSpec, frame: pd.DataFrame, positions: np.ndarray
) -> np.ndarray | None:
    """Return the known part of the linear predictor: offsets plus log exposure.

    Raises
    ------
    TableError
        An offset is not finite, or an exposure is not positive.
    """
    total: np.ndarray | None = None
    texts = list(spec.parts.offsets)
    for text in texts:
        node = parse(text)
        columns = {
            name: numeric_column(frame, name, "The offset")
            for name in column_names(node)
            if name in frame
        }
        values = np.broadcast_to(evaluate(node, columns), (len(frame),))
        bad = ~np.isfinite(values)
        if bad.any():
            raise TableError(
                f"The offset {text} is not a finite number in row {row_list(bad, positions)}. "
                "Correct these rows."
            )
        total = values if total is None else total + values
    if spec.offset is not None:
        values = numeric_column(frame, spec.offset, "The offset")
        total = values if total is None else total + values
    if spec.exposure is not None:
        exposure = numeric_column(frame, spec.exposure, "The exposure")
        # Of several outcomes the counts have it.
        exposure = np.where(rows_of_kind(spec, frame, "count"), exposure, 1.0)
        if (exposure <= 0).any():
            raise TableError(
                f"The exposure {quoted(spec.exposure)} is not positive in row "
                f"{row_list(exposure <= 0, positions)}. Correct or leave out these rows."
            )
        total = np.log(exposure) if total is None else total + np.log(exposure)
    return None if total is None else np.array(total, dtype=float)


def rows_of_kind(spec: ModelSpec, frame: pd.DataFrame, kind: str) -> np.ndarray:
    """Return which rows have an outcome of this kind; all of them where families do not differ.

    Parameters
    ----------
    spec : ModelSpec
    frame : DataFrame
        Stacked where there are several outcomes.
    kind : str
        Kind of response, such as ``"count"``.

    Returns
    -------
    array of bool, shape (rows,)
    """
    if not spec.families:
        return np.ones(len(frame), dtype=bool)
    of_kind = np.array([item.record.response == kind for item in spec.outcome_families])
    return of_kind[frame[OUTCOME].cat.codes.to_numpy()]
