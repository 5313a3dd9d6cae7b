"""The machine without an event loop: unit tests by concern, and state machines against a model."""
