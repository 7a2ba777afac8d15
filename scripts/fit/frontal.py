"""Find the generic face of lineament.align.frontal in the photos of LFW View 1, and write it.

The central face of each photo is found with the default detector, and its 68 points by
"landmarks68". Each face is used twice, as it is and mirrored, so that what is found is symmetric.

1. Shape and motion. Tomasi, Kanade, "Shape and Motion from Image Streams under Orthography: a
   Factorization Method", IJCV 9(2), 1992: points of all faces, centered and of one size, are put
   as (2 F, 68); their best approximation of rank 3 is cameras (2 F, 3) times a shape (3, 68). The
   cameras here scale too (Poelman, Kanade, PAMI 19(3), 1997), and the "object" is not one face but
   thousands, whose differences count as noise.
2. A robust loop: cameras for a given shape, then the shape for given cameras, by least squares with
   weights of Cauchy's, of faces and of single points. On faces turned by more than 12 degrees the
   far half of the jaw line is left out: there the points lie on the outline, wherever it is.
3. Symmetry: the shape splits into one odd direction, x, and two even ones.
4. The metric upgrade: the 3x3 matrix after which the two rows of each camera are orthogonal and of
   equal length, in the sense of least squares. The sign of the depth: the tip of the nose is nearer
   than the eyes. Frontal is how the faces look at the median.

Then the covariances of the points' errors: what an affine camera, fitted by them, leaves of a face.
Only those of x and y of one point are kept. A full matrix of residuals would say nothing: it has no
part in the space of the cameras, and generalized least squares with it are ordinary ones.

Last the triangles: Delaunay, with forehead and anchors.

Run:  python -m scripts.fit.frontal ../shared/lfw      (needs scipy)
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import numpy as np
from rich.progress import track
from scipy.spatial import Delaunay

from lineament import models
from lineament.align.frontal import FILE, MIRRORED, mesh
from lineament.align.landmarks68 import BROWS, LEFT_EYE, NOSE_TIP, RIGHT_EYE, landmarks68
from lineament.datasets.lfw import read_lfw
from lineament.evaluate.protocols.lfw import images_of
from lineament.images import load_image
from lineament.models.runtime import load_model
from lineament.pipeline import Recognizer

ROUNDS = 60
HIDES_JAW_DEG = 12.0
CAUCHY = 3.0  # deviations at which a point's weight is a half
FACE_CAUCHY = 2.0  # median root mean squares at which a face's weight is a half
MOST = 2.5  # of these: faces beyond are left out of the covariances


def points_of(folder: str) -> np.ndarray:
    """The 68 points of the central face of each photo of View 1: (F, 68, 2)."""
    lfw = read_lfw(folder)
    model = load_model(models.get("landmarks68"))
    paths = [lfw.path(int(i)) for i in images_of(lfw, ("1",))]
    found = []
    for path, photo in zip(
        track(paths, "faces"), Recognizer().stream(paths, embed=False), strict=True
    ):
        index = photo.most_central()
        if index is not None:
            found.append(landmarks68(model, load_image(path), [photo.faces[index]])[0])
    return np.asarray(found, np.float64)


def cameras(points: np.ndarray, shape: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(F, 2, 4) from points (F, 68, 2), a shape (68, 3) and weights (F, 68)."""
    full = np.column_stack([shape, np.ones(len(shape))])
    left = np.einsum("fp,pi,pj->fij", weight, full, full)
    right = np.einsum("fp,pi,fpj->fij", weight, full, points)
    return np.linalg.solve(left, right).transpose(0, 2, 1)


