"""What networks there are, what may be done with them, and the engines that run them.

cards       everything about a model but its numbers
manifest    the files that the cards are read from
download    files that do not travel inside the package
runtime     OpenVINO and ONNX Runtime behind one call
"""
