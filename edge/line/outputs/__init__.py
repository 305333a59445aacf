"""Outputs: the ways to the line beside the line port, each of them a client of it."""
