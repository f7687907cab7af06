"""One run on disk: train, evaluate, export, and what they leave in the run's folder."""
