"""The interfaces that other packages made known, with lineament behind them.

    import lineament.compat.face_recognition as face_recognition

Names of arguments, their order and defaults, types of results, and what is raised are those of the
originals, so that a program needs no more than another import. Where the original does something
that nobody would want, the shape stays and the meaning is right; the page of each in the docs lists
every difference. Nothing here imports the originals, and nothing else in lineament imports this.
"""
