"""``Logger``: the standard library's, under lineament's name; nothing is printed by itself."""

from __future__ import annotations

import logging


class Logger:
    """What deepface's modules log by; one for all."""

    def __init__(self) -> None:
        """Messages go to ``logging.getLogger("lineament.compat.deepface")``."""
        self._logger = logging.getLogger("lineament.compat.deepface")

    def info(self, message: str) -> None:
        """Log at the level INFO."""
        self._logger.info(message)

    def debug(self, message: str) -> None:
        """Log at the level DEBUG."""
        self._logger.debug(message)

    def warn(self, message: str) -> None:
        """Log at the level WARNING."""
        self._logger.warning(message)

    def error(self, message: str) -> None:
        """Log at the level ERROR."""
        self._logger.error(message)

    def critical(self, message: str) -> None:
        """Log at the level CRITICAL."""
        self._logger.critical(message)
