"""Noise levels, keyed noise, and the sampler that goes from noise to images."""
