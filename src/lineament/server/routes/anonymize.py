"""A photo in, the same with faces covered out."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from lineament.errors import OptionError
from lineament.server.access import needs
from lineament.server.photos import read_request
from lineament.server.roles import check
from lineament.server.schemas import Options, answers, merged, photo_body

router = APIRouter(tags=["faces"])


class AnonymizeOptions(Options):
    """Of ``anonymize.anonymize``; keep and only exclude each other, and want a gallery."""

    method: Literal["blur", "pixelate", "solid"] = "blur"
    shape: Literal["ellipse", "box", "mesh"] = "ellipse"
    form: Literal["png", "jpeg"] = "png"
    gallery: str | None = Field(None, max_length=64, description="Who is in it stays seen.")
    keep: str | None = Field(None, max_length=1000, description="The one who stays seen.")
    only: str | None = Field(None, max_length=1000, description="The one who is covered.")


@router.post(
    "/anonymize",
    summary="Cover the faces of a photo",
    response_class=Response,
    **merged(
        needs("verify"),
        photo_body(AnonymizeOptions, "image"),
        {
            "responses": {
                **answers(404),
                200: {
                    "description": "The photo; the header X-Faces says how many are covered, of "
                    "how many.",
                    "content": {"image/png": {}, "image/jpeg": {}},
                },
            }
        },
    ),
)
async def anonymize(request: Request) -> Response:
    """Nobody recognizes who is covered, nor brings them back; nothing of the old file is left."""
    from lineament.anonymize.photos import anonymize as cover
    from lineament.anonymize.writing import encode_photo

    state = request.app.state.lineament
    photos, options, _ = await read_request(request, AnonymizeOptions)
    if options.gallery is not None:
        check(request.state.principal, "verify", options.gallery)
    elif options.keep is not None or options.only is not None:
        raise OptionError("expected the gallery that knows these names", option="gallery")

    def call() -> tuple[bytes, str]:
        gallery = None if options.gallery is None else state.galleries.get(options.gallery)
        done = cover(
            photos["image"],
            method=options.method,
            shape=options.shape,
            gallery=gallery,
            keep=options.keep,
            only=options.only,
            finder=state.covering_finder,
        )
        name = "photo.png" if options.form == "png" else "photo.jpg"
        return encode_photo(done.pixels, name), f"{done.n_hidden}/{len(done.faces)}"

    data, faces = await state.work.run(call)
    headers: dict[str, Any] = {"X-Faces": faces}
    return Response(data, media_type=f"image/{options.form}", headers=headers)
