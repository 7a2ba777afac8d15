"""Files of weights that others published: read without the frameworks that wrote them.

    read_weights(path)   names, shapes and numbers; of networks also the network
    FORMATS              what is read

file         what every reader returns
reading      which reader a file needs
pytorch, safetensors, keras, onnx_file, caffe, dlib_file, graphs   the readers
apart        HDF5 and OpenVINO's front ends, in a process of its own

Nothing that a file says is executed: no pickle, no "Lambda" layer, no operation of a graph but
those of OpenVINO and ONNX.
"""

from __future__ import annotations

from lineament.weights.file import FORMATS, Format, Graph, Port, WeightsFile
from lineament.weights.reading import format_of, read_weights

__all__ = ["FORMATS", "Format", "Graph", "Port", "WeightsFile", "format_of", "read_weights"]
