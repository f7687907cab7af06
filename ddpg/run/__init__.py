"""One run on disk: train, evaluate, and what they leave in the run's folder."""
