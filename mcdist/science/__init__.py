"""The mathematics, on tensors: points in weight space, their training, paths between them."""
