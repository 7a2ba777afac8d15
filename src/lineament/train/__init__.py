"""Training: from photos in folders to a recognizer that the pipeline takes by name.

    config      what a run is: a TOML file, read into frozen dataclasses
    data/       folders, lists, shards and RecordIO -> crops, augmented; samplers; leakage
    losses/     one file a loss; all are called alike
    backbones/  one file an architecture; crops in, embeddings out
    loop        the run itself: steps, checkpoints, verification while training
    export      a run -> an ONNX file and its entry for ``weights``

Needs the extra "train" (PyTorch). Importing this package loads nothing of it.
"""
