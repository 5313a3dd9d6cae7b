"""Other engines, each as its own manual shows it; run in an environment of its own."""
