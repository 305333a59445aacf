"""How good a detector is: average precision, escape and overkill, confusion, champion against challenger. No torch."""
