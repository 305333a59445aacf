"""What is kept on the station's disk: inspections, the outbox, images."""
