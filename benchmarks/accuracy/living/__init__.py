"""Films of people who were never there: what the active liveness check is chosen and judged by.

A real photo of LFW becomes a head: the 478 points of its mesh, with rings behind them for ears,
hair and neck, as a surface in three dimensions that carries the photo. The head turns, its lids and
jaw move, and a pinhole camera sees it before a background, with noise. The same photo as a sheet of
paper is what attacks are made of: held still, moved, tilted, bent in several ways.

    scene     surfaces, the camera, the picture that it takes
    bodies    a head, and a sheet of paper, as surfaces
    acting    what a person and an attacker do when they are asked for something
    attempts  whole sessions, each against ``lineament.liveness.active``
"""
