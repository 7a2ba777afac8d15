"""The galleries of a server: folders of its data folder, opened once in each process.

Every process reads by itself; writes go to one process, the writer. What a reader sees after a
write: the gallery is a database that all processes read, and a search looks for changes before it
begins, so a request that starts after a write was answered sees it, in whatever process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from lineament.errors import GalleryExistsError, GalleryNotFoundError, OptionError
from lineament.files import remove_all
from lineament.gallery import Gallery, Key, Settings
from lineament.pipeline import Recognizer
from lineament.server.roles import GALLERY_NAME


class Galleries:
    """Open galleries by name."""

    def __init__(
        self, folder: Path, recognizer: Callable[[], Recognizer], *, writes: bool = True
    ) -> None:
        """Open none yet.

        Args:
            folder: with a folder for each gallery; it is made if need be.
            recognizer: makes the one of new galleries, and of those whose contract fits it.
            writes: whether this process is the one that writes.
        """
        self._folder, self._recognizer, self._writes = folder, recognizer, writes
        self._open: dict[str, Gallery] = {}
        self._opened_at: dict[str, tuple[int, ...] | None] = {}
        self._lock = RLock()
        self._changing: dict[str, RLock] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def names(self) -> list[str]:
        """Of all galleries, sorted."""
        return sorted(
            entry.name
            for entry in self._folder.iterdir()
            if GALLERY_NAME.fullmatch(entry.name) and Gallery.exists(entry)
        )

    def get(self, name: str) -> Gallery:
        """The gallery of that name, open. GalleryNotFoundError: there is none."""
        with self._lock:
            gallery = self._open.get(name)
            folder = self._place(name)
            if gallery is not None and (self._writes or self._opened_at[name] == _identity(folder)):
                return gallery
            if gallery is not None:  # the writer deleted it, and may have made another
                del self._open[name]
                gallery.close()
            if folder is None or not Gallery.exists(folder):
                raise GalleryNotFoundError(f"expected the name of a gallery, got {name!r:.80}")
            identity = _identity(folder)
            gallery = self._opened(folder)
            self._open[name], self._opened_at[name] = gallery, identity
            return gallery

    @contextmanager
    def changing(self, name: str) -> Iterator[Gallery]:
        """The same, while nobody else changes people of it that were named by their number.

        Between looking up whom a number means and changing them, nobody gives the name to another.
        """
        gallery = self.get(name)
        with self._lock:
            lock = self._changing.setdefault(name, RLock())
        with lock:
            yield gallery

    def _opened(self, folder: Path) -> Gallery:
        gallery = Gallery.open(folder, read_only=not self._writes)
        recognizer = self._recognizer()
        if gallery.contract == recognizer.embedder.contract:
            gallery.use(recognizer)  # it shares the loaded networks
        return gallery

    def create(self, name: str, settings: Settings | None = None) -> Gallery:
        """Make an empty one; encrypted, where the environment names a key of galleries.

        Raises:
            OptionError: no gallery's name.
            GalleryExistsError: there is one.
            GalleryKeyError: the key cannot be read.
        """
        folder = self._place(name)
        if folder is None:
            raise OptionError(
                f"expected 1 to 64 of a-z, 0-9, - and _, got {name!r:.80}", option="name"
            )
        with self._lock:
            if Gallery.exists(folder):
                raise GalleryExistsError(f"there is a gallery {name!r} already")
            gallery = Gallery.create(
                folder,
                recognizer=self._recognizer(),
                settings=settings,
                key=Key.from_environment(),
            )
            self._open[name] = gallery
            return gallery

    def delete(self, name: str) -> None:
        """Close it, and delete its folder. GalleryNotFoundError: there is none."""
        with self._lock:
            self.get(name).close()
            del self._open[name]
            remove_all(self._folder / name)

    def _place(self, name: str) -> Path | None:
        return self._folder / name if GALLERY_NAME.fullmatch(name) else None

    def close(self) -> None:
        """Close all."""
        with self._lock:
            for gallery in self._open.values():
                gallery.close()
            self._open.clear()


def _identity(folder: Path | None) -> tuple[int, ...] | None:
    """What differs between a gallery and a later one of the same name; None: there is none."""
    try:
        # While the database is open here, no other file can have its number.
        found = None if folder is None else (folder / "gallery.sqlite").stat()
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)
