"""Recordings: bags, what is read from them, and the folder of a run."""
