"""LightGBM's text format, checked before its C++ reads it: that one believes every number.

Where a tree says that its left branch is node 10^9, LightGBM goes there, and the process ends. What
is handed on has the head and the trees, and nothing of the parameters after them.
"""

from __future__ import annotations

import math

from lineament.errors import DataError

MOST_LEAVES = 1024
"""Of a tree; those of the package's own ensemble have 4."""

_END = "end of trees"
_HEAD = {
    "version": "v4",
    "num_class": "1",
    "num_tree_per_iteration": "1",
    "label_index": "0",
}


def checked(model: str, n_features: int) -> str:
    """The head and the trees of a model, once they fit together.

    Args:
        model: LightGBM's text format, of one binary decision over numbers.
        n_features: K, of the features that the trees may ask for.

    Raises:
        DataError: says what does not fit.
    """
    text, end, _ = model.partition(_END)
    head, *trees = text.split("Tree=")
    if not end or not trees or not text.isascii() or "\r" in text or "\0" in text:
        raise DataError("fusion: expected a LightGBM text model")
    name, _, rest = head.partition("\n")
    values = _values(rest)
    if name != "tree" or any(values.get(key) != value for key, value in _HEAD.items()):
        raise DataError("fusion: expected a LightGBM model of one binary decision, version 4")
    if not values.get("objective", "").startswith("binary"):
        raise DataError("fusion: expected a LightGBM model of one binary decision, version 4")
    if _numbers(values, "max_feature_idx", 1) != [n_features - 1]:
        raise DataError(f"fusion: expected trees of {n_features} features")
    if len(values.get("feature_names", "").split()) != n_features:
        raise DataError(f"fusion: expected trees of {n_features} features")
    # LightGBM jumps by these sizes.
    if _numbers(values, "tree_sizes", len(trees)) != [len("Tree=" + tree) for tree in trees]:
        raise DataError("fusion: expected the sizes that its trees have")
    for number, tree in enumerate(trees):
        first, _, rest = tree.partition("\n")
        if first != str(number):
            raise DataError(f"fusion: expected tree {number}")
        _check_tree(_values(rest), n_features, f"tree {number}")
    return text + end + "\n"


def _values(text: str) -> dict[str, str]:
    lines = [line for line in text.split("\n") if line]
    values = dict(line.partition("=")[::2] for line in lines)
    if len(values) < len(lines):
        raise DataError("fusion: a key occurs twice")
    return values


def _numbers(values: dict[str, str], key: str, n: int) -> list[float]:
    words = values.get(key, "").split(" ")
    try:
        numbers = [float(word) for word in words if len(words) == n]
    except ValueError:
        numbers = []
    if len(numbers) != n or not all(map(math.isfinite, numbers)):
        raise DataError(f"fusion: {key}: expected {n} finite numbers")
    return numbers


def _check_tree(values: dict[str, str], n_features: int, what: str) -> None:
    (leaves,) = _numbers(values, "num_leaves", 1)
    if leaves not in range(1, MOST_LEAVES + 1):
        raise DataError(f"fusion: {what}: expected 1 to {MOST_LEAVES} leaves")
    if _numbers(values, "num_cat", 1) != [0] or _numbers(values, "is_linear", 1) != [0]:
        raise DataError(f"fusion: {what}: expected decisions by thresholds, and constant leaves")
    n = int(leaves)
    _numbers(values, "leaf_value", n)
    _numbers(values, "shrinkage", 1)
    if n == 1:
        return
    _numbers(values, "threshold", n - 1)
    kinds = set(_numbers(values, "decision_type", n - 1))
    if not kinds <= {0, 2, 4, 6, 8, 10}:  # bit 0: by categories
        raise DataError(f"fusion: {what}: expected decisions by thresholds")
    if not set(_numbers(values, "split_feature", n - 1)) <= set(range(n_features)):
        raise DataError(f"fusion: {what}: expected features 0 to {n_features - 1}")
    children = _numbers(values, "left_child", n - 1) + _numbers(values, "right_child", n - 1)
    # Each node but the first, and each leaf (-1, -2, ...), is the child of one node before it.
    if sorted(children) != [*range(-n, 0), *range(1, n - 1)]:
        raise DataError(f"fusion: {what}: expected each branch to end in its own leaves")
    below = [child <= place for place, child in enumerate(children[: n - 1]) if child >= 0]
    below += [child <= place for place, child in enumerate(children[n - 1 :]) if child >= 0]
    if any(below):
        raise DataError(f"fusion: {what}: expected each branch to end in its own leaves")
