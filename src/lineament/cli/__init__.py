"""The command line: parse -> call -> print -> exit code.

Exit codes are grep's: 0 for yes (the same person, a face was found), 1 for no, 2 for an error; 130
after Ctrl-C, SIGTERM or SIGHUP. Results go to stdout, messages and progress bars to stderr. With
``--json`` stdout is exactly one JSON object, also when something fails: ``{"error": "...", "code":
"...", "option": ..., "hint": ...}``.

Each group of commands is a module here, imported when one of its commands is called; what a
command needs of the pipeline it imports when it runs. So ``lineament --help`` and completion answer
at once.
"""

from __future__ import annotations

import contextlib
import os
import sys

import click

from lineament import __version__
from lineament.cli.command import Entry, Group, Program
from lineament.cli.signals import EXIT_INTERRUPTED, end_by_signals, interrupt_by_signals
from lineament.cli.terminal import guard, open_streams
from lineament.offline import silence

EVERYDAY, PREPARE, GROUPS, OTHER = "Everyday", "Photos and thresholds", "Groups", "Other"

COMMANDS = {
    "verify": Entry("recognize:verify", "Are two photos of the same person?", EVERYDAY),
    "detect": Entry("recognize:detect", "Find faces.", EVERYDAY),
    "analyze": Entry(
        "analyze:analyze",
        "Say how faces look: age, gender, expression, head and gaze.",
        EVERYDAY,
    ),
    "identify": Entry("identify:identify", "Who is in a photo? Every face in it.", EVERYDAY),
    "find": Entry(
        "find:find", "Find the photos of a folder that show the person of a photo.", EVERYDAY
    ),
    "watch": Entry("watch:watch", "Who is in a film, or before a camera, and when.", EVERYDAY),
    "liveness": Entry(
        "liveness:liveness", "Is somebody there? Ask for movements that no photo makes.", EVERYDAY
    ),
    "group": Entry("group:group", "Group the faces of photos by person, without names.", EVERYDAY),
    "anonymize": Entry(
        "anonymize:anonymize",
        "Cover faces in photos and films for good; no metadata stays.",
        EVERYDAY,
    ),
    "demo": Entry("demo:demo", "Try it on the photos that come with the package.", EVERYDAY),
    "align": Entry("align:align", "Cut faces out, upright and in place.", PREPARE),
    "embed": Entry("embed:embed", "Represent faces by vectors.", PREPARE),
    "tune": Entry("tune:tune", "Fit thresholds and probabilities to your own photos.", PREPARE),
    "import": Entry(
        "import_store:import_",
        "Bring embeddings that another package stored into a gallery.",
        PREPARE,
    ),
    "serve": Entry(
        "serve:serve", "Answer requests over HTTP: detect, compare, enroll, identify.", GROUPS
    ),
    "keys": Entry(":KEYS", "Who may call a server: make, list and revoke keys.", GROUPS),
    "gallery": Entry(":GALLERY", "Enroll people, and keep who is enrolled.", GROUPS),
    "audit": Entry(":AUDIT", "Audit logs: is one whole, and what is in it?", GROUPS),
    "receipt": Entry(
        ":RECEIPT", "Receipts of what was erased: who signed one, and is it unchanged?", GROUPS
    ),
    "cache": Entry(":CACHE", "What is kept to save time: list it, clear it.", GROUPS),
    "models": Entry(":MODELS", "Networks, their licenses, smaller versions.", GROUPS),
    "train": Entry(":TRAIN", "Train, fine-tune, distill and export recognizers.", GROUPS),
    "eval": Entry(":EVAL", "Measure on a standard benchmark, or on photos of your own.", GROUPS),
    "plot": Entry(":PLOT", "Pictures of what the recognizer sees, and why it decides so.", GROUPS),
    "completion": Entry("demo:completion", "Completion of the shell: what to run for it.", OTHER),
}

MOVED = {
    "enroll": "gallery enroll",
    "enroll-folder": "gallery enroll-folder",
    "people": "gallery people",
    "show": "gallery show",
    "remove": "gallery remove",
    "rename": "gallery rename",
    "merge": "gallery merge",
    "annotate": "gallery annotate",
    "reindex": "gallery reindex",
    "migrate": "gallery migrate",
    "name-group": "gallery name-group",
    "export": "gallery export` or `lineament train export",
    "finetune": "train finetune",
    "distill": "train distill",
    "quantize": "models quantize",
}
"""Names of earlier versions, and what they are called now."""

