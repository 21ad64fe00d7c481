"""Controls: reading their files and lending them to a denoiser."""
