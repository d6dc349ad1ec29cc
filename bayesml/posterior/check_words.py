"""What each statistic of a posterior predictive check means where the data go beyond the model."""

# Below it, in either tail, a check is said to fail.
SUSPICIOUS = 0.01
FITS = "fits"

# statistic: words where the data lie above the replications, words where they lie below
WORDS: dict[str, tuple[str, str]] = {
    "mean": (
        "The outcome is higher than the model says: check the prior of the intercept and the "
        "offset.",
        "The outcome is lower than the model says: check the prior of the intercept and the "
        "offset.",
    ),
    "SD": (
        "The outcome varies more than the model says.",
        "The outcome varies less than the model says.",
    ),
    "smallest": (
        "The smallest outcome lies above what the model expects: is the outcome bounded below?",
        "The smallest outcome lies below what the model expects: look for outliers.",
    ),
    "largest": (
        "The largest outcome lies above what the model expects: look for outliers, or use a family "
        "with a longer tail.",
        "The largest outcome lies below what the model expects: is the outcome bounded above?",
    ),
    "share of zeros": (
        "There are more zeros than the model expects: use a family with more dispersion or extra "
        "zeros, or look for rows that cannot have a count.",
        "There are fewer zeros than the model expects: are rows with a count of 0 missing from the "
        "table?",
    ),
    "share of ones": (
        "There are more successes than the model expects.",
        "There are fewer successes than the model expects.",
    ),
    "share without success": (
        "There are more rows without any success than the model expects: successes of a row are "
        "alike, so add a grouping with one row a unit.",
        "There are fewer rows without any success than the model expects.",
    ),
    "share with all successes": (
        "There are more rows where every trial succeeds than the model expects: successes of a row "
        "are alike, so add a grouping with one row a unit.",
        "There are fewer rows where every trial succeeds than the model expects.",
    ),
    "share of category": (
        "This category is more frequent than the model expects.",
        "This category is less frequent than the model expects.",
    ),
    "dispersion": (
        "The outcome varies more around its mean than the family allows (overdispersion): add a "
        "grouping with one row a unit, or use a family with more dispersion. Intervals of "
        "coefficients are too narrow as it is.",
        "The outcome varies less around its mean than the family allows (underdispersion).",
    ),
    "skewness": (
        "The upper tail is longer than the model says: transform the outcome, or use a skewed "
        "family.",
        "The lower tail is longer than the model says: transform the outcome, or use a skewed "
        "family.",
    ),
    "excess kurtosis": (
        "The tails are heavier than the model says: look at the largest residuals, or use a family "
        "with heavier tails.",
        "The tails are lighter than the model says: is the outcome bounded?",
    ),
    "largest residual": (
        "A row lies farther from its fitted value than the model allows: look at it in "
        "residuals(fit).",
        "No row lies as far from its fitted value as the model expects.",
    ),
    "spread against fitted": (
        "Residuals spread more where fitted values are high: the level-1 variance is not "
        "constant; transform the outcome, or let it depend on predictors.",
        "Residuals spread more where fitted values are low: the level-1 variance is not "
        "constant; transform the outcome, or let it depend on predictors.",
    ),
    "bend against fixed part": (
        "Residuals are high at both ends of X beta: an effect is curved; add a power "
        "or a spline, or use another link.",
        "Residuals are low at both ends of X beta: an effect is curved; add a power "
        "or a spline, or use another link.",
    ),
    "SD of unit means": (
        "Units differ more than new units of this model would.",
        "Units differ less than new units of this model would: its SD may be too large.",
    ),
    "smallest unit mean": (
        "The lowest unit is not as low as normal effects lead one to expect.",
        "The lowest unit is lower than normal effects allow: look at it, or at its rows.",
    ),
    "largest unit mean": (
        "The highest unit is higher than normal effects allow: look at it, or at its rows.",
        "The highest unit is not as high as normal effects lead one to expect.",
    ),
    "SD of unit shares": (
        "Units differ more in their share of this category than new units of this model would.",
        "Units differ less in their share of this category than new units of this model would: "
        "its SD may be too large.",
    ),
    "largest unit share": (
        "A unit has more of this category than normal effects allow: look at its rows.",
        "No unit has as much of this category as normal effects lead one to expect.",
    ),
    "mean of unit SDs": (
        "Rows of one unit differ more than the model says.",
        "Rows of one unit differ less than the model says.",
    ),
    "SD of unit SDs": (
        "Units differ in how much their rows vary: the level-1 variance is not the same "
        "everywhere, or a slope varies over units.",
        "Units are more alike in how much their rows vary than the model says.",
    ),
    "skewness of effects": (
        "Effects have a long upper tail, so they are not normal: some units stand out above.",
        "Effects have a long lower tail, so they are not normal: some units stand out below.",
    ),
    "excess kurtosis of effects": (
        "Effects have heavier tails than a normal distribution: a few units stand out.",
        "Effects have lighter tails than a normal distribution: do the units fall into groups?",
    ),
    "largest effect": (
        "A unit lies farther out than normal effects allow: look at it in residuals(fit, level).",
        "No unit lies as far out as normal effects lead one to expect.",
    ),
    "effects against fitted": (
        "Units with higher fitted values have higher effects: rows and units depend on the "
        "predictors differently; add the units' means of the predictors to the formula.",
        "Units with higher fitted values have lower effects: rows and units depend on the "
        "predictors differently; add the units' means of the predictors to the formula.",
    ),
    "effects against size": (
        "Units with more rows have higher effects: is a unit's size a predictor?",
        "Units with more rows have lower effects: is a unit's size a predictor?",
    ),
}


def check_words(statistic: str, p_value: float) -> str:
    """Return in words what a p-value says of a statistic.

    Parameters
    ----------
    statistic : str
        As in the table of checks.
    p_value : float
        Posterior predictive p-value, NaN where it could not be computed.

    Examples
    --------
    >>> check_words("SD", 0.4), check_words("SD", 0.001)
    ('fits', 'The outcome varies more than the model says.')
    """
    if p_value != p_value:
        return "Cannot be computed: the statistic is not a finite number."
    key = statistic if statistic in WORDS else statistic.partition(": ")[0]
    above, below = WORDS[key]
    if p_value < SUSPICIOUS:
        return above
    return below if p_value > 1 - SUSPICIOUS else FITS
