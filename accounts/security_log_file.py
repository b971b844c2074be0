"""The handler that writes security.log. It knows no models, because logging is set up before them."""

import os
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler


class PrivateFileHandler(WatchedFileHandler):
    """Makes its file for the server's own user only.

    Appends whole lines (O_APPEND), so several processes can share the file, and follows a rename by logrotate.
    """

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
