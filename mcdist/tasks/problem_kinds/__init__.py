"""The kinds of problem: how each is checked before any work, and built on a worker."""
