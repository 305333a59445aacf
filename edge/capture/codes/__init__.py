"""Codes on parts: read from the frame, beside the model."""
