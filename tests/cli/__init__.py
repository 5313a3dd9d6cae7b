"""The command line: in this process for its logic, in a pseudo-terminal for what a person sees."""
