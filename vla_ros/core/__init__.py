"""Values and small mathematics that everything else shares; needs only the standard library, NumPy and PyYAML."""
