"""The contract by example: each claim about a run, as a small workflow; see ``claims``."""
