"""From photos to batches.

face_set    what a set of photos is; selections of it; which photos cannot be read
files       photos in the file system: one folder per person, or a list: path,person
shards      WebDataset: .tar files
recordio    InsightFace: train.rec, train.idx; without MXNet
opening     ``open_faces``: any of these
aligning    photos -> aligned crops, one folder per person
augment     random changes of a photo
samplers    which photos make a batch
crops       tensors, workers, the share of each process; needs PyTorch, which nothing else does
leakage     people of an evaluation set who are in the training set
"""

from lineament.train.data._opening import open_faces
from lineament.train.data.augment import Augment, augmented_sheet
from lineament.train.data.face_set import (
    FaceSet,
    Selection,
    check_faces,
    notes_of,
    with_least_photos,
    without_unreadable,
)
from lineament.train.data.leakage import Leak
from lineament.train.data.samplers import PeopleBatches, RandomBatches

__all__ = [
    "Augment",
    "FaceSet",
    "Leak",
    "PeopleBatches",
    "RandomBatches",
    "Selection",
    "augmented_sheet",
    "check_faces",
    "notes_of",
    "open_faces",
    "with_least_photos",
    "without_unreadable",
]
