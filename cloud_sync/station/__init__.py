"""The end of the sync beside the camera."""
