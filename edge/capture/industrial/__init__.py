"""GigE Vision and GenICam cameras: settings read back, frames matched to triggers."""
