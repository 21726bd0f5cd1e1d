"""A scripted expert: picks, places and goes home from perception alone."""
