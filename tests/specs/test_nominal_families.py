"""Unordered categories: the family's record against SciPy's softmax."""

import numpy as np
import pytest
from scipy import special

from bayesml.quantities.log_likelihoods import RowLikelihood
from bayesml.specs.families import FAMILIES

DRAWS = 40_000
FAMILY = FAMILIES["categorical"]


def test_simulated_categories_have_the_shares_of_a_softmax() -> None:
    scores = np.array([0.0, 0.7, -1.2, 0.1])
    parameters = {
        name: np.full(DRAWS, value) for name, value in zip("bcd", scores[1:], strict=True)
    }
    drawn = FAMILY.simulate(
        np.random.default_rng(4), np.zeros(DRAWS), {**parameters, "link": "logit"}, np.ones(1)
    )
    shares = special.softmax(scores)
    found = np.bincount(drawn, minlength=4) / DRAWS
    # Four standard errors of a share.
    np.testing.assert_array_less(np.abs(found - shares), 4 * np.sqrt(shares * (1 - shares) / DRAWS))


def test_log_likelihoods_are_scipys_log_softmax() -> None:
    rng = np.random.default_rng(5)
    rows, draws = 7, 5
    scores = rng.normal(0, 3, size=(3, rows, draws))
    scores[:, 0] = [[300.0], [-300.0], [0.0]]
    y = rng.integers(0, 4, size=rows)
    y[0] = 2
    parameters = dict(zip(["x", "eta", "trials"], scores, strict=True))
    likelihood = RowLikelihood("categorical", "logit", y[:, None].astype(float), parameters)
    found = likelihood(np.zeros((rows, draws)))
    whole = np.concatenate([np.zeros((1, rows, draws)), scores])
    expected = special.log_softmax(whole, axis=0)
    np.testing.assert_allclose(found, expected[y, np.arange(rows)], rtol=1e-12)
    chosen = np.array([2, 0])
    np.testing.assert_array_equal(likelihood.rows(chosen)(np.zeros((2, draws))), found[chosen])


def test_the_record_says_what_it_takes() -> None:
    assert FAMILY.discrete
    assert (FAMILY.response, FAMILY.links) == ("nominal", ("logit",))
    assert FAMILY.variance(np.zeros(3), {}, np.ones(1)) == pytest.approx(np.ones(3))
