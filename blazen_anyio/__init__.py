"""Typed, event-driven workflows on structured concurrency."""
