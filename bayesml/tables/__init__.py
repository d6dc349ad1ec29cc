"""The table, no model: read a file, check columns, describe the structure."""

from bayesml.tables.checks import require_columns, require_table
from bayesml.tables.describing import describe
from bayesml.tables.level_parts import within_between
from bayesml.tables.reading import read_table
from bayesml.tables.relations import Relation, nesting
from bayesml.tables.structure import GroupingSummary, Structure

__all__ = [
    "GroupingSummary",
    "Relation",
    "Structure",
    "describe",
    "nesting",
    "read_table",
    "require_columns",
    "require_table",
    "within_between",
]
