from lineament.align.alignment import align_faces as align_faces
from lineament.batching import Batcher as Batcher
from lineament.decide.comparison import compare as compare
from lineament.decide.metrics import score_matrix as score_matrix
from lineament.decide.metrics import score_rows as score_rows
from lineament.demo import demo_photos as demo_photos
from lineament.detect import DetectOptions as DetectOptions
from lineament.detect import load_detector as load_detector
from lineament.embed import load_embedder as load_embedder
from lineament.errors import LineamentError as LineamentError
from lineament.finder import FaceFinder as FaceFinder
from lineament.images import load_image as load_image
from lineament.models.runtime import Runtime as Runtime
from lineament.pipeline import Recognizer as Recognizer
from lineament.pipeline import verify as verify
from lineament.types import Contract as Contract
from lineament.types import Decision as Decision
from lineament.types import Embedding as Embedding
from lineament.types import Face as Face
from lineament.types import Photo as Photo
from lineament.types import Threshold as Threshold

__version__: str
