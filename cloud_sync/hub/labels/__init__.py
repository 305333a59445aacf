"""Samples of the stations as the trainer sees them, what people say of them, and the data sets made of both."""