def shape_for(points: np.ndarray, camera: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(68, 3), the same the other way round."""
    linear, shift = camera[:, :, :3], camera[:, :, 3]
    left = np.einsum("fp,fki,fkj->pij", weight, linear, linear)
    right = np.einsum("fp,fki,fpk->pi", weight, linear, points - shift[:, None])
    return np.linalg.solve(left, right[..., None])[..., 0]


def residuals_of(points: np.ndarray, shape: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """(F, 68, 2)."""
    return points - np.einsum("pi,fki->fpk", shape, camera[:, :, :3]) - camera[:, None, :, 3]


def symmetric(shape: np.ndarray) -> np.ndarray:
    """The same shape with other axes: the first odd, the others even."""
    shape = shape - shape.mean(axis=0)
    odd = np.linalg.svd(shape - shape[MIRRORED], full_matrices=False)[0][:, :1]
    even = np.linalg.svd(shape + shape[MIRRORED], full_matrices=False)[0][:, :2]
    return np.concatenate([odd, even], axis=1) * np.sqrt(len(shape))


def upgraded(shape: np.ndarray, camera: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The shape with true angles; its first axis stays the odd one.

    Of ``L = Q Q^T``, with which a camera's rows m have ``m^T L n`` as scalar product, symmetry
    leaves four numbers: xx, yy, yz, zz.
    """
    m, n = camera[:, 0, :3], camera[:, 1, :3]

    def product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        mixed = p[:, 1] * q[:, 2] + p[:, 2] * q[:, 1]
        return np.stack([p[:, 0] * q[:, 0], p[:, 1] * q[:, 1], mixed, p[:, 2] * q[:, 2]], axis=1)

    equations = np.concatenate([product(m, m) - product(n, n), product(m, n)])
    normal = (equations * np.tile(weight, 2)[:, None]).T @ equations
    size = (product(m, m) + product(n, n)).T @ weight
    xx, yy, yz, zz = np.linalg.solve(normal, size)
    q = np.linalg.cholesky(np.array([[xx, 0, 0], [0, yy, yz], [0, yz, zz]]) / xx)
    return np.linalg.solve(q, shape.T).T


def rotations_of(camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The camera's polar factors with their third rows, (F, 3, 3), and scales (F,)."""
    u, scales, vt = np.linalg.svd(camera[:, :, :3], full_matrices=False)
    two = u @ vt
    third = np.cross(two[:, 0], two[:, 1])
    return np.concatenate([two, third[:, None]], axis=1), scales.mean(axis=1)


def upright(shape: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """The shape with the axes and the unit of lineament.align.frontal."""
    rotation, _ = rotations_of(camera)
    z = np.median(rotation[:, 2] * np.sign(rotation[:, 2] @ rotation[0, 2])[:, None], axis=0)
    z[0] = 0.0  # symmetry
    z /= np.linalg.norm(z)
    eyes = np.concatenate([shape[LEFT_EYE], shape[RIGHT_EYE]])
    if shape[NOSE_TIP] @ z < (eyes @ z).mean():
        z = -z
    x = np.array([np.sign(shape[RIGHT_EYE, 0].mean()), 0.0, 0.0])
    y = np.array([0.0, z[2], -z[1]])
    if shape[NOSE_TIP] @ y < (eyes @ y).mean():
        y = -y
    turned = shape @ np.stack([x, y, z]).T
    left, right = turned[LEFT_EYE].mean(axis=0), turned[RIGHT_EYE].mean(axis=0)
    return (turned - (left + right) / 2) / np.linalg.norm(right - left)


def seen_of_jaw(shape: np.ndarray, camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, 68): 0 for the far half of the jaw line of turned faces, else 1; and the yaw, degrees."""
    rotation, _ = rotations_of(camera)
    towards = rotation[:, 2] * np.sign(rotation[:, 2, 2:])
    yaw = np.degrees(np.arctan2(towards[:, 0], towards[:, 2]))
    seen = np.ones((len(camera), len(shape)))
    seen[yaw > HIDES_JAW_DEG, :7] = 0.0  # the axis points to the right: the left half is far
    seen[yaw < -HIDES_JAW_DEG, 10:17] = 0.0
    return seen, yaw


def find_shape(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps 1 to 4 of the module's docstring: (68, 3), and the yaw of each face, (F,)."""
    stacked = points.transpose(0, 2, 1).reshape(-1, points.shape[1])
    shape = np.linalg.svd(stacked, full_matrices=False)[2][:3].T * np.sqrt(points.shape[1])
    seen, yaw = np.ones(points.shape[:2]), np.zeros(len(points))
    weight = seen
    for _ in track(range(ROUNDS), "shape"):
        camera = cameras(points, shape, weight)
        error = np.linalg.norm(residuals_of(points, shape, camera), axis=2)
        relative = error / (np.median(error, axis=0) / np.sqrt(np.log(4)))
        of_face = np.sqrt((relative**2).mean(axis=1))
        robust = 1 / (1 + (of_face / np.median(of_face) / FACE_CAUCHY) ** 2)
        weight = seen * robust[:, None] / (1 + (relative / CAUCHY) ** 2)
        shape = symmetric(shape_for(points, camera, weight))
        camera = cameras(points, shape, weight)
        shape = upgraded(shape, camera, weight.mean(axis=1))
        shape = upright(shape, cameras(points, shape, weight))
        seen, yaw = seen_of_jaw(shape, cameras(points, shape, weight))
    return (shape + shape[MIRRORED] * [-1, 1, 1]) / 2, yaw


def find_covariances(points: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(68, 2, 2): of the errors of each point, in distances of the eyes, upright."""
    full = np.column_stack([shape, np.ones(len(shape))])
    found = np.tile(np.eye(2), (len(shape), 1, 1))
    for _ in range(ROUNDS):
        spread = 1 / np.trace(found, axis1=1, axis2=2)
        camera = cameras(points, shape, np.tile(spread, (len(points), 1)))
        rotation, scale = rotations_of(camera)
        x, y = rotation[:, 0, 1], rotation[:, 1, 1]
        turn = np.stack([np.stack([y, x], -1), np.stack([-x, y], -1)], -2)
        turn /= np.hypot(x, y)[:, None, None]
        residuals = residuals_of(points, shape, camera) @ turn / scale[:, None, None]
        size = np.sqrt((residuals**2).mean(axis=(1, 2)))
        residuals = residuals[size < MOST * np.median(size)]
        # A point that pulls the camera to itself leaves less of its error: its leverage.
        normal = full.T @ (full * spread[:, None])
        leverage = spread * np.einsum("pi,ij,pj->p", full, np.linalg.inv(normal), full)
        found = np.einsum("fpi,fpj->pij", residuals, residuals) / len(residuals)
        found /= (1 - leverage)[:, None, None]
    sign = np.array([[1, -1], [-1, 1]])
    return (found + found[MIRRORED] * sign) / 2


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    points = points_of(sys.argv[1])
    n = len(points)
    points -= points.mean(axis=1, keepdims=True)
    points /= np.sqrt((points**2).mean(axis=(1, 2)))[:, None, None]
    points = np.concatenate([points, points[:, MIRRORED] * [-1, 1]])
    shape, yaw = find_shape(points)
    covariances = find_covariances(points, shape)
    vertices, _ = mesh(np.round(shape, 4))
    triangles = np.sort(Delaunay(vertices[:, :2]).simplices, axis=1)
    a, b, c = (vertices[triangles[:, k], :2] for k in range(3))
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    turned = ux * vy - uy * vx < 0
    triangles[turned] = triangles[turned][:, [0, 2, 1]]
    triangles = triangles[np.lexsort(triangles.T[::-1])]
    deviations = np.sqrt(np.trace(covariances, axis1=1, axis2=2) / 2)
    stored = {
        "format": 1,
        "source": (
            f"Structure from motion (scripts/fit/frontal.py: factorization of Tomasi and Kanade "
            f"1992 with scaled cameras, symmetry, robust weights, metric upgrade) of the 68 points "
            f"that the bundled network landmarks68 finds in {n:,} photos of LFW View 1; no scan "
            f"and no other 3-D model was used. {datetime.now(UTC):%Y-%m-%d}"
        ),
        "unit": "distance between the eyes; x to the viewer's right, y down, z at the viewer",
        "points_xyz": (np.round(shape, 4) + 0.0).tolist(),
        "covariances": [
            [float(f"{v:.3g}") for v in (m[0, 0], m[0, 1], m[1, 1])] for m in covariances
        ],
        "triangles": triangles.tolist(),
    }
    rows = [
        f'  "{name}": [\n' + ",\n".join(f"    {json.dumps(row)}" for row in value) + "\n  ]"
        if isinstance(value, list)
        else f'  "{name}": {json.dumps(value)}'
        for name, value in stored.items()
    ]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    depth = shape[:, 2]
    print(
        f"{n:,} faces, yaw at 50, 90 and 99 %: "
        f"{np.percentile(np.abs(yaw), [50, 90, 99]).round(1)} degrees\n"
        f"depth, in distances of the eyes, against the eyes: tip of the nose "
        f"{depth[NOSE_TIP]:.3f}, brows {depth[BROWS].mean():.3f}, chin {depth[8]:.3f}, ends of the "
        f"jaw line {depth[0]:.3f}\n"
        f"error of a coordinate: inner points {np.median(deviations[17:]):.3f}, jaw line "
        f"{np.median(deviations[:17]):.3f}; {len(triangles)} triangles -> {FILE}"
    )


if __name__ == "__main__":
    main()
