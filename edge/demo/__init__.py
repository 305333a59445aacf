"""`edge demo`: the whole product on real solar-cell images, checked record by record."""
