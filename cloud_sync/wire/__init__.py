"""What both ends of the sync share: records, topics, acknowledgements, the link to the broker."""
