"""The station's bundles on a page: which judges, which did, what each reached; activated, rolled back, brought in."""
