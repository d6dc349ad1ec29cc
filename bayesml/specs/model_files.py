"""Model files: a specification as TOML text, and back."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayesml.errors import TomlError, did_you_mean, quoted
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.residual_structures import Residual

FORMAT = 1

_STRING = (str,)
_LABEL = (str, int, float)
_SPEC_KEYS: dict[str, tuple[type, ...]] = {
    "format": (int,),
    "structure": _STRING,
    "formula": _STRING,
    "family": (str, dict),
    "link": (str, dict),
    "trials": (str, int),
    "exposure": _STRING,
    "offset": _STRING,
    "categories": (list, dict),
    "success": _STRING,
    "groupings": (list,),
    "priors": (dict,),
    "baseline": (dict,),
    "residual": (dict,),
    "member": _STRING,
    "residual_correlation": (bool,),
    "distributional": (dict,),
}
_GROUPING_KEYS: dict[str, tuple[type, ...]] = {
    "name": _STRING,
    "columns": (list,),
    "terms": (list,),
    "correlated": (bool,),
    "members": (list,),
    "weights": (list, str),
    "absent": _LABEL,
    "normalise": (bool,),
    "parametrisation": _STRING,
    "by": _STRING,
    "effects": _STRING,
}
_RESIDUAL_KEYS: dict[str, tuple[type, ...]] = {
    "structure": _STRING,
    "unit": (str, list),
    "time": _STRING,
}
# Keys that are tables of texts.
_TABLES = ("priors", "baseline", "distributional", "families", "links")
# The same said of every outcome: a text, or a table of texts.
_BY_OUTCOME = {"family": "families", "link": "links"}
_HEADS = {field: key for key, field in _BY_OUTCOME.items()}
_TYPE_WORDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def spec_to_toml(spec: ModelSpec) -> str:
    """Return a specification as TOML text.

    Parameters
    ----------
    spec : ModelSpec

    Returns
    -------
    str
        Text that `spec_from_toml` reads back to an equal specification.

    Examples
    --------
    >>> from bayesml.specs.modelspec import ModelSpec
    >>> spec_from_toml(spec_to_toml(ModelSpec("y ~ x"))) == ModelSpec("y ~ x")
    True
    """
    lines = [
        f"format = {FORMAT}",
        f"structure = {_value(spec.structure)}",
        f"formula = {_value(spec.formula)}",
    ]
    if not spec.families:
        lines += [f"family = {_value(spec.family)}", f"link = {_value(spec.link)}"]
    lines += [
        f"{key} = {_value(getattr(spec, key))}"
        for key in ("trials", "exposure", "offset", "success", "member")
        if getattr(spec, key) is not None
    ]
    if not spec.residual_correlation:
        lines.append("residual_correlation = false")
    if spec.categories:
        lines.append(f"categories = {_value(list(spec.categories))}")
    if spec.categories_by_outcome:
        lines += ["", "[categories]"]
        lines += [f"{_key(name)} = {_value(list(own))}" for name, own in spec.categories_by_outcome]
    for grouping in spec.groupings:
        lines += ["", "[[groupings]]", *_grouping_lines(grouping)]
    if spec.residual is not None:
        lines += ["", "[residual]", *_residual_lines(spec.residual)]
    for key in _TABLES:
        pairs = getattr(spec, key)
        if pairs:
            lines += [
                "",
                f"[{_HEADS.get(key, key)}]",
                *(f"{_key(name)} = {_value(text)}" for name, text in pairs),
            ]
    return "\n".join(lines) + "\n"


def _grouping_lines(grouping: Grouping) -> list[str]:
    lines = [f"name = {_value(grouping.name)}"]
    if grouping.multiple:
        lines.append(f"members = {_value(list(grouping.members))}")
        lines.append(f"weights = {_value(list(grouping.weight_columns) or grouping.weights)}")
        if grouping.absent is not None:
            lines.append(f"absent = {_value(grouping.absent)}")
        lines.append(f"normalise = {_value(grouping.normalise)}")
    else:
        lines.append(f"columns = {_value(list(grouping.columns))}")
    lines.append(f"terms = {_value(list(grouping.terms))}")
    lines.append(f"correlated = {_value(grouping.correlated)}")
    if grouping.parametrisation != "auto":
        lines.append(f"parametrisation = {_value(grouping.parametrisation)}")
    if grouping.by is not None:
        lines.append(f"by = {_value(grouping.by)}")
    if grouping.effects != "normal":
        lines.append(f"effects = {_value(grouping.effects)}")
    return lines


def _residual_lines(residual: Residual) -> list[str]:
    lines = [
        f"structure = {_value(residual.structure)}",
        f"unit = {_value(list(residual.unit))}",
    ]
    if residual.time is not None:
        lines.append(f"time = {_value(residual.time)}")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, int | float):
        return repr(value)
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return _value(name)


def spec_from_toml(text: str, where: str = "the TOML text") -> ModelSpec:
    """Return the specification that a TOML text describes.

    Parameters
    ----------
    text : str
        TOML with ``format = 1``.
    where : str
        Name of the file, for messages.

    Raises
    ------
    TomlError
        The text is not TOML, has an unknown key, a wrong type, or a missing entry.
    SpecError
        The entries contradict each other.

    Examples
    --------
    >>> spec_from_toml('format = 1\\nformula = "y ~ x"').family
    'gaussian'
    """
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(f"{where} is not valid TOML: {error}. Correct that place.") from None
    _check_entries(entries, _SPEC_KEYS, where)
    if entries.get("format") != FORMAT:
        raise TomlError(
            f"{where} has format = {entries.get('format', 'nothing')}. This version reads "
            f"format = {FORMAT}; put that on the first line."
        )
    if "formula" not in entries:
        raise TomlError(f'{where} has no formula. Add a line such as formula = "y ~ x".')
    values = {key: value for key, value in entries.items() if key != "format"}
    if "groupings" in values:
        values["groupings"] = tuple(
            _grouping(entry, f"{where}, groupings entry {number}")
            for number, entry in enumerate(values["groupings"], start=1)
        )
    if isinstance(values.get("categories"), dict):
        values["categories_by_outcome"] = _categories(values.pop("categories"), where)
    elif "categories" in values:
        values["categories"] = _items(values["categories"], _LABEL, f"{where}, key 'categories'")
    if "residual" in values:
        values["residual"] = _residual(values["residual"], f"{where}, [residual]")
    for key, field in _BY_OUTCOME.items():
        if isinstance(values.get(key), dict):
            values[field] = values.pop(key)
    for key in _TABLES:
        if key in values:
            for name, item in values[key].items():
                if not isinstance(item, str):
                    raise TomlError(
                        f"{where}, [{_HEADS.get(key, key)}]: {quoted(name)} is {_word(item)}, not "
                        "a text. Put it between quotation marks."
                    )
            values[key] = tuple(sorted(values[key].items()))
    if "families" in values and "link" in values:
        # One link is that of every outcome.
        values["links"] = tuple((name, values["link"]) for name, _ in values["families"])
    return ModelSpec(**values)


def read_spec(path: str | Path) -> ModelSpec:
    """Return the specification in a TOML file.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    TomlError
        The file does not exist, is not text, or is not a model file.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TomlError(
            f"The model file {quoted(str(path))} cannot be read: {error.strerror}. "
            "Check the path, or write one with: bayesml new two_level > m.toml"
        ) from None
    except UnicodeDecodeError:
        raise TomlError(f"{quoted(str(path))} is not UTF-8 text. Save it as UTF-8.") from None
    return spec_from_toml(text, where=str(path))


