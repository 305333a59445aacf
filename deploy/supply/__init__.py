"""What a release says of itself: what is in it, under which licence, with which known weaknesses."""
