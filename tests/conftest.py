"""Settings that every test shares."""

import os

import hypothesis

# Set before anything imports matplotlib; child processes inherit it.
os.environ["MPLBACKEND"] = "Agg"

# The first call of a function may import or compile, so no example has a deadline.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
