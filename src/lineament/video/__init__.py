"""Video: sources of frames, films that are written, people who are followed.

    frames     VideoFrame, SourceInfo, FrameSource: what goes through everything else
    sources    open_source: a camera, a file, a stream, a folder of frames, or arrays
    writing    FilmWriter: frames -> a film with the timing and the sound of its source

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

__all__ = [
    "DEFAULT_VIDEO_LIMITS",
    "FrameSource",
    "SourceInfo",
    "SourceNote",
    "VideoFrame",
    "VideoLimits",
    "open_source",
]
