"""Identifiers: legal, free, and no way from a name into code."""

import ast
import keyword
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bayesml.specs.naming import LONGEST, RESERVED, assign_identifiers, identifier

odd = st.text() | st.sampled_from(
    [*sorted(RESERVED), *keyword.kwlist, "component_a", "sd_school", "school", "school_term", "ﬁ"]
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("school", "school"),
        ("mean score", "mean_score"),
        ("a/b", "a_b"),
        ("a:b", "a_b"),
        ("2nd", "v_2nd"),
        ("class", "class_"),
        ("match", "match_"),
        ("beta", "beta_"),
        ("chain", "chain_"),
        ("größe", "größe"),
        ("", "v_"),
        ("_", "v_"),
        ("🎓", "v_"),
        ('x"); import os', "x____import_os"),
        ("x" * 300, "x" * LONGEST),
        ("component_1", "v_component_1"),
        ("outer2_school", "v_outer2_school"),
    ],
)
def test_identifier(name: str, expected: str) -> None:
    assert identifier(name) == expected


@given(odd)
@example('x"); import os; os.system("echo")')
@example("ª")
@example("\u1885")
def test_any_text_becomes_a_free_identifier(name: str) -> None:
    found = identifier(name)
    assert found.isidentifier()
    assert not keyword.iskeyword(found)
    assert not keyword.issoftkeyword(found)
    assert found not in RESERVED
    # Python reads identifiers in this form: else code and results would disagree on the name.
    assert unicodedata.normalize("NFKC", found) == found
    assert isinstance(ast.parse(found, mode="eval").body, ast.Name)


@given(st.lists(odd, max_size=6, unique=True), odd)
@example(["school", "school_term", "sd_school", "u_school"], "school")
@example(["a b", "a_b", "a/b"], "a.b")
@example(["beta", "beta_"], "sd_beta_")
def test_assigned_identifiers_never_clash(groupings: list[str], response: str) -> None:
    assigned, outcome = assign_identifiers(groupings, response)
    assert list(assigned) == groupings
    taken: set[str] = set(RESERVED)
    for name in assigned.values():
        adds = {name, f"{name}_term", f"{name}_term_bis", f"sd_{name}", f"corr_{name}", f"u_{name}"}
        adds |= {f"unit_{name}", f"terms_{name}", f"weight_{name}", f"z_{name}", f"chol_{name}"}
        adds |= {f"sd_{name}_scale", f"variance_sd_{name}"}
        assert name.isidentifier()
        assert not adds & taken
        taken |= adds
    assert outcome.isidentifier()
    assert outcome not in taken
