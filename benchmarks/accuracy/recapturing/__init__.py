"""Photos that were shown to a camera again: prints and screens held before it, made by computing.

``media`` makes of a photo what lies on paper or on a screen, in linear light and in more detail
than a camera sees: inks in dots, subpixels, paper, gloss. ``camera`` looks at that: perspective,
lens, pixels, noise, sharpening, JPEG. ``kinds`` names what is done, with figures drawn within
bounds: the same photo, box, kind and seed give the same picture.

What the model leaves out: light that falls through a page, colors beyond three numbers, a camera's
own mosaic of colors, exposure that follows the scene. Figures on such pictures do not replace those
on photographs of prints and screens.
"""
