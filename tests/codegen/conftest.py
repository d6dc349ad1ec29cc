"""What tests of densities share."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def without_compiler() -> Iterator[None]:
    """Run every PyTensor function in Python."""
    import pytensor
    from pytensor.compile.mode import Mode

    mode = Mode(linker="py", optimizer=None)
    with pytensor.config.change_flags(cxx="", mode=mode, traceback__limit=0):
        yield
