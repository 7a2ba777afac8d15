"""What the package face_recognition 1.3.0 offers, by the same names.

    import lineament.compat.face_recognition as face_recognition

    image = face_recognition.load_image_file("obama.jpg")
    boxes = face_recognition.face_locations(image)             (top, right, bottom, left) each
    encodings = face_recognition.face_encodings(image, boxes)  (128,) float64 each
    face_recognition.compare_faces(known, encodings[0])

Encodings come from dlib's network. With dlib's own predictor of landmarks, a file of the package
face_recognition_models, they are those of the original, so stored ones stay valid. ``configure``
says where the files lie, which network embeds and which detector finds. ``face_recognition_cli``
and ``face_detection_cli`` are the two command lines. The page ``how-to/from-face-recognition`` of
the docs lists the differences.
"""

from __future__ import annotations

from lineament.compat.face_recognition.api import (
    batch_face_locations,
    compare_faces,
    configure,
    face_distance,
    face_encodings,
    face_landmarks,
    face_locations,
    load_image_file,
)

__version__ = "1.2.3"
"""What the original of 1.3.0 says of itself; lineament's own is ``lineament.__version__``."""

__all__ = [
    "batch_face_locations",
    "compare_faces",
    "configure",
    "face_distance",
    "face_encodings",
    "face_landmarks",
    "face_locations",
    "load_image_file",
]
