"""What can go wrong with the pages, besides what goes wrong at the site they show."""


class PagesError(Exception):
    """What somebody asked of the pages or of their users cannot be; the message says what to do."""