def _grouping(entry: Any, where: str) -> Grouping:
    if not isinstance(entry, dict):
        raise TomlError(f"{where} is {_word(entry)}, not a table. Write [[groupings]] above it.")
    _check_entries(entry, _GROUPING_KEYS, where)
    values = dict(entry)
    if "name" not in values:
        columns = values.get("columns") or values.get("members")
        if not columns:
            raise TomlError(f'{where} has neither columns nor members. Add columns = ["school"].')
        values["name"] = str(columns[-1] if "columns" in values else columns[0])
    for key in ("columns", "terms", "members", "weights"):
        if isinstance(values.get(key), list):
            values[key] = _items(values[key], _STRING, f"{where}, key {quoted(key)}")
    if isinstance(values.get("weights"), str) and values["weights"] not in ("equal", "whole"):
        raise TomlError(
            f"{where} has weights = {quoted(values['weights'])}. Allowed: a list of columns, "
            '"equal" or "whole".'
        )
    return Grouping(**values)


def _categories(entry: dict[str, Any], where: str) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Return the categories of each of several ordered outcomes."""
    for name, items in entry.items():
        if not isinstance(items, list):
            raise TomlError(
                f"{where}, [categories]: {quoted(name)} is {_word(items)}, not a list. Write the "
                'categories in brackets, lowest first: ["low", "high"].'
            )
    return tuple(
        (name, _items(items, _LABEL, f"{where}, [categories], {quoted(name)}"))
        for name, items in entry.items()
    )


def _residual(entry: dict[str, Any], where: str) -> Residual:
    _check_entries(entry, _RESIDUAL_KEYS, where)
    for key in ("structure", "unit"):
        if key not in entry:
            raise TomlError(
                f'{where} has no {key}. Write structure = "ar1", unit = ["person"] and, where it '
                'has one, time = "occasion".'
            )
    unit = entry["unit"]
    columns = [unit] if isinstance(unit, str) else unit
    return Residual(
        entry["structure"],
        _items(columns, _STRING, f"{where}, key 'unit'"),
        entry.get("time"),
    )


def _items(values: list[Any], allowed: tuple[type, ...], where: str) -> tuple[Any, ...]:
    for value in values:
        if not isinstance(value, allowed) or isinstance(value, bool):
            words = " or ".join(_TYPE_WORDS[kind] for kind in allowed)
            raise TomlError(f"{where} holds {_word(value)}. Every item is {words}.")
    return tuple(values)


def _check_entries(
    entries: Mapping[str, Any], known: Mapping[str, tuple[type, ...]], where: str
) -> None:
    for key, value in entries.items():
        if key not in known:
            raise TomlError(
                f"{where} has the unknown key {quoted(key)}. {did_you_mean(key, list(known))} "
                f"Keys: {', '.join(known)}."
            )
        expected = known[key]
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            words = " or ".join(_TYPE_WORDS[kind] for kind in expected)
            raise TomlError(f"{where}: {quoted(key)} is {_word(value)}. It must be {words}.")


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return f"{_value(value) if isinstance(value, str | int | float) else value}"
