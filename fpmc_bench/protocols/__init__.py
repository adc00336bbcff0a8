"""The two standard protocols and their metrics: pure functions of a denoiser and a problem."""
