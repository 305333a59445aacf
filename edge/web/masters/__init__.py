"""Master parts on a page: what they are, how the last check went and when the next is due, a check started."""
