"""A run's folder: what lies in it, how it is written, and how a run that goes on finds it again."""
