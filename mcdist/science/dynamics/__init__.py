"""Noisy dynamics of stacked points: how noise moves what the loss alone would leave where it is."""
