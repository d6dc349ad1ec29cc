"""PyTensor code of functions that several families call in the generated source."""

LOG_NORMAL_CDF = '''
def log_normal_cdf(x):
    """Log of the standard normal cdf, with all its digits in both tails."""
    z = x / np.sqrt(2)
    # Each branch sees only values that it can compute, else gradients would be NaN.
    low, high = pt.minimum(z, -1), pt.maximum(z, -1)
    return pt.switch(z < -1, pt.log(pt.erfcx(-low) / 2) - low**2, pt.log1p(-pt.erfc(high) / 2))
'''
