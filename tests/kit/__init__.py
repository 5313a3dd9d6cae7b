"""The tests of the testing kit, and the bugs that it is to find."""

import os

SIMULATIONS = int(os.environ.get("BLAZEN_SIMULATIONS", "1000"))
"""How many random workflows to simulate."""

LONG = SIMULATIONS > 2000
"""Whether to try everything, instead of a share."""
