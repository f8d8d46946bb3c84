"""Object detection: boxes around the objects in a picture, and their classes."""
