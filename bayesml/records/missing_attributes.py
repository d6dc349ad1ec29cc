"""What is said where a record is asked for what another one holds."""

from typing import Any

from bayesml.errors import quoted


def missing_attribute(owner: object, name: str, advice: str) -> Any:
    """Raise the error of an attribute that a record has not got.

    Python asks this, too, where an attribute that there is raised `AttributeError` itself: that
    error is raised again, and not hidden behind this one.

    Parameters
    ----------
    owner : object
    name : str
    advice : str
        What to pass in its place.

    Raises
    ------
    AttributeError
    """
    if hasattr(type(owner), name):
        return object.__getattribute__(owner, name)
    kind = type(owner).__name__
    raise AttributeError(f"A {kind} has no {quoted(name)}. {advice}", name=name, obj=owner)
