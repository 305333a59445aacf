"""What can go wrong with labelled images."""

from models.errors import ModelError


class DatasetError(ModelError):
    """The dataset cannot be used as it is; the message names the file and what to mend."""
