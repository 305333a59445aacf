"""A release on its way into use: verified, tried, beside the model in use, in its place, and back where it fails."""
