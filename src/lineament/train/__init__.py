"""Training: from photos in folders to a recognizer that the pipeline takes by name.

    config      what a run is: a TOML file, read into frozen dataclasses; ``tables`` checks them
    recipes     configurations of the usual tasks: fine-tuning, distillation
    data/       folders, lists, shards and RecordIO -> crops, augmented; samplers; leakage
    losses/     one file per loss; all are called alike
    backbones/  one file per architecture; crops in, embeddings out
    model/      the network: what it starts from, checkpoints, teacher; export to ONNX
    run/        the run itself: components, steps, verification, state on the disk, log
    toy/        what margins do, in two dimensions

Begin with ``run.loop.fit``. Needs the extra "train" (PyTorch); importing this package loads nothing
of it.
"""
