"""Faces in photos and films made unrecognizable, for good.

finding    what may be a face: rather too much than too little
people     who is covered: everybody, everybody but some, only some
regions    which pixels of a face
covering   what is put there
plan       the decisions as a file that a person may edit
photos     anonymize: a photo -> Anonymized
writing    files written anew from pixels
"""

from lineament.anonymize.photos import Anonymized, anonymize
from lineament.anonymize.plan import Plan

__all__ = ["Anonymized", "Plan", "anonymize"]
