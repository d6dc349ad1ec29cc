"""Simulation-based calibration: does the posterior hold the truth as often as it says?"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out_rows import joint_log_likelihood
from bayesml.posterior.labelled_draws import labelled_draws
from bayesml.posterior.likelihood_rows import blocks_of, known_predictor, row_likelihood
from bayesml.quantities.convergence import convergence_of
from bayesml.quantities.rank_uniformity import rank_band, uniformity_p_value
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

if TYPE_CHECKING:
    import xarray as xr

LOGLIK = "log-likelihood"
# Draws worth this many times as many independent ones are thinned: neighbours then hardly agree.
_SPARE = 2.0
# Draws sampled for each one kept: they cost less than starting the sampler does.
_MANY = 10
_TUNE = 300
# A fit whose draws are worth too few is run again, twice as long each time.
_LONGER = 4


@dataclass(frozen=True)
class Calibration:
    """Ranks of the truth among posterior draws, over simulated tables.

    Parameters
    ----------
    formula : str
        The model in lme4 notation.
    ranks : DataFrame
        One row per table, one column per parameter: how many draws lie below the truth.
    draws : int
        Number of nearly independent draws that each truth was ranked among.
    probability : float
        The chance that all parameters pass where the posterior is right.
    refitted : int
        Number of tables that needed more draws than at first.
    short : tuple of int
        Tables whose draws stayed worth too few independent ones; their ranks are less sharp.
    diverging : float
        Share of divergent draws, NaN where the engine has none.
    engine_reason : str
        How the last table was drawn.

    Notes
    -----
    Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv:1804.06788.
    """

    formula: str
    ranks: pd.DataFrame
    draws: int
    probability: float
    refitted: int
    short: tuple[int, ...]
    diverging: float
    engine_reason: str

    @property
    def p_values(self) -> pd.Series:
        """By parameter: how often a right posterior gives ranks as uneven as these."""
        values = [uniformity_p_value(ranks, self.draws) for ranks in self.ranks.to_numpy().T]
        return pd.Series(values, index=self.ranks.columns)

    @property
    def smallest_p(self) -> float:
        """The smallest of the p-values, times their number (Bonferroni)."""
        return min(1.0, float(self.p_values.min()) * self.ranks.shape[1])

    @property
    def ok(self) -> bool:
        """Whether the ECDF of every parameter stays inside `band`."""
        return self.smallest_p > 1 - self.probability

    @property
    def band(self) -> pd.DataFrame:
        """Share of ranks below each position: `expected`, `lower`, `upper`.

        The ECDFs of all parameters stay between `lower` and `upper` with at least `probability`.
        """
        each = 1 - (1 - self.probability) / self.ranks.shape[1]
        lower, upper = rank_band(len(self.ranks), self.draws, each)
        position = np.arange(1, self.draws + 1)
        return pd.DataFrame(
            {
                "expected": position / (self.draws + 1),
                "lower": lower / len(self.ranks),
                "upper": upper / len(self.ranks),
            },
            index=pd.Index(position, name="rank"),
        )

    def __str__(self) -> str:
        worst = self.p_values.idxmin()
        verdict = (
            "the ranks of all are uniform as far as this shows"
            if self.ok
            else f"the ranks of {worst} are not uniform: its posterior is wrong, or its draws are"
        )
        lines = [
            self.formula,
            f"{len(self.ranks)} tables, {self.draws} draws each, {self.ranks.shape[1]} parameters; "
            f"smallest p, corrected for their number: {self.smallest_p:.2g} ({worst})",
            verdict,
        ]
        if self.short:
            lines.append(
                f"note: {len(self.short)} tables had draws worth less than {self.draws} "
                "independent ones; give more draws"
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<bayesml Calibration: {self.formula}, {len(self.ranks)} tables>"


def calibration(
    model: Model,
    *,
    tables: int = 200,
    draws: int = 99,
    seed: int = 1,
    simulated: "xr.DataTree | None" = None,
    chains: int = 2,
    cores: int | None = None,
    engine: str = "auto",
    probability: float = 0.95,
) -> Calibration:
    """Check that posteriors of simulated tables hold the truth as often as they say.

    Parameters are drawn from the prior and an outcome from the model, table by table; the model,
    with its priors, predictors and units as they are, is fitted to each. The rank of a true
    parameter among nearly independent posterior draws is then uniform if the priors, the
    likelihood and the sampler are those of the model. Ranked are all parameters but the random
    effects, the effects of the first unit of every grouping, and the log-likelihood of the rows,
    which shows an engine that does not use the data.

    Parameters
    ----------
    model : Model
        Its priors keep their numbers, whatever the simulated outcomes are.
    tables : int
        Number of simulated tables.
    draws : int
        Number of posterior draws that a truth is ranked among. At least ten times as many are
        sampled, until they are worth twice as many independent ones, and thinned.
    seed : int
        Seed of the truths, the outcomes and the fits.
    simulated : DataTree or None
        Truths and outcomes as `Model.prior_predictive` returns them, for a simulation of one's
        own; None draws them from the model.
    chains, cores, engine
        As in `Model.fit`.
    probability : float
        The chance that all parameters pass where the posterior is right.

    Returns
    -------
    Calibration

    Raises
    ------
    FitError
        An argument is out of range, or `simulated` has not the variables of the model.

    Notes
    -----
    Talts et al. (2018), arXiv:1804.06788; bands of Säilynoja, Bürkner & Vehtari (2022),
    doi:10.1007/s11222-022-10090-6; the log-likelihood as a test quantity from Modrák et al.
    (2025), doi:10.1214/23-BA1404.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(exam, "normexam ~ standLRT", group="school")
    >>> print(bml.calibration(model, tables=50))  # doctest: +SKIP
    """
    for name, value, least in (("tables", tables, 2), ("draws", draws, 1), ("chains", chains, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise FitError(f"{name} is {quoted(value)}. Give a whole number from {least} up.")
    if not 0 < probability < 1:
        raise FitError(f"probability is {probability}. Give a number between 0 and 1, like 0.95.")
    if model.resolved.bounds:
        raise FitError(
            f"The outcome {quoted(model.facts.response)} is censored ({model.facts.censored}), and "
            "simulated durations are whole ones. Give a model of the durations alone, such as "
            f"{quoted(model.facts.response + ' ~ ' + model.spec.fixed)} with the same groupings."
        )
    if simulated is None:
        simulated = model.prior_predictive(draws=tables, seed=seed)
    _check_simulated(model, simulated, tables)
    prior = simulated["prior"].to_dataset()
    outcomes = simulated["prior_predictive"].to_dataset()[model.resolved.response]
    rows: list[np.ndarray] = []
    names: tuple[str, ...] = ()
    short: list[int] = []
    refitted, diverging, reason = 0, [], ""
    for table in range(tables):
        truth = prior.isel(chain=[0], draw=[table])
        one = _with_outcome(model, outcomes.values[0, table])
        asked = -(-_MANY * draws // chains)
        for attempt in range(_LONGER + 1):
            fit = one.fit(
                draws=asked,
                tune=_TUNE * 2**attempt,
                chains=chains,
                seed=seed + 1 + table * (_LONGER + 1) + attempt,
                cores=cores,
                engine=engine,
                progress=False,
            )
            names, values = _ranked_quantities(fit)
            effective = _fewest_effective(values)
            if effective >= _SPARE * draws:
                break
            asked *= 2
        refitted += attempt > 0
        if effective < draws:
            short.append(table)
        if "diverging" in fit.sample_stats:
            diverging.append(float(fit.sample_stats["diverging"].mean()))
        reason = fit.engine_reason
        flat = values.reshape(-1, values.shape[2])
        kept = flat[((np.arange(draws) + 0.5) * len(flat) / draws).astype(int)]
        rows.append((kept < _ranked_quantities(_as_draw(fit, truth))[1][0, 0]).sum(axis=0))
    return Calibration(
        formula=model.facts.formula,
        ranks=pd.DataFrame(
            np.array(rows), columns=list(names), index=pd.RangeIndex(tables, name="table")
        ),
        draws=draws,
        probability=probability,
        refitted=refitted,
        short=tuple(short),
        diverging=float(np.mean(diverging)) if diverging else np.nan,
        engine_reason=reason,
    )


def _check_simulated(model: Model, simulated: "xr.DataTree", tables: int) -> None:
    names = {"prior": list(model.resolved.posterior_names)}
    names["prior_predictive"] = [model.resolved.response]
    for group, wanted in names.items():
        held = set(simulated[group].data_vars) if group in simulated.children else set()
        missing = [name for name in wanted if name not in held]
        if missing:
            raise FitError(
                f"simulated has no {', '.join(map(quoted, missing))} in its group {quoted(group)}. "
                "Give a DataTree like that of model.prior_predictive()."
            )
        for name in wanted:
            sizes = simulated[group][name].sizes
            if sizes.get("draw", 0) < tables:
                raise FitError(
                    f"simulated holds {sizes.get('draw', 0)} draws of {quoted(name)}, and tables "
                    f"is {tables}. Simulate as many."
                )


def _with_outcome(model: Model, outcome: np.ndarray) -> Model:
    """Return a model of other outcomes, with the same priors and parametrisation."""
    response = replace(model.design.response, values=np.array(outcome))
    return Model(model.spec, model.resolved, replace(model.design, response=response))


def _as_draw(fit: Fit, truth: "xr.Dataset") -> Fit:
    """Return a fit whose only draw is the truth."""
    tree = fit.data.copy()
    tree["posterior"] = type(tree)(dataset=truth)
    return Fit(tree)


def _ranked_quantities(fit: Fit) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and draws, shape (chains, draws, quantities)."""
    parameters = labelled_draws(fit)
    names, values = [*parameters.labels], [parameters.values]
    for grouping in fit.facts.groupings:
        effects = labelled_draws(fit, f"u_{grouping.identifier}")
        first = len(grouping.terms)
        names += effects.labels[:first]
        values.append(effects.values[:, :, :first])
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    total = np.zeros(draws.number)
    if rows.residual is not None:
        total = joint_log_likelihood(rows, draws)
    for block in [] if rows.residual is not None else blocks_of(len(rows.outcome), draws.number):
        chosen = np.arange(block.start, block.stop)
        known = {
            grouping.identifier: np.ones((len(chosen), grouping.unit.shape[1]), dtype=bool)
            for grouping in rows.groupings
        }
        eta = known_predictor(rows, draws, chosen, known)
        total += row_likelihood(rows, draws, chosen, known)(eta).sum(axis=0)
    values.append(total.reshape(*parameters.values.shape[:2], 1))
    return (*names, LOGLIK), np.concatenate(values, axis=2)


def _fewest_effective(values: np.ndarray) -> float:
    """Return the smallest effective number of draws of any quantity that moves."""
    sizes = convergence_of(values)
    return float(np.nanmin(np.minimum(sizes.ess_bulk, sizes.ess_tail)))
