"""Programs that show the engine at work; each runs with ``python -m``."""
