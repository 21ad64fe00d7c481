"""ctrlx carries diffusion controls between base and distilled models and measures how well they arrive."""

__version__ = "0.1.0"
