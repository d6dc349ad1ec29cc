"""The results of contrasts and slopes: a table with one row per setting and part, or its draws."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesml.posterior.category_predictors import prediction_axis
from bayesml.posterior.effect_rows import EffectRows, RowGroups
from bayesml.posterior.group_strategies import shown_groups
from bayesml.posterior.summaries import interval_words
from bayesml.quantities.row_summaries import summarise_rows
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr

_HEADINGS = (
    *("mean", "median", "sd", "lower", "upper", "probability"),
    *("contrast", "category", "cutpoint"),
)


def heading(column: str) -> str:
    """Return a column's heading in a result, with an underscore where a result has its own.

    Examples
    --------
    >>> heading("age"), heading("mean")
    ('age', 'mean_')
    """
    return f"{column}_" if column in (*_HEADINGS, "chain", "draw", "row") else column


def effect_attributes(rows: EffectRows, variable: str) -> dict[Hashable, Any]:
    """Return the circumstances of an effect, which its result records."""
    return {
        "variable": variable,
        "groups": shown_groups(rows.chosen),
        "kind": rows.kind,
        "scale": f"link ({rows.fit.spec.link})" if rows.kind == "linear" else "response",
        "rows": len(rows.frame),
        **({"seed": rows.seed} if rows.draws_numbers else {}),
    }


@dataclass
class EffectTable:
    """Collects the rows of a result: what they are, and their draws.

    Parameters
    ----------
    parts : RowGroups
        The parts of the rows that were averaged separately.
    """

    parts: RowGroups

    def __post_init__(self) -> None:
        self.labels: list[dict[str, Any]] = []
        self.draws: list[np.ndarray] = []

    def add(self, setting: Mapping[str, Any], more: Mapping[str, Any], values: np.ndarray) -> None:
        """Add a row per part, with its setting and draws of shape (parts, ..., draws)."""
        for label, draws in zip(self.parts.labels, values, strict=True):
            by = {self.parts.column: label} if self.parts.column else {}
            named = {heading(name): value for name, value in {**setting, **by}.items()}
            self.labels.append({**named, **more})
            self.draws.append(draws)

    def result(
        self,
        rows: EffectRows,
        attrs: dict[Hashable, Any],
        neutral: float,
        prob: float,
        draws: bool,
        name: str,
    ) -> "pd.DataFrame | xr.DataArray":
        """Return the table, or the draws; `neutral` is the value of no effect."""
        values = np.stack(self.draws)
        labels = self.labels
        if values.ndim == 3:
            axis, entries = prediction_axis(rows.fit, rows.kind)
            labels = [{**label, axis: item} for label in labels for item in entries]
            values = values.reshape(-1, values.shape[-1])
        heads = pd.DataFrame(labels, index=range(len(labels)))
        if draws:
            return self._array(rows.fit, heads, values, attrs, name)
        numbers = summarise_rows(values, prob)
        table = heads.assign(
            mean=numbers.mean,
            median=numbers.median,
            sd=numbers.sd,
            lower=numbers.lower,
            upper=numbers.upper,
            probability=(values > neutral).mean(axis=-1),
        )
        table.attrs = attrs | {"prob": float(prob), "interval": interval_words(prob)}
        return table

    def _array(
        self,
        fit: Fit,
        heads: pd.DataFrame,
        values: np.ndarray,
        attrs: dict[Hashable, Any],
        name: str,
    ) -> "xr.DataArray":
        import xarray as xr

        posterior = fit.posterior
        chains, number = posterior.sizes["chain"], posterior.sizes["draw"]
        coords: dict[str, Any] = {
            "chain": posterior["chain"].values,
            "draw": posterior["draw"].values,
            **{str(column): ("row", heads[column].to_numpy()) for column in heads.columns},
        }
        return xr.DataArray(
            values.T.reshape(chains, number, -1),
            coords=coords,
            dims=("chain", "draw", "row"),
            name=name,
            attrs=attrs,
        )
