"""Video: sources of frames, films that are written, people who are followed.

    frames     VideoFrame, SourceInfo, FrameSource: what goes through everything else
    sources    open_source: a camera, a file, a stream, a folder of frames, or arrays
    writing    FilmWriter: frames -> a film with the timing and the sound of its source
    motion     boxes over time: where each face is expected, which box continues which path
    identity   several views of one person -> one; names that do not flicker
    memory     Memory: people who were seen, named or not: recognized when they return
    people     PeopleTracker: a frame in, a TrackedFrame out: who is where, under which number
    events     Event: somebody appeared, was identified, changed, left

Films are read and written by PyAV (FFmpeg), which the extra ``video`` brings; importing this loads
none of it.
"""

from lineament.video.frames import (
    DEFAULT_VIDEO_LIMITS,
    FrameSource,
    SourceInfo,
    SourceNote,
    VideoFrame,
    VideoLimits,
)
from lineament.video.sources import open_source
from lineament.video.writing import FilmWriter

__all__ = [
    "DEFAULT_VIDEO_LIMITS",
    "FilmWriter",
    "FrameSource",
    "SourceInfo",
    "SourceNote",
    "VideoFrame",
    "VideoLimits",
    "open_source",
]
