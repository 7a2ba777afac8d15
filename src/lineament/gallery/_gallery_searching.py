"""The part of ``Gallery`` that searches: who somebody is, and whether it is this person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from lineament.arguments import checked
from lineament.decide.calibration import DEFAULT_FPIR
from lineament.errors import LineamentError, OptionError
from lineament.finder import Source
from lineament.gallery import _nobody as nobody
from lineament.gallery import _ranking as ranking
from lineament.gallery import _verification as verification
from lineament.gallery import lookup
from lineament.gallery._gallery_people import GalleryPeople
from lineament.gallery._types import Identification, IdentifiedPhoto
from lineament.gallery.consent import checked_purpose
from lineament.images import Many, expand, is_many
from lineament.liveness.passive import LivenessMode
from lineament.types import Decision, Embedding, Quality, Threshold


class GallerySearching(GalleryPeople):
    """Searches in a gallery: see ``Gallery``."""

    # --- identifying ------------------------------------------------------------------------------

    @overload
    def identify(
        self,
        photos: Many,
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        one_person_per_photo: bool = True,
        metric: str = "cosine",
        liveness: LivenessMode = "off",
    ) -> list[IdentifiedPhoto]: ...
    @overload
    def identify(
        self,
        photos: Source,
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        one_person_per_photo: bool = True,
        metric: str = "cosine",
        liveness: LivenessMode = "off",
    ) -> IdentifiedPhoto: ...
    @checked
    def identify(
        self,
        photos: Any,
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        one_person_per_photo: bool = True,
        metric: str = "cosine",
        liveness: LivenessMode = "off",
    ) -> IdentifiedPhoto | list[IdentifiedPhoto]:
        """Who is in a photo? Every face in it.

        A face without a name has a ``reason``: nobody was alike enough, the photo's other face is
        that person, nobody was searched (an empty gallery, a filter that nobody matches), ...

        Args:
            photos: one photo, or many: a list, a folder, a pattern, ... (``images.many``).
            top: how many candidates a face.
            fpir: wanted: the share of faces of people not enrolled that get a name, 0 to 1.
            threshold: from which on a face gets a name, instead of one for ``fpir``: a cosine, or
                what ``metric`` gives.
            where: only among people with such metadata (``lineament.gallery.filters``).
            purpose: what the search is for: only among people who have a consent, and of whom every
                consent names it, in capitals or not. ``Identification.n_left_out`` counts the rest.
            one_person_per_photo: two faces of one photo are two people, so no two get the same
                name. False for collages, mirrors and contact sheets.
            metric: "siamese" scores the most alike people by the model's learned similarity, where
                it has one; else "cosine".
            liveness: "passive" checks whether each face is of somebody who was there; one of which
                that is not known gets no name (reason "not_live"). "active" needs a film.

        Raises:
            ImageError: a photo could not be read; in a list, it takes the result's place.
            OptionError: an option out of range, or no data to set a threshold by.
        """
        many, sources = is_many(photos), list(expand(photos))
        found = list(
            self.identify_stream(
                sources,
                top=top,
                fpir=fpir,
                threshold=threshold,
                where=where,
                purpose=purpose,
                one_person_per_photo=one_person_per_photo,
                metric=metric,
                liveness=liveness,
            )
        )
        if many:
            return found
        if found[0].error is not None:
            raise found[0].error
        return found[0]

    @checked
    def check_search(
        self, where: Mapping[str, Any] | None = None, *, purpose: str | None = None
    ) -> list[str]:
        """See that a search would be among somebody, before a door depends on it.

        ``identify`` itself says of each face that nobody was searched (``Identification.reason``).

        Args:
            where, purpose: as for ``identify``.

        Returns:
            What should be known of it, in words: keys that nobody has, how many people have no
            consent for the purpose.

        Raises:
            NobodySearchedError: nobody is enrolled, nobody matches, or nobody consented; the
                message says which keys and values there are.
        """
        if purpose is not None:
            checked_purpose(purpose, "purpose")
        return nobody.check_search(self._state, where, purpose)

    @checked
    def left_out(self, purpose: str, where: Mapping[str, Any] | None = None) -> int:
        """How many people a search for a purpose leaves out now, since they did not consent to it.

        Args:
            purpose, where: as for ``identify``; who does not match the filter is not counted.
        """
        checked_purpose(purpose, "purpose")
        return nobody.left_out_now(self._state, where, purpose)

    @checked
    def filter_notes(self, where: Mapping[str, Any] | None) -> list[str]:
        """What should be known of a filter: that nobody matches it, keys that nobody has."""
        if where and not self.people(where=where, limit=1):
            return [nobody.nobody_matches(self._state.store, where)]
        return nobody.filter_notes(self._state.store, where)

    def metadata_keys(self) -> dict[str, int]:
        """Keys of the people's metadata -> how many people have them; the most common first."""
        return lookup.metadata_keys(self._state.store)

    @checked
    def identify_stream(
        self,
        photos: Iterable[Source],
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        one_person_per_photo: bool = True,
        metric: str = "cosine",
        liveness: LivenessMode = "off",
    ) -> Iterator[IdentifiedPhoto]:
        """The same photo by photo as they come, in their order."""
        search = ranking.Search(
            top=top,
            fpir=fpir,
            threshold=threshold,
            where=where,
            purpose=purpose,
            one_person_per_photo=one_person_per_photo,
            metric=metric,
        )
        for photo in self.recognizer.stream(photos, keep_crops=True, liveness=liveness):
            yield ranking.identify_photo(self._state, photo, search)

    @checked
    def identify_embeddings(
        self,
        embeddings: Sequence[Embedding],
        *,
        together: bool = False,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        metric: str = "cosine",
        qualities: Sequence[Quality | None] | None = None,
    ) -> list[Identification]:
        """Whose embeddings are these?

        Args:
            embeddings: of N faces.
            together: whether they are faces of one photo, thus of N people.
            qualities: of the N faces, where they are known: it takes more for faces in which
                strangers look alike.
            top, fpir, threshold, where, purpose, metric: as for ``identify``.

        Raises:
            ContractError: they were made in another way than those in the gallery.
        """
        search = ranking.Search(
            top=top, fpir=fpir, threshold=threshold, where=where, purpose=purpose, metric=metric
        )
        if qualities is not None and len(qualities) != len(embeddings):
            raise OptionError(
                f"expected {len(embeddings)}, one for each embedding, got {len(qualities)}",
                option="qualities",
            )
        return ranking.identify_faces(
            self._state, embeddings, search, together=together, qualities=qualities
        )

    # --- verifying --------------------------------------------------------------------------------

    @overload
    def verify(
        self,
        name: str,
        photos: Many,
        *,
        fmr: float | None = None,
        threshold: float | Threshold | None = None,
        liveness: LivenessMode = "off",
        purpose: str | None = None,
    ) -> list[Decision | LineamentError]: ...
    @overload
    def verify(
        self,
        name: str,
        photos: Source,
        *,
        fmr: float | None = None,
        threshold: float | Threshold | None = None,
        liveness: LivenessMode = "off",
        purpose: str | None = None,
        box: Sequence[float] | None = None,
    ) -> Decision: ...
    @checked
    def verify(
        self,
        name: str,
        photos: Any,
        *,
        fmr: float | None = None,
        threshold: float | Threshold | None = None,
        liveness: LivenessMode = "off",
        purpose: str | None = None,
        box: Sequence[float] | None = None,
    ) -> Decision | list[Decision | LineamentError]:
        """Is this the person that it is said to be? 1:1, against all samples of one person.

        The sample that is most alike decides; it is ``source_b`` of the decision. With several
        samples the threshold is a little stricter and the probability a little lower than between
        two photos, so that the false match rate stays what it is said to be.

        Args:
            name: of the person.
            photos: one photo, or many: a list, a folder, a pattern, ... (``images.many``).
            fmr: wanted: the share of other people's photos that are taken for this person; None
                takes the rate that the calibration was tuned for, else 1e-4.
            threshold: cosine from which on it is the person, instead of one for ``fmr``.
            liveness: as for ``identify``: a face that is not known to be alive makes the verdict
                "not_live".
            purpose: what it is for: the person must have a consent, and each must name it, in
                capitals or not.
            box: of one photo: where the face is, as for ``FaceFinder.find``.

        Raises:
            UnknownPersonError: nobody has that name.
            ConsentError: the person did not consent to the purpose; no photo was looked at.
            ImageError, NoFaceError: of one photo; in a list, it takes the decision's place.
            OptionError: a value out of range, or no data to set a threshold by.
        """
        if box is not None:
            photos = self.recognizer.finder.boxed(photos, box)
        many, sources = is_many(photos), list(expand(photos))
        found = list(
            verification.verify_person(
                self._state,
                name,
                sources,
                fmr=fmr,
                threshold=threshold,
                liveness=liveness,
                purpose=purpose,
            )
        )
        if many:
            return [one.as_result() if isinstance(one, LineamentError) else one for one in found]
        (decision,) = found
        if isinstance(decision, LineamentError):
            raise decision
        return decision
