"""Cameras on a network: RTSP and motion JPEG, and when an image that came is believed."""
