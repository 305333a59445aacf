"""Pure decisions: detections and a recipe in, a verdict with reasons out."""
