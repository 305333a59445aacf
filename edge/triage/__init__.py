"""What the station keeps for retraining and whether it still sees what it saw: beside the line, never before it."""
