"""Sweeps: what holds at one moment of a run has to hold at every moment of every shape of run."""
