"""The page that a calibration leaves, section by section, and the same facts as JSON beside it."""
