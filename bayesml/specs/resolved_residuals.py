"""How residuals are correlated, with everything that the generated source depends on."""

from dataclasses import dataclass

from bayesml.specs.distributions import Prior
from bayesml.specs.residual_correlations import RESIDUAL_CORRELATIONS, ResidualCorrelation
from bayesml.specs.residual_structures import Residual


@dataclass(frozen=True)
class ResolvedResidual:
    """The structure of the residuals with everything that the generated source depends on.

    Parameters
    ----------
    residual : Residual
        What the user asked for.
    prior : Prior
        Prior of the correlation, or of the correlation matrix.
    sigma_priors : tuple of Prior
        Prior of the SD at each occasion, where each has its own.
    occasions : tuple of str
        Labels of the occasions, where each has its own SD.
    median_gap : float
        Median distance between neighbouring rows, where the prior holds at that distance.
    dim : str
        Name of their dim: occasions, or the outcomes of a row, or the members of a unit.
    """

    residual: Residual
    prior: Prior
    sigma_priors: tuple[Prior, ...] = ()
    occasions: tuple[str, ...] = ()
    median_gap: float = 1.0
    dim: str = "occasion"

    @property
    def record(self) -> ResidualCorrelation:
        """The structure's record."""
        return RESIDUAL_CORRELATIONS[self.residual.structure]
