"""Recognition networks whose weights others published, and how their files are read.

    published.py   the table, ``recognize`` (names, shapes -> which one), ``build`` (-> a network)

One file a family (``_facenet.py``, ``_iresnet.py`` ...): the names that its weights have in their
files, against ours. ``_layout.py`` is what a family says of itself, ``_input.py`` how a
network is fed. No weights are part of the package: they stay with those who publish them.
"""
