"""What `edge doctor` looks at: can this machine be a station, how good a one, and what mends what is wrong."""

from edge.doctor.around import Around, make_around
from edge.doctor.examining import examine
from edge.doctor.finding import Finding

__all__ = ["Around", "Finding", "examine", "make_around"]
