"""R2 of each of several outcomes, members of a unit, or categories of a nominal outcome."""

import numpy as np

from bayesml.posterior.explained_parts import R2Draws, nakagawa_r2
from bayesml.posterior.fitted_rows import FittedRows, rows_of_category, rows_of_outcome
from bayesml.records.fits import Fit


def nakagawa_by_outcome(fit: Fit, rows: FittedRows) -> R2Draws:
    """Return the marginal and the conditional R2, of each outcome over its own rows; see `r2`.

    Correlations across outcomes, of effects and of residuals, play no part: every outcome has
    variances of its own. The latent outcome of a category of a nominal outcome is its utility less
    that of the baseline, with the level-1 variance pi^2 / 3 of the difference of two errors.
    """
    facts = fit.facts
    if not facts.outcomes:
        return nakagawa_r2(fit, rows)
    select = rows_of_category if facts.nominal else rows_of_outcome
    found = [nakagawa_r2(fit, select(fit, rows, number)) for number in range(len(facts.outcomes))]
    named = zip(facts.outcomes, found, strict=True)
    return R2Draws(
        np.concatenate([item.values for item in found], axis=1),
        {
            facts.outcome_dim: [name for name, item in named for _ in item.parts["part"]],
            "part": [part for item in found for part in item.parts["part"]],
        },
        # What holds for several outcomes is said once.
        list(dict.fromkeys(note for item in found for note in item.notes)),
        [remark for item in found for remark in item.note],
        {},
    )
