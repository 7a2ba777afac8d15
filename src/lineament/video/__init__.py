"""Video: sources of frames, films that are written, people who are followed.

    frames     VideoFrame, SourceInfo, FrameSource: what goes through everything else
    sources    open_source: a camera, a file, a stream, a folder of frames, or arrays
    writing    FilmWriter: frames -> a film with the timing and the sound of its source
    motion     boxes over time: where each face is expected, which box continues which path
    identity   several views of one person -> one; names that do not flicker
    memory     Memory: people who were seen, named or not: recognized when they return
    people     PeopleTracker: a frame in, a TrackedFrame out: who is where, under which number
    events     Event: somebody appeared, was identified, changed, left
    watching   watch: all of it, in threads side by side
    outputs    where frames go besides: an annotated film, lines of events, the best shots
    enrolling  enroll_video: the best looks at somebody in a film, for a gallery
    preview    Preview: a page of this machine

Films are read and written by PyAV (FFmpeg), which the extra ``video`` brings; importing this loads
none of it.
"""

from lineament.video.enrolling import enroll_video
from lineament.video.events import Event
from lineament.video.frames import (
    DEFAULT_VIDEO_LIMITS,
    FrameSource,
    SourceInfo,
    SourceNote,
    VideoFrame,
    VideoLimits,
)
from lineament.video.memory import Memory
from lineament.video.outputs import Output
from lineament.video.people import PeopleTracker
from lineament.video.preview import Preview
from lineament.video.sources import open_source
from lineament.video.tracks import BestShot, Track, TrackedFrame, TrackOptions
from lineament.video.watching import Watch, WatchedFrame, WatchedPerson, WatchSummary, watch
from lineament.video.writing import FilmWriter

__all__ = [
    "DEFAULT_VIDEO_LIMITS",
    "BestShot",
    "Event",
    "FilmWriter",
    "FrameSource",
    "Memory",
    "Output",
    "PeopleTracker",
    "Preview",
    "SourceInfo",
    "SourceNote",
    "Track",
    "TrackOptions",
    "TrackedFrame",
    "VideoFrame",
    "VideoLimits",
    "Watch",
    "WatchSummary",
    "WatchedFrame",
    "WatchedPerson",
    "enroll_video",
    "open_source",
    "watch",
]
