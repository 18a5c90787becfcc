"""A deployment that stands still, to be looked at and photographed."""
