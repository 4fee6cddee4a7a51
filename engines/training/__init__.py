"""Training a network of patches as a GAN on pairs that lie on disk: nothing here knows of faces."""
