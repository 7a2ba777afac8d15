"""Is a face of somebody who was there, or of a print or a screen held before the camera?

active      ask for something and see whether it is done: ``ActiveSession``
passive     look at a photo, or at a few: ``load_passive``
result      what several checks say together: a ``Liveness`` of a ``Liveness`` each
texture     the network of the passive check
minifasnet  networks of yours beside it, from the files that Minivision published
"""
