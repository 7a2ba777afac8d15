"""Everything that is said of how faces look, by one object.

    load_attributes()   -> ``AttributeReader``
    checked_names()     which attributes are asked for; refuses what there is not

Each network is loaded when it is first needed, so who asks for ages alone pays for ages alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from lineament import models
from lineament.align.mesh import Mesh, MeshLandmarker
from lineament.arguments import checked
from lineament.attributes.age import AgeEstimator, age_of, load_age_estimator
from lineament.attributes.expression import MODEL as EXPRESSION_MODEL
from lineament.attributes.expression import ExpressionReader, expression_of, joined
from lineament.attributes.gaze import find_gaze
from lineament.attributes.gender import GenderReader, gender_of, load_gender_reader
from lineament.attributes.limits import (
    LEAST_PRESENCE,
    LEAST_SIZE_PX,
    MOST_GAZE_YAW_DEG,
    MOST_YAW_DEG,
    NO_RACE,
    OLD_YEARS,
    YOUNG_YEARS,
)
from lineament.attributes.openings import eyes_of, mouth_of
from lineament.attributes.results import (
    Age,
    Expression,
    FaceAttributes,
    Gender,
    PhotoAttributes,
)
from lineament.errors import OptionError
from lineament.models import LicensePolicy
from lineament.models.runtime import Runtime, load_model
from lineament.pose import HeadPose
from lineament.suggest import did_you_mean, similar_names
from lineament.types import Face, Float64Array, Image, Photo

NAMES = ("age", "gender", "expression", "pose", "eyes", "mouth", "gaze")
"""What can be asked for."""

BY_MESH = frozenset({"expression", "pose", "eyes", "mouth", "gaze"})
"""What needs the mesh, which takes most of the time."""


def checked_names(only: Sequence[str] | None) -> frozenset[str]:
    """Return the attributes that are asked for; None: all of them.

    Raises:
        OptionError: none, or one that there is not.
    """
    if only is None:
        return frozenset(NAMES)
    asked = [only] if isinstance(only, str) else list(only)
    for name in asked:
        if name in ("race", "ethnicity"):
            raise OptionError(NO_RACE, option="only")
        if name not in NAMES:
            raise OptionError(
                f"expected one of {', '.join(NAMES)}, got {name!r}"
                f"{did_you_mean(similar_names(str(name), NAMES))}",
                option="only",
            )
    if not asked:
        raise OptionError(f"expected some of {', '.join(NAMES)}, got none", option="only")
    return frozenset(asked)


class AttributeReader:
    """Says how faces look. Calls from several threads are safe."""

    def __init__(
        self, *, runtime: Runtime | None = None, policy: LicensePolicy | None = None
    ) -> None:
        """Load nothing yet.

        Args:
            runtime: engine, device and threads; None asks the environment.
            policy: which licenses may be used; None asks the environment.
        """
        self._runtime, self._policy = runtime, policy

    @cached_property
    def ages(self) -> AgeEstimator:
        """The network of the ages, loaded."""
        return load_age_estimator(runtime=self._runtime, policy=self._policy)

    @cached_property
    def genders(self) -> GenderReader:
        """What says whether faces look like women's or men's, loaded."""
        return load_gender_reader(runtime=self._runtime, policy=self._policy)

    @cached_property
    def expressions(self) -> ExpressionReader:
        """The network of the expressions, loaded."""
        card = models.get(EXPRESSION_MODEL)
        return ExpressionReader(load_model(card, runtime=self._runtime, policy=self._policy))

    @cached_property
    def meshes(self) -> MeshLandmarker:
        """The networks of mesh and blendshapes, loaded."""
        loaded = [
            load_model(models.get(name), runtime=self._runtime, policy=self._policy)
            for name in ("facemesh", "blendshapes")
        ]
        return MeshLandmarker(*loaded)

    def load(self, only: Sequence[str] | None = None) -> None:
        """Load what the attributes of these names need, now."""
        names = checked_names(only)
        if "age" in names:
            _ = self.ages
        if "gender" in names:
            _ = self.genders
        if "expression" in names:
            _ = self.expressions
        if names & BY_MESH:
            _ = self.meshes

    @checked
    def read(
        self,
        photo: Photo,
        *,
        faces: Sequence[int] | None = None,
        only: Sequence[str] | None = None,
    ) -> PhotoAttributes:
        """Say how the faces of a photo look.

        Args:
            photo: as a finder returns it, with its pixels.
            faces: numbers of those that are looked at; None: all.
            only: of ``NAMES``; None: all of them.

        Raises:
            OptionError: a photo without its pixels, or a number or name that there is not.
            WeightsError: a network is missing, damaged or refused.
        """
        names = checked_names(only)
        numbers = range(len(photo.faces)) if faces is None else faces
        wrong = [n for n in numbers if not 0 <= n < len(photo.faces)]
        if wrong:
            raise OptionError(
                f"expected numbers of {len(photo.faces)} faces, from 0, got {wrong[0]}",
                option="faces",
            )
        if not len(numbers):
            return PhotoAttributes(photo, ())
        found = [photo.faces[n] for n in numbers]
        image = photo.needed_pixels()
        looks = self._looks(image, found, names)
        mesh = self.meshes.read(image, found) if names & BY_MESH else None
        expressions: list[Expression | None] = [None] * len(found)
        if "expression" in names and mesh is not None:
            expressions = [expression_of(row) for row in self._expressions(image, found, mesh)]
        poses = [None] * len(found) if mesh is None else mesh.poses()
        return PhotoAttributes(
            photo,
            tuple(
                self._face(names, image, photo.faces[n], n, looks[i], expressions[i], mesh, i, pose)
                for i, (n, pose) in enumerate(zip(numbers, poses, strict=True))
            ),
        )

    def expression(self, image: Image, face: Face) -> Float64Array:
        """Probabilities of one face's expressions, (7,), in the order of ``EXPRESSIONS``.

        Args:
            image: (H, W, 3) uint8, RGB.
            face: as a detector returns it.
        """
        probabilities: Float64Array = self._expressions(
            image, [face], self.meshes.read(image, [face])
        )[0]
        return probabilities

    def _expressions(self, image: Image, found: Sequence[Face], mesh: Mesh) -> Float64Array:
        """Of several faces with their meshes, (N, 7)."""
        assert mesh.blendshapes is not None
        shares = self.expressions.read_shown(self.ages.shown(image, found))
        return joined(shares, mesh.blendshapes)

    def _looks(
        self, image: Image, found: Sequence[Face], names: frozenset[str]
    ) -> list[tuple[Age | None, Gender | None]]:
        """Age and gender of each face."""
        if not names & {"age", "gender"}:
            return [(None, None)] * len(found)
        seen = self.ages.read_both(self.ages.shown(image, found))
        ages: list[Age | None] = [None] * len(found)
        if "age" in names:
            ages = [age_of(float(years)) for years in seen.years]
        genders: list[Gender | None] = [None] * len(found)
        if "gender" in names:
            genders = [gender_of(float(man)) for man in self.genders.read(image, found, seen)]
        return list(zip(ages, genders, strict=True))

    def _face(
        self,
        names: frozenset[str],
        image: Image,
        face: Face,
        number: int,
        looks: tuple[Age | None, Gender | None],
        expression: Expression | None,
        mesh: Mesh | None,
        row: int,
        pose: HeadPose | None,
    ) -> FaceAttributes:
        """Put together what is said of one face."""
        age, gender = looks
        if mesh is None or mesh.blendshapes is None or pose is None:
            doubts = _doubts(face, age, None, None)
            return FaceAttributes(face, number, age, gender, doubts=doubts)
        points, scores = mesh.points_xyz[row], mesh.blendshapes[row]
        eyes, mouth = eyes_of(points, scores), mouth_of(points, scores)
        gaze = None
        if "gaze" in names and abs(pose.yaw_deg) <= MOST_GAZE_YAW_DEG:
            gaze = None if any(eye.state == "shut" for eye in eyes) else find_gaze(image, points)
        presence = float(mesh.presence[row])
        return FaceAttributes(
            face,
            number,
            age,
            gender,
            expression,
            pose if "pose" in names else None,
            eyes if "eyes" in names else None,
            mouth if "mouth" in names else None,
            gaze,
            presence,
            _doubts(face, age, pose, presence),
        )


def _doubts(
    face: Face, age: Age | None, pose: HeadPose | None, presence: float | None
) -> tuple[str, ...]:
    """Why less is to be believed of what is said of a face, in words."""
    found = []
    size = float(np.min(face.size_wh))
    if size < LEAST_SIZE_PX:
        found.append(f"the face is small: {size:.0f} px")
    if presence is not None and presence < LEAST_PRESENCE:
        found.append("the mesh may not lie on a face")
    if pose is not None and abs(pose.yaw_deg) > MOST_YAW_DEG:
        found.append("the head is turned far to a side")
    if age is not None and age.years < YOUNG_YEARS:
        found.append("looks young: children's and young people's ages and gender are often wrong")
    if age is not None and age.years > OLD_YEARS:
        found.append("looks old: old people's ages are often too low")
    return tuple(found)


def load_attributes(
    *, runtime: Runtime | None = None, policy: LicensePolicy | None = None
) -> AttributeReader:
    """Return a reader; its networks are loaded when they are first needed.

    Args:
        runtime, policy: as ``AttributeReader`` takes them.
    """
    return AttributeReader(runtime=runtime, policy=policy)
