"""Repeatability: the same parts looked at again and again."""
