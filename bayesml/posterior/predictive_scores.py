"""What cross-validation found: expected log predictive densities, part by part."""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from bayesml.quantities.importance_sampling import LeftOut, highest_reliable_k

_TITLES = {
    "loo": "Leave-one-out cross-validation by PSIS",
    "logo": "Leave-one-group-out cross-validation by PSIS",
    "kfold": "K-fold cross-validation by refitting",
}
# Above this standard error of a group's log-likelihood its integration is in doubt.
HIGHEST_INTEGRATION_ERROR = 0.1
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Expected log predictive density (elpd) of data that were left out. Print it.

    Parameters
    ----------
    kind : str
        "loo", "logo" or "kfold".
    by : str
        What was left out at a time: "row", or the name of a grouping.
    formula : str
        The model.
    pointwise : DataFrame
        One row per part left out, indexed by the row's position in the table (from 0) or by unit:
        `elpd` (log predictive density, natural log), `cpo` = exp(elpd), `lpd` (the same with the
        part in the fit), `mcse` (Monte Carlo standard error of `elpd`) and `pareto_k`, the last
        three where nothing was refitted; `rows`, `method` and `integration_error` of groups;
        `fold` where models were refitted.
    by_unit : DataFrame
        One row per unit of each grouping: `grouping`, `unit`, `rows`, `elpd` (sum over its rows);
        where nothing was refitted `pareto_k` (largest) and `high_k` (number above the threshold).
    draws : int
        Number of posterior draws.
    mark : str
        Differs between sets of data.
    continuous : bool
        Whether the outcome has a density rather than probabilities.
    folds : str
        Differs between divisions into folds; empty where there are none.
    notes : tuple of str
        What the reader must know.
    """

    kind: str
    by: str
    formula: str
    pointwise: pd.DataFrame
    by_unit: pd.DataFrame
    draws: int
    mark: str
    continuous: bool
    folds: str = ""
    notes: tuple[str, ...] = ()

    @property
    def elpd(self) -> float:
        """Sum of the log predictive densities, natural log; higher is better."""
        return float(self.pointwise["elpd"].sum())

    @property
    def se(self) -> float:
        """Standard error of `elpd`: sqrt(n) times the SD over the parts."""
        return _standard_error(self.pointwise["elpd"])

    @property
    def lpml(self) -> float:
        """Log pseudo-marginal likelihood, the sum of log CPO: the same number as `elpd`."""
        return self.elpd

    @property
    def p(self) -> float:
        """Effective number of parameters, lpd - elpd; NaN where models were refitted."""
        if "lpd" not in self.pointwise:
            return float("nan")
        return float((self.pointwise["lpd"] - self.pointwise["elpd"]).sum())

    @property
    def mcse(self) -> float:
        """Monte Carlo standard error of `elpd`, the parts' errors taken as independent.

        NaN where models were refitted.
        """
        if "mcse" not in self.pointwise:
            return float("nan")
        return float(np.sqrt((self.pointwise["mcse"] ** 2).sum()))

    @property
    def cpo(self) -> pd.Series:
        """Conditional predictive ordinate of each part."""
        return self.pointwise["cpo"]

    @property
    def pareto_k(self) -> pd.Series:
        """Shape of the tail of the importance weights of each part; empty after refitting."""
        if "pareto_k" not in self.pointwise:
            return pd.Series(dtype=float, name="pareto_k")
        return self.pointwise["pareto_k"]

    @property
    def threshold(self) -> float:
        """The Pareto k up to which a part's elpd is reliable."""
        return highest_reliable_k(self.draws)

    @property
    def high_k(self) -> pd.Series:
        """Pareto k of the parts above the threshold, largest first."""
        values = self.pareto_k
        return values[values > self.threshold].sort_values(ascending=False)

    @property
    def table(self) -> pd.DataFrame:
        """`elpd`, `lpml` and `p` (rows) with `estimate`, `se` and `mcse`."""
        p_se = float("nan")
        if "lpd" in self.pointwise:
            p_se = _standard_error(self.pointwise["lpd"] - self.pointwise["elpd"])
        nothing = float("nan")
        rows = {
            "elpd": (self.elpd, self.se, self.mcse),
            "lpml": (self.lpml, self.se, self.mcse),
            "p": (self.p, p_se, nothing),
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "se", "mcse"])
        table.index.name = "quantity"
        return table if "lpd" in self.pointwise else table.drop(index="p")

    @property
    def verdict(self) -> str:
        """Whether the numbers can be relied on, in words, and what to do where not."""
        problems = [*self._high_k_words(), *self._integration_words()]
        if problems:
            return " ".join(problems)
        if self.kind == "kfold":
            return "Every part was predicted by a fit that had not seen it."
        return (
            f"The importance weights are reliable: the largest Pareto k is "
            f"{self.pareto_k.max():.2f}, and up to {self.threshold:.2f} is good."
        )

    def _high_k_words(self) -> list[str]:
        high = self.high_k
        if not len(high):
            return []
        what = "row" if self.by == "row" else self.by
        shown = ", ".join(f"{label} ({k:.2f})" for label, k in high.head(_SHOWN).items())
        more = f", ... ({len(high)} in all)" if len(high) > _SHOWN else ""
        by = "" if self.by == "row" else f"by={self.by!r}, "
        return [
            f"Pareto k is above {self.threshold:.2f} for {len(high)} of {len(self.pointwise)} "
            f"({what} {shown}{more}): the fit leans on them so much that their elpd, and the "
            f"total, cannot be relied on. Use bml.kfold(model, {by}k=10), which refits."
        ]

    def _integration_words(self) -> list[str]:
        if "integration_error" not in self.pointwise:
            return []
        errors = self.pointwise["integration_error"].sort_values(ascending=False)
        errors = errors[errors > HIGHEST_INTEGRATION_ERROR]
        if not len(errors):
            return []
        shown = ", ".join(f"{label} ({error:.2f})" for label, error in errors.head(_SHOWN).items())
        more = f", ... ({len(errors)} in all)" if len(errors) > _SHOWN else ""
        return [
            f"Integrating the effects of {self.by} {shown}{more} by importance sampling has a "
            f"standard error above {HIGHEST_INTEGRATION_ERROR} on the log scale. Use "
            f"bml.kfold(model, by={self.by!r}, k=10) as a check."
        ]

    def __str__(self) -> str:
        what = "rows" if self.by == "row" else f"units of {self.by}"
        lines = [
            f"{_TITLES[self.kind]}: {self.formula}",
            f"{len(self.pointwise)} {what}, {self.draws:,} draws",
            self.table.round(2).to_string(na_rep=""),
            self.verdict,
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"<bayesml {self.kind} by {self.by}: elpd {self.elpd:.1f}, SE {self.se:.1f}>"

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return (
            f"<div><p><strong>{escape(_TITLES[self.kind])}</strong>: {escape(self.formula)}</p>"
            f"{self.table.round(2).to_html(na_rep='')}<p>{escape(self.verdict)}</p>"
            f"<ul>{notes}</ul></div>"
        )


def _standard_error(values: pd.Series) -> float:
    return float(np.sqrt(len(values)) * values.std(ddof=1)) if len(values) > 1 else float("nan")


def left_out_table(found: LeftOut, index: pd.Index) -> pd.DataFrame:
    """Return predictive densities as the columns `elpd`, `cpo`, `lpd`, `mcse`, `pareto_k`."""
    return pd.DataFrame(
        {
            "elpd": found.elpd,
            "cpo": np.exp(found.elpd),
            "lpd": found.lpd,
            "mcse": found.mcse,
            "pareto_k": found.pareto_k,
        },
        index=index,
    )
