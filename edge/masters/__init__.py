"""Master parts: known good and known bad ones kept with a product, and the check that the station still tells them."""
