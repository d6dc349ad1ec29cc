"""PyTensor code of functions that several families call in the generated source."""

LOG_NORMAL_CDF = '''
def log_normal_cdf(x):
    """Log of the standard normal cdf, with all its digits in both tails."""
    z = x / np.sqrt(2)
    # Each branch sees only values that it can compute, else gradients would be NaN.
    low, high = pt.minimum(z, -1), pt.maximum(z, -1)
    return pt.switch(z < -1, pt.log(pt.erfcx(-low) / 2) - low**2, pt.log1p(-pt.erfc(high) / 2))
'''

# Shapes of a beta distribution by its mean and precision: as exp(log p + log phi), each has its
# digits near 0, and below exp(-700) stays above 0.
_LOG_SHARES = {
    "logit": "-pt.softplus(-eta), -pt.softplus(eta)",
    "probit": "log_normal_cdf(eta), log_normal_cdf(-eta)",
    "cloglog": "pt.log1mexp(-pt.exp(pt.maximum(eta, -700))), -pt.exp(eta)",
}


def _beta_shapes(link: str) -> str:
    above = f"{LOG_NORMAL_CDF}\n" if link == "probit" else ""
    return f'''{above}
def {link}_beta_shapes(eta, phi):
    """Shapes p phi and (1 - p) phi of a beta distribution whose mean p has the {link} eta."""
    success, failure = {_LOG_SHARES[link]}
    alpha, beta = success + pt.log(phi), failure + pt.log(phi)
    # Above 0 also where p is 0 or 1 to the last digit.
    return pt.exp(pt.maximum(alpha, -700)), pt.exp(pt.maximum(beta, -700))
'''


BETA_SHAPES = {link: _beta_shapes(link) for link in _LOG_SHARES}
