"""The part of ``Gallery`` that enrolls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lineament.arguments import checked
from lineament.finder import Source
from lineament.gallery import enroll as enrollment
from lineament.gallery._gallery_base import GalleryBase
from lineament.gallery._once import checked_token, made_before
from lineament.gallery._types import EnrollReport, NewSample, Refusal, SampleInfo
from lineament.gallery.consent import Consent
from lineament.gallery.review import OnLowQuality, Review, rules_of
from lineament.gallery.values import checked_name
from lineament.images import expand, is_many
from lineament.types import Embedding, ProgressBar


class GalleryEnrolling(GalleryBase):
    """Photos and embeddings into a gallery: see ``Gallery``."""

    @checked
    def enroll(
        self,
        name: str,
        photos: Any,
        *,
        metadata: Mapping[str, Any] | None = None,
        consent: Consent | None = None,
        sample_metadata: Mapping[str, Any] | None = None,
        choose: bool = False,
        on_low_quality: OnLowQuality = "refuse",
        force: bool = False,
        review: Review | None = None,
        box: Sequence[float] | None = None,
        once: str | bytes | None = None,
        progress: ProgressBar[Any] | None = None,
    ) -> EnrollReport:
        """Enroll photos of one person, new or known; all that pass, in one transaction.

        Args:
            name: of the person: any script, 1 to 200 characters after NFC, with something to be
                seen, and nothing that nobody sees or that turns the direction of writing around.
            photos: one photo, or many: a list, a folder, a pattern, ... (``images.many``).
            metadata: of the person; keys that are there already get the new values.
            consent: of the person; it is added to those that are there. Another one for somebody
                who is known: see ``set_consent``.
            sample_metadata: of each of these samples.
            choose: take the face that a photo with several is of (``Recognizer.choose``)
                instead of refusing it.
            on_low_quality: "refuse", or "accept".
            force: enroll duplicates, and faces that are unlike the others of the person or look
                like somebody else, too.
            review: how closely photos are looked at; None takes the gallery's setting. "off": a
                face must be there, nothing else. "standard": as said here. "strict": with higher
                limits of quality, nothing covered, no photo with several faces, and in agreement
                with the person's other photos; without the three exceptions above.
            box: of one photo: where the face is, as for ``FaceFinder.find``; other faces in it are
                no reason to refuse it.
            once: a token of this request, such as a UUID of its own: sent again with the same one
                within a day, it adds nothing and returns what it added the first time, also after a
                crash in between.
            progress: shows how far it is; given the photos, how many, and what is being done.

        Returns:
            What was enrolled and what was refused, each with the reason. Of a list a refusal is no
            error: ``raise_for_refused`` makes it one.

        Raises:
            ImageError: the one photo could not be read.
            NoFaceError: it has no face.
            EnrollRefusedError: it was refused for another reason; ``refusal`` has it.
            OptionError: a bad name or bad metadata.
            ConsentError: the gallery takes nobody without a consent, or it does not allow what the
                gallery is for.
            GalleryReadOnlyError, GalleryLockedError: nothing was changed.
            GalleryError: another request had that token, or what it added is gone since.
        """
        checked_name(name)
        token = checked_token(once)
        if box is not None:
            photos = self.recognizer.finder.boxed(photos, box)
        many, sources = is_many(photos), list(expand(photos))
        if token is None or made_before(self._state.store, token, len(sources)) is None:
            allowed = {} if consent is None else {name: consent}
            enrollment.check_consents(self._state, [name], allowed)
        rules = rules_of(
            self.settings.review, review, choose=choose, on_low_quality=on_low_quality, force=force
        )
        looked: Iterable[NewSample | Refusal] = self.examine(
            sources,
            choose=choose,
            on_low_quality=on_low_quality,
            metadata={} if sample_metadata is None else sample_metadata,
            review=review,
        )
        if progress is not None:
            looked = progress(looked, len(sources), "enrolling")
        examined = list(looked)
        report = enrollment.enroll_examined(
            self._state, name, examined, metadata, consent, rules=rules, once=token
        )
        return report if many else report.raise_for_refused()

    @checked
    def enroll_embeddings(
        self,
        name: str,
        samples: Sequence[Embedding | NewSample],
        *,
        metadata: Mapping[str, Any] | None = None,
        consent: Consent | None = None,
        force: bool = False,
        review: Review | None = None,
        once: str | bytes | None = None,
    ) -> EnrollReport:
        """The same for embeddings that were made elsewhere: they are compared, not looked at.

        Raises:
            ContractError: they were made in another way than those in the gallery.
        """
        given = [NewSample(s) if isinstance(s, Embedding) else s for s in samples]
        rules = rules_of(self.settings.review, review, force=force)
        return enrollment.enroll_examined(
            self._state, name, given, metadata, consent, rules=rules, once=checked_token(once)
        )

    @checked
    def examine(
        self,
        photos: Iterable[Source],
        *,
        choose: bool = False,
        on_low_quality: OnLowQuality = "refuse",
        metadata: Mapping[str, Any] | None = None,
        review: Review | None = None,
        stream: enrollment.Stream | None = None,
    ) -> Iterator[NewSample | Refusal]:
        """The first half of ``enroll``, photo by photo as they come, in their order.

        Checks each photo by itself: readable, one face, good enough. Changes nothing, so that
        many people's photos can go through it in one stream; ``enroll_samples`` is the rest.

        Args:
            photos, choose, on_low_quality, metadata, review: as for ``enroll``.
            stream: what embeds instead of this gallery's recognizer in this process, such as
                ``lineament.bulk.on_ray.stream_chosen_on_ray``; the recognizer must be an equal one.
        """
        return enrollment.examine(
            self.recognizer,
            photos,
            rules=rules_of(
                self.settings.review, review, choose=choose, on_low_quality=on_low_quality
            ),
            metadata={} if metadata is None else metadata,
            stream=stream,
        )

    @checked
    def enroll_samples(
        self,
        samples: Sequence[tuple[str, NewSample]],
        *,
        metadata: Mapping[str, Mapping[str, Any]] | None = None,
        consents: Mapping[str, Consent] | None = None,
        force: bool = False,
        review: Review | None = None,
        once: str | bytes | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> list[SampleInfo | Refusal]:
        """The second half of ``enroll`` for many people at once, in one transaction.

        Args:
            samples: name and sample each.
            metadata: of people, by name.
            consents: of people, by name; added to those that are there.
            force: look for neither duplicates nor faces that are unlike the others of their
                person or look like somebody else.
            review, once: as for ``enroll``.
            on_note: called with what could not be checked, and what should be looked at.

        Returns:
            One for each sample, in their order.
        """
        token = checked_token(once)
        add = enrollment.admit if token is None else partial(enrollment.admit_once, once=token)
        outcome, notes = add(
            self._state,
            samples,
            {} if metadata is None else metadata,
            {} if consents is None else consents,
            rules=rules_of(self.settings.review, review, force=force),
        )
        if on_note is not None:
            for note in notes:
                on_note(note)
        return outcome
