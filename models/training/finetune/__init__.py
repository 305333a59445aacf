"""A classifier whose backbone learns too: pictures with whole-image labels, training, proof, bundle."""
