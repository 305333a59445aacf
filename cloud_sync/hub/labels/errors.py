"""What can go wrong with labels."""


class LabelError(Exception):
    """What was to be labelled, imported or made cannot be as it is given; the message says what to mend."""
