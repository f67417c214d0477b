"""A film to try everything on, made from what comes with the package."""
