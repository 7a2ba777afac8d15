"""Every error of the library has its status, and every remedy words for clients."""

from __future__ import annotations

from lineament import errors
from lineament.server.problems import ACTIONS, STATUS, problem_of

OWN_FAULT = {
    *("error", "weights_unusable", "weights_hash", "weights_download", "engine_failed"),
    *("index_damaged", "index_contract", "service_failed", "truth_value", "gallery_damaged"),
    *("gallery_version", "key_file", "receipt_unusable", "audit_unusable"),
    *("training", "checkpoint", "diverged", "export_refused"),
}
"""Codes for which no client can do anything: 500."""

OF_HTTP = {"method_not_allowed", "not_acceptable"}


def test_every_code_has_a_status() -> None:
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.LineamentError)
    }
    assert codes - STATUS.keys() == OWN_FAULT
    assert STATUS.keys() - codes == OF_HTTP
    assert all(400 <= status < 600 for status in STATUS.values())


def test_remedies_have_words_for_clients() -> None:
    assert ACTIONS.keys() == errors.ACTIONS.keys()


def test_files_of_the_server_are_not_named() -> None:
    error = errors.GalleryDamagedError("/srv/data/galleries/staff: the database is damaged")
    answer = problem_of(error, "request-1")
    assert answer.status_code == 500
    assert b"/srv" not in answer.body
    assert b"gallery_damaged" in answer.body
    locked = problem_of(errors.GalleryLockedError("/srv/data: another process"))
    assert (locked.status_code, locked.headers["retry-after"]) == (503, "1")
    assert b"/srv" not in locked.body
