"""What can go wrong between station and cloud."""


class LinkError(Exception):
    """The broker or the other end cannot be reached, or said something that is not our protocol."""
