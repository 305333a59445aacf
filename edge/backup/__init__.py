"""What makes a machine this station again: in an archive, in the cloud, put back, or removed."""
