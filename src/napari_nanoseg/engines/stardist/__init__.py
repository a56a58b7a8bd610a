"""StarDist 2-D (Schmidt et al., MICCAI 2018) in PyTorch, equivalent to the original."""
