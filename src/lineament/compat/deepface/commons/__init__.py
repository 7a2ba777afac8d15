"""``image_utils`` and ``logger``, as scripts import them from deepface."""
