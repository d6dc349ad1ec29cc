"""How priors enter the generated source: as arrays of numbers in the data, not as text.

Locations and scales are data, so another table with other numbers has the same source and needs no
new compilation; shape arguments, and a location of 0 in a vector, stand in the source, where
readers look first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bayesml.specs.distributions import Argument, Prior

_SUFFIXES = {"mu": "location", "sigma": "scale"}


@dataclass(frozen=True)
class PriorStatement:
    """One PyMC statement for the priors of one or several elements of a variable.

    Parameters
    ----------
    stem : str
        Name of the variable, and beginning of the names of its data.
    priors : tuple of Prior
        One per element, all of one distribution.
    scalar : bool
        Whether the variable is a number rather than a vector.
    """

    stem: str
    priors: tuple[Prior, ...]
    scalar: bool

    @property
    def name(self) -> str:
        """Name of the distribution."""
        return self.priors[0].distribution

    @property
    def derived(self) -> bool:
        """Whether the variable is a function of the sampled one, which has another name."""
        return self.name == "MLwiN"

    def code(self, dims: str = "", name: str = "") -> str:
        """Return the PyMC expression; `dims` is the dim's name or empty."""
        record = self.priors[0].record
        texts = {
            argument.name: literal or f'd["{self._data_name(argument)}"]'
            for argument, literal, _ in self._arguments()
        }
        variable = name or (f"variance_{self.stem}" if self.derived else self.stem)
        text = record.text.replace("NAME", f'"{variable}"', 1)
        text = text.replace("DIMS", f', dims="{dims}"' if dims else "")
        return text.format(**texts)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the numbers that the expression reads from the data."""
        return {
            self._data_name(argument): values[0] if self.scalar else values
            for argument, literal, values in self._arguments()
            if not literal
        }

    def _data_name(self, argument: Argument) -> str:
        return f"{self.stem}_{_SUFFIXES.get(argument.name, argument.name)}"

    def _arguments(self) -> Iterator[tuple[Argument, str, np.ndarray]]:
        for position, argument in enumerate(self.priors[0].record.arguments):
            values = np.array([prior.values[position] for prior in self.priors])
            same = bool((values == values[0]).all())
            literal = ""
            if same and (
                argument.kind == "shape"
                or (argument.kind == "location" and not self.scalar and not values[0])
            ):
                literal = (
                    f"{values[0]:g}"
                    if float(f"{values[0]:g}") == values[0]
                    else repr(float(values[0]))
                )
            yield argument, literal, values


def prior_statements(
    stem: str, priors: Sequence[Prior], scalar: bool = False
) -> tuple[PriorStatement, ...]:
    """Return one statement where all elements have one distribution, else one per element.

    Parameters
    ----------
    stem : str
        Name of the variable.
    priors : sequence of Prior
        One per element.
    scalar : bool
        Whether the variable is a number.

    Examples
    --------
    >>> from bayesml.specs.distributions import Prior
    >>> prior_statements("sigma", [Prior("HalfNormal", (2.0,))], scalar=True)[0].code()
    'pm.HalfNormal("sigma", d["sigma_scale"])'
    """
    kinds = {prior.distribution for prior in priors}
    if len(kinds) == 1:
        return (PriorStatement(stem, tuple(priors), scalar),)
    return tuple(
        PriorStatement(f"component_{stem}_{number}", (prior,), scalar=True)
        for number, prior in enumerate(priors, start=1)
    )
