"""Foresees what a chunk of actions would do, in a twin of the scene built from perception alone."""
