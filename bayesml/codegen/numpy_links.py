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
NUMPY_LATENT = {"logit": "rng.logistic(size=obs.size)", "probit": "rng.normal(size=obs.size)"}
