"""Runs the processes of a launch and ends every one of them with it.

Each process leads a session of its own. A stop goes SIGINT, SIGTERM, SIGKILL to whole groups, with patience between. A process that ends
takes the rest of its group with it. When the launcher itself is killed, `guard` does the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from vla_ros.launcher import guard
from vla_ros.launcher.evaluation import ProcessSpec

Report = Callable[[str], None]
CANNOT_START = 127  # as a shell says it
CHUNK_BYTES = 65536


class Supervisor:
    """The processes of one launch. `report` gets each line for people; `log` gets every line of output as well.

    The launch ends with a process that ends with the exit code `cannot_start`: its node is missing from the beginning.
    """

    def __init__(
        self,
        processes: Sequence[ProcessSpec],
        report: Report,
        log: IO[str] | None = None,
        *,
        interrupt_s: float = 5.0,
        terminate_s: float = 5.0,
        cannot_start: int | None = None,
    ) -> None:
        self.processes = tuple(processes)
        self._report = report
        self._log = log
        self._cannot_start = cannot_start
        self._grace_s = interrupt_s
        self._patience = ((signal.SIGINT, interrupt_s), (signal.SIGTERM, terminate_s), (signal.SIGKILL, None))
        self._id = uuid.uuid4().hex
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._failure = 0

    def run(self) -> int:
        """Run until all processes have ended. Returns the exit code of the first that failed, else 0.

        How processes end after a stop that was asked for does not count.
        """
        return asyncio.run(self._run())

    def stop(self, reason: str) -> None:
        """End the launch; from any thread, and as often as wanted."""
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._stop, reason)

    def _stop(self, reason: str) -> None:
        if not self._stopping.is_set():
            self._say(f"stopping: {reason}")
            self._stopping.set()

    async def _run(self) -> int:
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._loop.add_signal_handler(number, self._stop, signal.Signals(number).name)
        watcher = guarded(self._id, self._grace_s)
        try:
            await asyncio.gather(*(self._keep(spec) for spec in self.processes))
        finally:
            watcher.communicate()  # ends its input: it looks for left-overs and goes
        return self._failure

    async def _keep(self, spec: ProcessSpec) -> None:
        """One process with its respawns."""
        retries = 0
        while not self._stopping.is_set():
            code = await self._run_once(spec)
            if self._stopping.is_set():
                return
            self._note_end(spec, code)
            if spec.shutdown_on_exit:
                self._stop(f"'{spec.name}' has ended, and the launch ends with it")
            elif code == self._cannot_start:
                self._stop(f"'{spec.name}' could not start, and the launch ends with it")
            elif not spec.respawn or 0 <= spec.respawn_max_retries <= retries:
                return
            else:
                retries += 1
                await self._wait_for_stop(spec.respawn_delay_s)

    def _note_end(self, spec: ProcessSpec, code: int) -> None:
        if code == 0:
            self._say(f"'{spec.name}' has finished")
            return
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
        self._say(f"'{spec.name}' {how}: {' '.join(spec.command)}")
        if not spec.respawn:
            self._failure = self._failure or (128 - code if code < 0 else code)

    async def _wait_for_stop(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _run_once(self, spec: ProcessSpec) -> int:
        """Start a process, relay its output and wait for its end, which a stop brings about. Returns its exit code."""
        try:
            process = subprocess.Popen(
                spec.command,
                env=with_id({"PYTHONUNBUFFERED": "1", **spec.environment}, self._id),
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            self._say(f"'{spec.name}' cannot be started: {error.strerror}: {error.filename}")
            return CANNOT_START
        relays = [
            _LineRelay(process.stdout, lambda line: self._output(spec, line, spec.on_screen)),
            _LineRelay(process.stderr, lambda line: self._output(spec, line, True)),
        ]
        await self._until_ended(process)
        _signal_group(process, signal.SIGKILL)  # what it left behind; its id is not free again before wait()
        code = process.wait()
        for relay in relays:
            relay.finish()
        return code

    async def _until_ended(self, process: subprocess.Popen[bytes]) -> None:
        ended = asyncio.create_task(_ended(process.pid))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for number, patience_s in self._patience:
            if ended.done():
                return
            _signal_group(process, number)
            await asyncio.wait({ended}, timeout=patience_s)

    def _output(self, spec: ProcessSpec, line: str, on_screen: bool) -> None:
        text = f"[{spec.name}] {line}"
        if self._log is not None:
            self._log.write(f"{time.time():.3f} {text}\n")
        if on_screen:
            self._report(text)

    def _say(self, text: str) -> None:
        if self._log is not None:
            self._log.write(f"{time.time():.3f} [launch] {text}\n")
        self._report(f"[launch] {text}")


class _LineRelay:
    """Passes the lines of a pipe on as they come, and a last one without an end when the pipe is finished with."""

    def __init__(self, pipe: IO[bytes] | None, emit: Report) -> None:
        assert pipe is not None
        self._pipe, self._emit, self._rest = pipe, emit, b""
        os.set_blocking(pipe.fileno(), False)
        asyncio.get_running_loop().add_reader(pipe.fileno(), self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self._pipe.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line.decode(errors="replace").rstrip("\r"))
        if not data:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        return bool(data)

    def finish(self) -> None:
        """Pass on what is still in the pipe and close it."""
        while self._read():
            continue
        if self._rest:
            self._emit(self._rest.decode(errors="replace"))
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self._pipe.close()


async def _ended(pid: int) -> None:
    """Wait until a child process has ended, without collecting it."""
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def with_id(environment: Mapping[str, str], launch_id: str) -> dict[str, str]:
    """``environment`` for a process that is to end with the launch ``launch_id``, and with those that it carries already."""
    ids = environment.get(guard.VARIABLE, os.environ.get(guard.VARIABLE, ""))
    return {**environment, guard.VARIABLE: ":".join(filter(None, (ids, launch_id)))}


def guarded(launch_id: str, grace_s: float, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """The guard of all processes that carry ``launch_id``: when this process ends, or closes the guard's input, it ends them."""
    command = [sys.executable, "-I", "-S", str(Path(guard.__file__)), launch_id, str(grace_s)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, env=environment)
