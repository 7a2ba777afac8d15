"""Is a face of somebody who was there, or of a print or a screen held before the camera?

active      ask for something and see whether it is done: ``ActiveSession``
result      what several checks say together: a ``Liveness`` of a ``Liveness`` each
"""
