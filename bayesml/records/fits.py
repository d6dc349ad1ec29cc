"""A fit: draws with labels, and everything needed to report on them later, in one file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesml.errors import FitError, quoted
from bayesml.records.facts import ModelFacts
from bayesml.records.missing_attributes import missing_attribute
from bayesml.specs.model_files import spec_from_toml
from bayesml.specs.modelspec import ModelSpec

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

FORMAT = 1
ROW_GROUPS = ("observed_data", "constant_data")


@dataclass(frozen=True, eq=False)
class Fit:
    """Draws of the posterior with the model that they belong to.

    Parameters
    ----------
    data : DataTree
        Groups `posterior` and `sample_stats` (dims chain, draw, ...), `observed_data` and
        `constant_data` (dim ``obs``); the specification, the source and the circumstances of the
        run are attributes of its root.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(exam, "normexam ~ 1", group="school")
    >>> fit = model.fit(draws=50, tune=50, chains=2, seed=1)  # doctest: +SKIP
    >>> fit.posterior["sd_school"].dims  # doctest: +SKIP
    ('chain', 'draw', 'school_term')
    """

    data: "xr.DataTree"

    @property
    def posterior(self) -> "xr.Dataset":
        """The draws, dims chain and draw first."""
        return self.data["posterior"].to_dataset()

    @property
    def coefficient_draws(self) -> "np.ndarray":
        """Draws of the coefficients, shape (chains, draws, coefficients), as `facts` lists them.

        Those of several outcomes stand one after the other.
        """
        import numpy as np

        posterior = self.posterior
        sizes = (posterior.sizes["chain"], posterior.sizes["draw"])
        if "beta" not in posterior:
            return np.empty((*sizes, 0))
        values = posterior["beta"].transpose("chain", "draw", ..., "coef").values
        return np.asarray(values, dtype=float).reshape(*sizes, -1)

    @property
    def sample_stats(self) -> "xr.Dataset":
        """The sampler's statistics, dims chain and draw."""
        return self.data["sample_stats"].to_dataset()

    @cached_property
    def facts(self) -> ModelFacts:
        """What the fit knows of its model and table."""
        return ModelFacts.from_json(self.data.attrs["facts"])

    @cached_property
    def spec(self) -> ModelSpec:
        """The specification."""
        return spec_from_toml(self.data.attrs["spec"], where="the results file")

    @property
    def source(self) -> str:
        """The PyMC source that was sampled, for reading; it is never executed from here."""
        return self.data.attrs["source"]

    @property
    def engine(self) -> str:
        """Name of the engine that drew."""
        return self.data.attrs["engine"]

    @property
    def engine_reason(self) -> str:
        """Why this engine."""
        return self.data.attrs["engine_reason"]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.data.attrs["seed"])

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the packages that took part."""
        return json.loads(self.data.attrs["versions"])

    @property
    def chains_asked(self) -> int:
        """Number of chains that were asked for."""
        return int(self.data.attrs["chains_asked"])

    @property
    def draws_asked(self) -> int:
        """Number of draws per chain that were asked for."""
        return int(self.data.attrs["draws_asked"])

    @property
    def draws_made(self) -> int:
        """Number of draws over all chains that the fit holds."""
        sizes = self.posterior.sizes
        return int(sizes["chain"] * sizes["draw"])

    @property
    def complete(self) -> bool:
        """Whether the fit holds every draw that was asked for."""
        return self.draws_made == self.chains_asked * self.draws_asked

    def save(self, path: str | Path, *, data: bool = True) -> Path:
        """Write the fit to one netCDF file, without pickles.

        Parameters
        ----------
        path : str or Path
            File to write; an existing file is replaced once the new one is whole.
        data : bool
            Whether the rows (outcome, predictors, labels of units by row) go into the file.

        Returns
        -------
        Path

        Raises
        ------
        FitError
            The file cannot be written.
        """
        path = Path(path)
        tree = self.data
        if not data:
            tree = tree.copy()
            for group in ROW_GROUPS:
                if group in tree.children:
                    del tree[group]
        partial = path.with_name(f".{path.name}.partial")
        try:
            tree.to_netcdf(partial, engine="h5netcdf")
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise FitError(
                f"The results file {quoted(str(path))} cannot be written: {error.strerror or error}"
                ". Choose another folder."
            ) from None
        return path

    if not TYPE_CHECKING:  # a type checker goes on finding what is missing

        def __getattr__(self, name: str) -> Any:
            advice = "It holds no table: pass the model that was fitted where a model is asked for."
            return missing_attribute(self, name, advice)

    def __str__(self) -> str:
        facts = self.facts
        sizes = self.posterior.sizes
        asked = (
            ""
            if self.complete
            else (f" of {self.chains_asked} x {self.draws_asked} asked for: INCOMPLETE")
        )
        lines = [
            f"{facts.formula}",
            f"family {facts.family}, link {facts.link}; {facts.rows} rows",
            f"{sizes['chain']} chains x {sizes['draw']} draws{asked}; engine {self.engine}, "
            f"seed {self.seed}",
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in facts.notes)])

    def __repr__(self) -> str:
        return f"<bayesml Fit: {self.facts.formula}, {self.draws_made} draws>"


def load(path: str | Path) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Parameters
    ----------
    path : str or Path
        The results file.

    Returns
    -------
    Fit

    Raises
    ------
    FitError
        The file does not exist, is cut short, or is not a results file of bayesml.

    Examples
    --------
    >>> import bayesml as bml
    >>> fit = bml.load("exam.nc")  # doctest: +SKIP
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise FitError(
            f"There is no results file {quoted(str(path))}. Check the path; fits are written by "
            "fit.save(path) or bayesml fit."
        )
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise FitError(
            f"{quoted(str(path))} cannot be read as a results file: it is cut short or of another "
            f"format ({str(error).splitlines()[0] if str(error) else type(error).__name__}). "
            "Fit the model again, or use a whole copy."
        ) from None
    return _checked(tree, path)


def _checked(tree: "xr.DataTree", path: Path) -> Fit:
    attrs: Mapping[Any, Any] = tree.attrs
    wanted = ("bayesml_format", "facts", "spec", "source", "engine", "seed", "versions")
    missing = [name for name in wanted if name not in attrs]
    groups = [name for name in ("posterior", "sample_stats") if name not in tree.children]
    if missing or groups:
        raise FitError(
            f"{quoted(str(path))} is a netCDF file, but not a results file of bayesml: it lacks "
            f"{', '.join([*missing, *groups])}. Give a file that fit.save wrote."
        )
    if int(attrs["bayesml_format"]) > FORMAT:
        raise FitError(
            f"{quoted(str(path))} has format {attrs['bayesml_format']}, and this version reads up "
            f"to {FORMAT}. Update bayesml."
        )
    return Fit(tree)