GALLERY = Group(
    "gallery",
    {
        "create": Entry("enroll:create", "Make an empty gallery."),
        "enroll": Entry("enroll:enroll", "Enroll photos of one person."),
        "enroll-folder": Entry("enroll:enroll_folder", "Enroll the photos of many people."),
        "name-group": Entry("group:name_group", "Give a group a name, and enroll its faces."),
        "verify": Entry("identify:verify_person", "Is a photo of this person?"),
        "people": Entry("gallery:people", "Who is in the gallery."),
        "show": Entry("gallery:show", "One person with all photos."),
        "rename": Entry("gallery:rename", "Give a person another name."),
        "merge": Entry("gallery:merge", "Unite several people into one."),
        "annotate": Entry("gallery:annotate", "Set a person's metadata."),
        "reject": Entry("gallery:reject", 'Say that a face is not a person\'s: "not this person".'),
        "rejections": Entry("gallery:rejections", "Faces that were said not to be a person's."),
        "consent": Entry("lifecycle:consent", "Note a person's consent, or show it."),
        "keep": Entry("lifecycle:keep", "Say until when a person is kept."),
        "configure": Entry(
            "lifecycle:configure", "Settings of a gallery about consents and time, or show them."
        ),
        "remove": Entry("gallery:remove", "Remove a person, or one photo, and every byte of it."),
        "erase": Entry(
            "lifecycle:erase", "Remove a person, search every file for what is left, say so."
        ),
        "expire": Entry("lifecycle:expire", "Erase everybody whose time is over."),
        "export-person": Entry(
            "lifecycle:export_person", "Write all that is known of one person into a zip file."
        ),
        "export": Entry("gallery_files:export", "Write people and embeddings into one file."),
        "import": Entry("gallery_files:import_", "Add what `gallery export` wrote."),
        "check": Entry("gallery_files:check", "Read everything, and name what is damaged."),
        "reindex": Entry(
            "gallery_files:reindex", "Build the search index anew, or another one in its place."
        ),
        "migrate": Entry("gallery_files:migrate", "Embed everybody anew with another recognizer."),
        "new-key": Entry("gallery_keys:new_key", "Make a key for encrypted galleries."),
        "encrypt": Entry("gallery_keys:encrypt", "Encrypt a gallery that exists."),
        "decrypt": Entry(
            "gallery_keys:decrypt", "Write an encrypted gallery as it is, without a key."
        ),
        "rotate-key": Entry("gallery_keys:rotate_key", "Give an encrypted gallery another key."),
    },
    help="Enroll people, and keep who is enrolled. `lineament identify` finds them in photos.",
    example='lineament gallery enroll "Ada Lovelace" ada1.jpg ada2.jpg\n'
    "lineament identify party.jpg",
)
KEYS = Group(
    "keys",
    {
        "add": Entry("serve:add", "Make a key of a server; it is shown once."),
        "list": Entry("serve:list_", "The keys of a server, without their secrets."),
        "revoke": Entry("serve:revoke", "Refuse a key from now on."),
        "login": Entry("serve:login", "Make a link that logs in to the page as admin, once."),
    },
    help="Who may call a server: keys with roles, for some galleries or all.",
    example="lineament keys add --role enroll --gallery staff",
)
AUDIT = Group(
    "audit",
    {
        "verify": Entry("audit:verify", "Follow a log's chain from its first entry to its last."),
        "show": Entry("audit:show", "List the entries of an audit log."),
    },
    help="Audit logs: is one whole, and what is in it?",
    example="lineament audit verify audit.jsonl\nlineament audit show audit.jsonl --last 20",
)
RECEIPT = Group(
    "receipt",
    {
        "key": Entry("audit:key", "Make a pair of keys to sign receipts and logs with."),
        "verify": Entry("audit:verify_receipt", "Is a receipt signed by this key, and unchanged?"),
    },
    help="Receipts of what was erased: who signed one, and is it unchanged?",
    example="lineament receipt key erase.key\n"
    "lineament receipt verify ada.json --public-key erase.key.pub",
)
CACHE = Group(
    "cache",
    {
        "list": Entry("cache:list_", "What is in the cache folder, and how much room it takes."),
        "size": Entry("cache:size", "How much room the cache folder takes."),
        "clear": Entry("cache:clear", "Remove what is kept."),
    },
    help="What is kept to save time: embeddings of photos, networks that were downloaded.",
    example="lineament cache list\nlineament cache clear --kind embeddings",
)
MODELS = Group(
    "models",
    {
        "list": Entry("models:list_", "List the networks and their licenses."),
        "show": Entry("models:show", "All that is known about a network."),
        "compare": Entry(
            "compare_models:compare", "Which model is best for these photos, with which metric?"
        ),
        "licenses": Entry("models:licenses", "Print the texts of the licenses."),
        "add": Entry("models:add", "Use a file of weights that you have."),
        "remove": Entry("models:remove", "Forget a model that was added, and delete its file."),
        "verify-weights": Entry(
            "models:verify_weights", "Compare files of weights with their hashes."
        ),
        "quantize": Entry("models:quantize", "Make an int8 version of a recognizer."),
    },
    help="Networks, their licenses, smaller versions, and those of your own.",
    example="lineament models list --license-policy commercial",
)
TRAIN = Group(
    "train",
    {
        "run": Entry("train:run", "Train a recognizer as a configuration says."),
        "example": Entry("train:example", "Print a configuration with every key."),
        "finetune": Entry("train:finetune", "Train a recognizer further, on photos of your own."),
        "distill": Entry("train:distill", "Teach an architecture a recognizer's embeddings."),
        "toy": Entry("train:toy", "What the losses do, drawn in two dimensions."),
        "export": Entry("train:export", "Write a trained model as ONNX, with its entry."),
    },
    help="Train, fine-tune, distill and export recognizers.",
    example="lineament train example > my.toml\nlineament train run my.toml --out runs/1",
    moved={"--example": "train example"},
)
EVAL = Group(
    "eval",
    {
        "agedb": Entry("eval:agedb", "AgeDB-30: pairs with 30 years between their photos."),
        "bin": Entry("eval:bin_", "InsightFace's verification sets: aligned pairs in one file."),
        "calfw": Entry("eval:calfw", "Cross-Age LFW: pairs of different ages, in ten folds."),
        "cfp": Entry("eval:cfp", "Celebrities in Frontal-Profile: accuracy in ten folds."),
        "cplfw": Entry("eval:cplfw", "Cross-Pose LFW: pairs of different poses, in ten folds."),
        "distractors": Entry("eval:distractors", "Identification among growing distractors."),
        "folder": Entry("eval:folder", "One folder per person: all pairs, suspected mislabels."),
        "groups": Entry("eval:groups", "Errors by groups of people, and the ratio worst to best."),
        "ijb": Entry("eval:ijb", "IJB-B and IJB-C: templates of photos and video frames."),
        "lfw": Entry("eval:lfw", "Labeled Faces in the Wild: accuracy and error rates."),
        "liveness": Entry(
            "eval_liveness:liveness",
            "Liveness: attacks that pass, living people who do not.",
        ),
        "open-set": Entry("eval:open_set", "Open-set identification in the manner of BLUFR."),
        "pairs": Entry("eval:pairs", "Pairs of your own: accuracy, error rates, decisions."),
        "ytf": Entry("eval:ytf", "YouTube Faces: pairs of videos, compared in three ways."),
    },
    help="Measure on a standard benchmark, or on photos of your own.",
    example="lineament eval lfw ~/data/lfw --preset fast --json",
)
PLOT = Group(
    "plot",
    {
        "alignment": Entry("plot:alignment", "How a face is aligned, stage by stage."),
        "barcode": Entry(
            "plot_people:barcode", "Embeddings as barcodes: a true pair and a false one."
        ),
        "correlation": Entry(
            "plot_people:correlation", "How alike people are, and who passes for whom."
        ),
        "explain": Entry("plot:explain", "Which regions of two faces carry the decision."),
        "grid": Entry("plot_people:grid", "Similarity of every pair of photos, with the faces."),
        "histogram": Entry(
            "plot_people:histogram", "How far everybody lies from one person's mean."
        ),
        "occlusion": Entry("plot:occlusion", "A photo made worse in steps: what it bears."),
        "pose": Entry("plot_people:pose", "A person's photos by the turn of the head."),
        "report": Entry("plot_people:report", "All pictures of a folder of people as one page."),
        "tsne": Entry(
            "plot_people:tsne", "Faces on a plane, those that are alike near each other."
        ),
    },
    help="Pictures of what the recognizer sees, and why it decides as it does.",
    example="lineament plot explain a.jpg b.jpg --out why.png",
)

app = Program(
    "lineament",
    COMMANDS,
    moved=MOVED,
    help="Face recognition that says how sure it is.",
    epilog="Exit codes: 0 yes (same person, face found), 1 no, 2 error. "
    "Results go to stdout, messages to stderr.",
    example="lineament verify a.jpg b.jpg",
)
click.version_option(
    __version__, "-V", "--version", message="lineament %(version)s", help="Print the version."
)(app)


def main() -> None:
    """Run ``lineament``; what the script of that name calls. Ends the process."""
    code: object = EXIT_INTERRUPTED
    try:
        interrupt_by_signals()
        open_streams()
        guard()
        silence()
        app(prog_name="lineament")
    except SystemExit as end:
        code = 0 if end.code is None else end.code
    except KeyboardInterrupt:  # before or after there was anything to be said
        pass
    if not isinstance(code, int):
        sys.exit(str(code))
    end_by_signals()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Everything is written and no thread is at work. Taking the engine apart, object by object,
    # would cost a tenth of a second or more before the shell has its prompt back.
    os._exit(code)
