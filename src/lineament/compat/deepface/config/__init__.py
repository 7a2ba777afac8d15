"""``threshold``, as scripts import it from deepface."""
