"""A model: a specification on a table, its generated source, and the way to a fit."""

import linecache
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesml.codegen.equations import equation
from bayesml.codegen.rendering import render
from bayesml.design.arrays import model_coords, model_data
from bayesml.design.building import build_design
from bayesml.design.designs import Design
from bayesml.design.resolving import resolve
from bayesml.records.fact_finding import model_facts
from bayesml.records.facts import ModelFacts
from bayesml.records.missing_attributes import missing_attribute
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.resolved import ResolvedSpec
from bayesml.tables.checks import require_table

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from bayesml.records.fits import Fit


@dataclass(frozen=True, eq=False)
class Model:
    """A specification on a table. Builders such as `two_level` make it; nothing is compiled yet.

    Parameters
    ----------
    spec : ModelSpec
        What the model is.
    resolved : ResolvedSpec
        The same with every prior, parametrisation and name explicit.
    design : Design
        The arrays.
    builder_notes : tuple of str
        What the builder wants the reader to know.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(exam, "normexam ~ standLRT", group="school")
    >>> "pm.Normal" in model.source
    True
    """

    spec: ModelSpec
    resolved: ResolvedSpec
    design: Design
    builder_notes: tuple[str, ...] = ()

    @cached_property
    def source(self) -> str:
        """The model as PyMC source text: what `to_pymc` executes, to the letter."""
        return render(self.resolved)

    @cached_property
    def data(self) -> dict[str, np.ndarray]:
        """The arrays that the source's `build(data, coords)` takes."""
        return model_data(self.resolved, self.design)

    @cached_property
    def coords(self) -> dict[str, list[Any]]:
        """The labels that the source's `build(data, coords)` takes."""
        return dict(model_coords(self.resolved, self.design))

    @cached_property
    def facts(self) -> ModelFacts:
        """What a fit of this model knows without the table."""
        return model_facts(self.resolved, self.design, self.notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader must know: rows left out, labels, few units."""
        return (*self.builder_notes, *self.design.notes)

    @cached_property
    def equation(self) -> str:
        r"""The model as a LaTeX equation, in an `aligned` environment without `$`."""
        return equation(self.resolved)

    @cached_property
    def priors(self) -> pd.DataFrame:
        """Every prior with its numbers, and the prior interval of the VPC that they imply.

        Columns `parameter`, `prior`, `origin`, and the 89 % prior interval `lower`, `median`,
        `upper` of the parameter (SDs and coefficients on the link scale); rows ``vpc <grouping>``
        (``median rate ratio <grouping>`` of counts, ``median odds ratio <grouping>`` of adjacent
        categories and continuation ratios) follow.
        """
        from bayesml.records.prior_tables import prior_table

        return prior_table(self)

    def to_pymc(self) -> "pm.Model":
        """Return the PyMC model, made by executing `source`.

        Returns
        -------
        pymc.Model
            Nothing is compiled yet. Tracebacks show the lines of `source`.
        """
        filename = f"<bayesml {sha256(self.source.encode()).hexdigest()[:12]}>"
        linecache.cache[filename] = (
            len(self.source),
            None,
            self.source.splitlines(keepends=True),
            filename,
        )
        namespace: dict[str, Any] = {"__name__": "bayesml_generated"}
        exec(compile(self.source, filename, "exec"), namespace)
        return namespace["build"](self.data, self.coords)

    def prior_predictive(self, draws: int = 500, seed: int | None = None) -> "xr.DataTree":
        """Draw parameters from the priors and outcomes from the model, without compiling.

        Parameters
        ----------
        draws : int
            Number of draws.
        seed : int or None
            Seed; None draws one.

        Returns
        -------
        DataTree
            Groups `prior` (dims chain, draw, ...) and `prior_predictive` (the outcome, dim
            ``obs``) with the names and dims of the posterior; attribute `seed`.
        """
        from bayesml.records.prior_draws import prior_predictive

        return prior_predictive(self, draws=draws, seed=seed)

    def fit(
        self,
        *,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        seed: int | None = None,
        cores: int | None = None,
        engine: str = "auto",
        target_accept: float | None = None,
        progress: bool | None = None,
        parts: str | Path | None = None,
        resume: bool = False,
    ) -> "Fit":
        """Sample the posterior.

        Parameters
        ----------
        draws, tune, chains : int
            Draws kept per chain, tuning draws per chain (not kept), number of chains.
        seed : int or None
            Seed; None draws one and records it. Each chain's seed follows from it and the chain's
            number.
        cores : int or None
            Chains at the same time; None uses every core.
        engine : {"auto", "marginal", "pymc"}
            "pymc" samples the conditional model with NUTS. "marginal" integrates the random effects
            of a Gaussian model out, samples what remains, and draws the effects exactly: the same
            posterior much sooner. "auto" takes "marginal" where it can.
        target_accept : float or None
            Mean acceptance that NUTS aims at; None is 0.9, or 0.97 where the conditional model has
            several centred terms of few units, since a long step may diverge there.
        progress : bool or None
            Show progress; None shows it in terminals and notebooks.
        parts : str, Path or None
            Folder that keeps each chain as soon as it is finished.
        resume : bool
            Use the chains that `parts` holds already and run the missing ones.

        Returns
        -------
        Fit

        Raises
        ------
        SamplingError
            No chain could start or none has a draw.
        FitError
            An argument is out of range, the marginal engine was asked for and cannot take the
            model, or `parts` holds chains of another run.
        """
        from bayesml.records.fitting import fit_model

        return fit_model(
            self,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
            cores=cores,
            engine=engine,
            target_accept=target_accept,
            progress=progress,
            parts=parts,
            resume=resume,
        )

    if not TYPE_CHECKING:  # a type checker goes on finding what is missing

        def __getattr__(self, name: str) -> Any:
            advice = "It holds no draws: pass what model.fit() returns where a fit is asked for."
            return missing_attribute(self, name, advice)

    def __str__(self) -> str:
        facts = self.facts
        lines = [
            f"{facts.formula}",
            f"family {facts.family}, link {facts.link}; {facts.rows} rows",
        ]
        lines += [
            f"grouping {item.name}: {item.units} units; {', '.join(item.terms)}; {item.reason}"
            for item in facts.groupings
        ]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<bayesml Model: {self.spec.text}, {self.spec.family}>"


def make_model(spec: ModelSpec, table: object, notes: tuple[str, ...] = ()) -> Model:
    """Return the model of a specification on a table, every input checked.

    Parameters
    ----------
    spec : ModelSpec
    table : DataFrame, or anything with columns that `require_table` takes
    notes : tuple of str
        What the builder wants the reader to know.

    Returns
    -------
    Model

    Raises
    ------
    TableError, SpecError
        The table does not fit the specification.
    """
    design = build_design(spec, require_table(table))
    return Model(spec, resolve(spec, design), design, notes)
