"""What a job does: each kind is one call of the library, with its options and its files.

| kind | role | wants | gives | after the process ended meanwhile |
|---|---|---|---|---|
| enroll | enroll, of its gallery | photos | the report | goes on: what is enrolled is passed over |
| group | enroll | photos | the groups | begins anew |
| tune | enroll | photos of named people | the figures; a calibration file | begins anew |
| anonymize | enroll | photos, films | what is covered; the file, or a zip of them | begins anew |
| reindex | admin, of its gallery | | number of samples | begins anew |
| expire | admin, of its gallery | | receipts of who was removed | goes on |
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field

from lineament.errors import OptionError
from lineament.files import open_new
from lineament.gallery import Gallery
from lineament.pipeline import Recognizer
from lineament.server.jobs.store import JobKind
from lineament.server.roles import Role
from lineament.server.schemas import Options
from lineament.signing import SigningKey

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""What is being done, how much is done, how much there is; raises to end the job."""


class EnrollOptions(Options):
    """Of ``gallery.folder.enroll_folder``."""

    person: str | None = Field(None, max_length=1000, description="Who is on all of the photos.")
    layout: Literal["auto", "folders", "flat"] = "auto"
    choose: bool = False
    on_low_quality: Literal["refuse", "accept"] = "refuse"
    force: bool = False
    review: Literal["off", "standard", "strict"] | None = None


class GroupOptions(Options):
    """Of ``gallery.grouping.photos.group``; threshold and fmr exclude each other."""

    threshold: float | None = Field(None, ge=-1, le=1)
    fmr: float | None = Field(None, gt=0, lt=1)
    min_size: int = Field(1, ge=1, le=100_000, description="Of the groups that are named.")


class TuneOptions(Options):
    """Of ``fit.tune``."""

    fmr: float | None = Field(None, gt=0, lt=1)
    keep_suspects: bool = False


class AnonymizeOptions(Options):
    """Of ``anonymize``; keep and only exclude each other, and want a gallery."""

    method: Literal["blur", "pixelate", "solid"] = "blur"
    shape: Literal["ellipse", "box", "mesh"] = "ellipse"
    keep: list[str] | str | None = Field(None, description="Names of people who stay seen.")
    only: list[str] | str | None = Field(None, description="Names of the people who are covered.")


class ReindexOptions(Options):
    """Of ``Gallery.reindex``."""

    index: str | None = Field(None, max_length=64, description="Another engine.")


class ExpireOptions(Options):
    """None."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What a kind works with.

    Attributes:
        files: folder of what was sent, by the names it had.
        out: folder for what is to be fetched.
        gallery: None where none was named.
        recognizer: the server's.
        options: of the kind's model.
        progress: to be called often; raises where the job is to end.
        signing_key: signs receipts; None: they are not signed.
    """

    files: Path
    out: Path
    gallery: Gallery | None
    recognizer: Callable[[], Recognizer]
    options: Any
    progress: Progress
    signing_key: SigningKey | None = None

    @property
    def needed_gallery(self) -> Gallery:
        """The gallery."""
        assert self.gallery is not None
        return self.gallery


Done = tuple[dict[str, Any], str | None]
"""The result, and the name of a file in ``out``, or None."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job.

    Attributes:
        role: that it wants.
        options: their model.
        run: does it.
        files: whether it wants any.
        gallery: whether it wants one ("needed"), may have one ("may"), or none ("none").
        resumes: whether it goes on where it ended; else it begins anew.
    """

    role: Role
    options: type[Options]
    run: Callable[[Doing], Done]
    files: bool
    gallery: Literal["needed", "may", "none"]
    resumes: bool


def _enroll(doing: Doing) -> Done:
    from lineament.gallery.folder import FolderReport, Listing, enroll_folder, list_folder
    from lineament.gallery.values import checked_name
    from lineament.images.find import find_images

    options: EnrollOptions = doing.options
    folder: Path | Listing = doing.files
    if options.person is not None:
        name = checked_name(options.person)
        folder = Listing("folders", tuple((name, path) for path in find_images([doing.files])))
    else:
        folder = list_folder(doing.files, options.layout)
    total = len(folder.photos)

    def progress(report: FolderReport) -> None:
        doing.progress("enrolling photos", report.already + report.done, total)

    report = enroll_folder(
        doing.needed_gallery,
        folder,
        choose=options.choose,
        on_low_quality=options.on_low_quality,
        force=options.force,
        review=options.review,
        named_from=doing.files,
        progress=progress,
    )
    return report.to_dict(), None


def _group(doing: Doing) -> Done:
    from lineament.gallery.grouping.photos import group, summary
    from lineament.images.find import find_images

    options: GroupOptions = doing.options
    recognizer = doing.recognizer()
    photos = list(find_images([doing.files]))
    done = iter(range(1, len(photos) + 1))

    def on_photo(*_: Any) -> None:
        doing.progress("looking at photos", next(done, len(photos)), len(photos))

    found = group(
        photos, recognizer, threshold=options.threshold, fmr=options.fmr, on_photo=on_photo
    )
    groups = found.groups(recognizer.calibration, min_size=options.min_size)
    failed = [{"source": p.source, "error": p.error} for p in found.photos if p.error is not None]
    return summary(found, groups) | {"failed": failed}, None


