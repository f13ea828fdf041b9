"""One file per kind of task: specification and inputs in, rows and tensors out."""
