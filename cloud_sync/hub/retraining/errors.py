"""What can go wrong with retraining, by who must act."""


class CloudConfigError(Exception):
    """cloud.toml does not say what is needed: whoever wrote it acts."""


class RetrainingError(Exception):
    """The outside world failed a run: what it is trained by, a program, or a machine."""


class RequestRefusedError(Exception):
    """What was asked for is not to be done now, and why."""
