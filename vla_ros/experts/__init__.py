"""Experts turn a subtask and what is perceived into action chunks; scripted and learned ones follow one protocol (policy.py)."""
