"""Coefficients and random effects, drawn exactly given the parameters of a marginal density."""

import dataclasses

import numpy as np

from bayesml.engines.chains import ChainDraws, effect_generator
from bayesml.engines.effect_kernels import draw_effects
from bayesml.engines.marginal_models import MarginalModel, posterior_arrays

# Numbers held at once beside the draws themselves: 32 MB.
_BLOCK = 4_000_000


def with_effects(model: MarginalModel, chain: ChainDraws, seed: int) -> ChainDraws:
    """Return a chain with the variables of the conditional model in place of ``theta``.

    Parameters
    ----------
    model : MarginalModel
    chain : ChainDraws
        Its posterior holds ``theta``, shape (draws, dimensions).
    seed : int
        The seed of the fit; the random numbers depend on it and on the chain's number.
    """
    thetas = np.ascontiguousarray(chain.posterior["theta"])
    random = effect_generator(seed, chain.chain)
    keeper = DrawKeeper(model, len(thetas))
    width = keeper.normals_per_draw
    step = max(1, _BLOCK // max(width, 1))
    for start in range(0, len(thetas), step):
        part = thetas[start : start + step]
        coefficients = np.empty((len(part), keeper.coefficients))
        effects = np.empty((len(part), keeper.columns))
        draw_effects(
            model.elimination.plan,
            model.density,
            part,
            random.standard_normal((len(part), width)),
            coefficients,
            effects,
        )
        keeper.keep(start, coefficients, effects)
    return dataclasses.replace(chain, posterior=keeper.posterior(thetas))


class DrawKeeper:
    """Put draws of coefficients and random effects where the posterior has them."""

    def __init__(self, model: MarginalModel, draws: int) -> None:
        self._model = model
        self.coefficients = len(model.integrated) + len(model.sampled)
        self.columns = int(model.elimination.plan.unit_column[-1])
        self.normals_per_draw = len(model.integrated) + self.columns
        self._internal = np.empty((draws, self.coefficients))
        self._effects = [
            np.empty((draws, item.units, item.size)) for item in model.linear.groupings
        ]

    def keep(self, start: int, coefficients: np.ndarray, effects: np.ndarray) -> None:
        """Store a block of draws that begins at draw `start`."""
        rows = slice(start, start + len(coefficients))
        order = np.concatenate([self._model.integrated, self._model.sampled])
        self._internal[rows, order] = coefficients
        for g, kept in enumerate(self._effects):
            columns = self._model.elimination.columns_of(g)
            kept[rows] = effects[:, columns].reshape(len(effects), *kept.shape[1:])

    def posterior(self, thetas: np.ndarray) -> dict[str, np.ndarray]:
        """Return the draws by the names of the posterior."""
        found = posterior_arrays(self._model, thetas)
        beta = self._model.standardised.coefficients(self._internal)
        outcomes = self._model.resolved.outcomes
        found["beta"] = beta.reshape(len(beta), len(outcomes), -1) if outcomes else beta
        for grouping, effects in zip(self._model.resolved.groupings, self._effects, strict=True):
            found[f"u_{grouping.identifier}"] = effects
        return {name: found[name] for name in self._model.resolved.posterior_names}
