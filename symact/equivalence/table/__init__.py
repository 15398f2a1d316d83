"""A whole space at once: enumeration, classes, representatives."""
