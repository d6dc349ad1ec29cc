"""The links as NumPy expressions, for examples that run without bayesml."""

# Mean of an outcome to the link scale, and back; `share` and `eta` are names in the example.
NUMPY_FORWARD = {
    "logit": "np.log(share / (1 - share))",
    "probit": "stats.norm.ppf(share)",
    "cloglog": "np.log(-np.log1p(-share))",
}
NUMPY_INVERSE = {
    "identity": "eta",
    "log": "np.exp(eta)",
    "logit": "1 / (1 + np.exp(-eta))",
    "probit": "stats.norm.cdf(eta)",
    "cloglog": "1 - np.exp(-np.exp(eta))",
}
_LATENT = {
    "logit": "rng.logistic(size={size})",
    "probit": "rng.normal(size={size})",
    "cloglog": "np.log(rng.exponential(size={size}))",
}
_OUTCOME = {"identity": "y", "log": "np.log(y)"}


def latent_draws(link: str) -> dict[str, str]:
    """Return the text that draws the latent error, one a row and one a row and cutpoint."""
    text = _LATENT.get(link, "")
    return {
        "latent": text.format(size="obs.size"),
        "latents": text.format(size="(obs.size, cutpoints.shape[-1])"),
    }


def outcome_text(link: str) -> str:
    """Return the outcome on the link scale, where a family is normal there."""
    return _OUTCOME.get(link, "y")
