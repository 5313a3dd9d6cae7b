"""Measures what an event costs: the engine, a hand-written loop, and the floor below both."""
