"""The parts of `vla bench`: what is measured, and how it is shown."""