def _tune(doing: Doing) -> Done:
    from lineament.datasets.people_folder import read_people
    from lineament.fit import tune
    from lineament.fit.examine import examine
    from lineament.quality import limits_of

    options: TuneOptions = doing.options
    recognizer = doing.recognizer()
    people = read_people(doing.files)

    def tapped(items: Iterable[T], total: int, what: str) -> Iterator[T]:
        for number, item in enumerate(items):
            doing.progress(what, number, total)
            yield item

    examined, _ = examine(recognizer, people.paths, use_cache=False, progress=tapped)
    tuned = tune.tune(
        people,
        examined,
        contract=recognizer.embedder.contract,
        fmr=options.fmr,
        keep_suspects=options.keep_suspects,
        limits=limits_of(recognizer.weights),
        head=recognizer.head,
        progress=doing.progress,
    )
    tuned.calibration.save(doing.out / "calibration.json")
    return tuned.to_dict() | {"folder": "."}, "calibration.json"


def _anonymize(doing: Doing) -> Done:
    from lineament.anonymize.finding import thorough_finder
    from lineament.anonymize.folders import list_files, make_plan, write_plan
    from lineament.anonymize.people import who_of

    options: AnonymizeOptions = doing.options
    found = list_files([doing.files])
    who = who_of(doing.gallery, options.keep, options.only)
    finder = thorough_finder()
    plan, failed = make_plan(
        found, finder, who, method=options.method, shape=options.shape, progress=doing.progress
    )
    written = []
    folder = doing.out / "files"
    folder.mkdir(exist_ok=True)
    for each in write_plan(plan, folder, finder, overwrite=True, progress=doing.progress):
        if each.error is None:
            written.append(each.to_dict())
        else:
            failed.append((each.source, each.error))
    if not written:
        raise failed[0][1]
    result = {
        "files": written,
        "failed": [{"source": name, "error": str(error)} for name, error in failed],
    }
    return result, _one_file(folder, doing.out)


def _one_file(folder: Path, out: Path) -> str:
    """Make one file of a folder's: itself, or a zip of them; its name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if len(paths) == 1:
        name = f"anonymized{paths[0].suffix.lower()}"
        paths[0].rename(out / name)
        return name
    with open_new(out / "anonymized.zip") as file, zipfile.ZipFile(file, "w") as archive:
        for path in paths:  # stored: photos and films do not get smaller
            archive.write(path, path.relative_to(folder).as_posix())
            path.unlink()
    return "anonymized.zip"


def _reindex(doing: Doing) -> Done:
    doing.progress("building the index", 0, 1)
    count = doing.needed_gallery.reindex(index=doing.options.index)
    doing.progress("building the index", 1, 1)
    return {"n_samples": count, "index": doing.needed_gallery.settings.index}, None


def _expire(doing: Doing) -> Done:
    receipts = doing.needed_gallery.expire(signing_key=doing.signing_key)
    return {"n_removed": len(receipts), "receipts": [one.to_dict() for one in receipts]}, None


KINDS_OF_JOBS: Mapping[JobKind, Kind] = {
    "enroll": Kind("enroll", EnrollOptions, _enroll, True, "needed", True),
    "group": Kind("enroll", GroupOptions, _group, True, "none", False),
    "tune": Kind("enroll", TuneOptions, _tune, True, "none", False),
    "anonymize": Kind("enroll", AnonymizeOptions, _anonymize, True, "may", False),
    "reindex": Kind("admin", ReindexOptions, _reindex, False, "needed", False),
    "expire": Kind("admin", ExpireOptions, _expire, False, "needed", True),
}


def check_given(
    kind: JobKind, options: Any, *, gallery: str | None, files: int, archive: bool
) -> None:
    """Whether a job of that kind can be begun with what was sent.

    Raises:
        OptionError: a gallery or files are missing, or not wanted.
    """
    wanted = KINDS_OF_JOBS[kind]
    if wanted.gallery == "needed" and gallery is None:
        raise OptionError(f"expected the gallery of the job {kind!r}, got none", option="gallery")
    if wanted.gallery == "none" and gallery is not None:
        raise OptionError(f"the job {kind!r} is about no gallery", option="gallery")
    if files and archive:
        raise OptionError("expected files or an archive, got both", option="archive")
    if wanted.files and not files and not archive:
        raise OptionError("expected files, or a zip named archive, got none", option="files")
    if not wanted.files and (files or archive):
        raise OptionError(f"the job {kind!r} takes no files", option="files")
    if isinstance(options, AnonymizeOptions):
        if gallery is None and (options.keep is not None or options.only is not None):
            raise OptionError("expected the gallery that knows these names", option="gallery")
        if options.keep is not None and options.only is not None:
            raise OptionError("expected keep or only, got both", option="only")


def without_root(value: Any, root: Path) -> Any:
    """A result with the paths of files as the sender has them, not as the server has."""
    if isinstance(value, str):
        return value.replace(f"{root}/", "").replace(str(root), ".")
    if isinstance(value, dict):
        return {key: without_root(each, root) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_root(each, root) for each in value]
    return value
