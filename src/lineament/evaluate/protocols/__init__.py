"""The protocols, one file a family: a folder and a ``FaceSource`` -> a ``Result``."""
