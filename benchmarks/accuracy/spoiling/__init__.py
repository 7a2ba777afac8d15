"""Photos spoilt in many ways: what recognizability is fitted on, and what decisions are judged by.

A ``Spoiler`` takes a photo and the five landmarks of a face, and returns a photo of the same size.
Sizes are measured in distances between the eyes, so that faces of every size are spoilt alike. The
result depends on the photo and the landmarks alone: noise is drawn by what the pixels are.

    frame    where the face is: coordinates of the face, and the part of the photo around it
    pixels   the whole of that part: few pixels, blur, noise, compression, light, print, lines
    covers   a part of the face hidden: shapes, and what they are filled with
    media    what photos go through: screens, tape, print, wear
    kinds    families to draw from, for fitting; kinds that no family draws, for judging
"""
