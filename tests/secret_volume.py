"""A stand-in for a secret that Cloud Run mounts: each read of the file fetches the secret.

Google: "Configure secrets for services", every read of the file looks the secret up in Secret
Manager. What `stat` shows is not documented; here the file looks new each time. The real volume
can also fail a read, or return only a part of the text; this one never does.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Self


class SecretVolume:
    """`with SecretVolume(path, "text") as volume`: the file can be read within the block.

    Attributes:
        text: What the next read returns.
        reads: How often the file has been read.
        seconds: How long a read takes.
    """

    def __init__(self, path: Path, text: str, *, seconds: float = 0.0) -> None:
        """Takes the path of the file, its content, and how long a read takes."""
        self.path = path
        self.text = text
        self.reads = 0
        self.seconds = seconds
        self._answers = threading.Event()
        self._answers.set()
        self._ends = False
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        os.mkfifo(self.path)
        self._thread.start()
        return self

    def hang(self) -> None:
        """Makes each read hang until `resume`."""
        self._answers.clear()

    def resume(self) -> None:
        """Completes the read that hangs."""
        self._answers.set()

    def _serve(self) -> None:
        while True:
            # Opening waits for a reader. One that is killed while it hangs breaks the pipe.
            with contextlib.suppress(BrokenPipeError), self.path.open("w") as pipe:
                if self._ends:
                    return
                # A pipe of its own for each reader: the next one would get this text as well.
                following = self.path.with_suffix(".next")
                os.mkfifo(following)
                following.rename(self.path)
                self.reads += 1
                self._answers.wait()
                time.sleep(self.seconds)
                pipe.write(self.text)

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self.resume()
        while self._thread.is_alive():
            os.close(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK))
            self._thread.join(0.01)
