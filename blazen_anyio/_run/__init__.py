"""The only place that starts tasks: lanes, streams, resources, the handle."""
