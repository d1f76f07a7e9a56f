"""The real gcloud, loaded once: a server that forks for each command.

gcloud needs more than a second of CPU to load, and a tenth of that to run a command. `GcloudServer`
makes a program `gcloud` that has the server run it: the same code of Google's, with the arguments,
environment, folder, streams and exit code of whoever starts the program.

gcloud's own launcher starts this file with gcloud's own Python, so it needs the standard library
alone, and no more than Python 3.9.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python} -IS
import json, os, socket, sys
with open({log!r}, "ab", buffering=0) as log:
    log.write(json.dumps(sys.argv[1:]).encode() + b"\\n")
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    code = server.recv(1)
sys.exit(code[0] if code else "gcloud ended without an exit code")
"""
_START_SECONDS = 120.0
# What the launcher sets for gcloud, apart from our own name among the arguments of Python.
_OF_LAUNCHER = (
    "CLOUDSDK_ROOT_DIR",
    "CLOUDSDK_ENCODING",
    "CLOUDSDK_PYTHON_SITEPACKAGES",
    "PYTHONIOENCODING",
)


class GcloudServer:
    """`async with GcloudServer(gcloud, environment) as server`: the program is `folder / "gcloud"`.

    Attributes:
        folder: has the program, and nothing else that can be run; for the front of the PATH.
    """

    def __init__(self, gcloud: str, environment: dict[str, str]) -> None:
        """Takes the path of the real gcloud, and the environment that it is loaded in.

        A program has an environment of its own, which counts, except for what gcloud reads while it
        loads: the folder of its configuration must be the same.
        """
        self._gcloud = gcloud
        self._environment = environment
        self._kept = tempfile.TemporaryDirectory(prefix="gcloud-")  # sockets need a short path
        self.folder = Path(self._kept.name)
        self._log = self.folder / "commands"

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of each gcloud that has run."""
        return [json.loads(line) for line in self._log.read_text("utf-8").splitlines()]

    async def __aenter__(self) -> GcloudServer:
        address = str(self.folder / "socket")
        program = self.folder / "gcloud"
        self._log.touch()
        program.write_text(
            _PROGRAM.format(python=sys.executable, log=str(self._log), address=address), "utf-8"
        )
        program.chmod(0o755)
        # The launcher appends the path of its own program, and our argument.
        self._process = await asyncio.create_subprocess_exec(
            *(self._gcloud, address),
            env={**self._environment, "CLOUDSDK_PYTHON_ARGS": f"-S {__file__}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            line = await self._process.stdout.readline()
        assert line == b"listening\n", "gcloud's launcher did not start the server; see stderr"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        await self._process.wait()
        self._kept.cleanup()


def _serve(launched: str, address: str) -> None:
    """Runs in gcloud's Python; `launched` is what the launcher would have run."""
    sys.path.insert(0, str(Path(launched).parent))
    sys.path = importlib.import_module("gcloud").reorder_sys_path(sys.path)
    cli = importlib.import_module("googlecloudsdk.gcloud_main").CreateCLI([])
    of_launcher = {name: os.environ[name] for name in _OF_LAUNCHER if name in os.environ}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a child
    modules = Path(f"{address}.modules")
    with socket.socket(socket.AF_UNIX) as server, modules.open("a+") as needed:
        server.bind(address)
        server.listen(64)
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        while True:
            client, _ = server.accept()
            for name in needed:  # by the commands that have ended since
                with contextlib.suppress(ImportError):  # some are made up by gcloud
                    importlib.import_module(name.strip())
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                server.close()
                _run(client, cli, of_launcher, modules)
            client.close()


def _run(client: socket.socket, cli: Any, of_launcher: dict[str, str], modules: Path) -> None:
    """Runs one command in this process, which ends, and lists the modules that it has loaded."""
    before = {*sys.modules}
    size, streams, _, _ = socket.recv_fds(client, 4, 3)
    with client.makefile("rb") as read:
        words, folder, environment = json.loads(read.read(int.from_bytes(size, "big")))
    for ours, theirs in enumerate(streams):
        os.dup2(theirs, ours)
        os.close(theirs)
    os.chdir(folder)
    main = importlib.import_module("googlecloudsdk.gcloud_main")
    configurations = importlib.import_module("googlecloudsdk.core.configurations.named_configs")
    os.environ.clear()
    os.environ.update({**of_launcher, **environment})
    configurations.ActivePropertiesFile.Invalidate()  # another command may have changed them
    sys.argv = ["gcloud", *words]
    code = 1
    try:
        code = _exit_code(main.main(cli))
    except SystemExit as ended:
        code = _exit_code(ended.code)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        with modules.open("ab", buffering=0) as needed:
            needed.write("".join(f"{n}\n" for n in sys.modules if n not in before).encode())
        client.send(bytes([code]))
        os._exit(code)


def _exit_code(code: object) -> int:
    """Returns what Python makes of the argument of `sys.exit`."""
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
