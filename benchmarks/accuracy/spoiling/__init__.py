"""Photos spoilt in many ways: what recognizability is fitted on, and what decisions are judged by.

A ``Spoiler`` takes a photo and the five landmarks of a face, and returns a photo of the same size.
Sizes are measured in distances between the eyes, so that faces of every size are spoilt alike. The
result depends on the photo and the landmarks alone: noise is drawn by what the pixels are.

    frame    where the face is: coordinates of the face, and the part of the photo around it
    pixels   the whole of that part: few pixels, blur, noise, compression, light, print, lines
    covers   a part of the face hidden: shapes, and what they are filled with
    media    what photos go through: screens, tape, print, wear
    warps    bent pictures: glass, water, torn film
    signals  what goes wrong on the way of a signal: color, lines, blocks
    cloths   rich textures, and what is worn on heads
    more     families of warps, signals and cloths
    fresh    glass, signals and wrapped heads of other forms: to judge by
    kinds    families to draw from, for fitting; kinds that no family draws, for judging
"""
