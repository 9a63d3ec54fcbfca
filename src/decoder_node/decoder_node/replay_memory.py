"""Services for the replay memory of adaptation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emghand_interfaces.srv import ReplayMemoryFile
from std_srvs.srv import Trigger

from decoder_node.adaptation import LiveAdaptation
from emghand.adapt.memory import ReplayMemory, load_memory, save_memory
from emghand.adapt.messages import Setup
from emghand.errors import UserError
from emghand_ros.background import run_in_thread
from emghand_ros.node import EmghandNode


class ReplayMemoryServices:
    """``~/load_replay_memory``, ``~/save_replay_memory`` and ``~/clear_replay_memory``.

    The memory is a file that the worker writes. To load or clear it, the worker is ended first and
    started again after; what it had seen is forgotten.

    Parameters
    ----------
    node : EmghandNode
    adaptation : LiveAdaptation
    """

    def __init__(self, node: EmghandNode, adaptation: LiveAdaptation) -> None:
        self._node = node
        self._adaptation = adaptation
        node.create_service(ReplayMemoryFile, "~/load_replay_memory", self._on_load)
        node.create_service(ReplayMemoryFile, "~/save_replay_memory", self._on_save)
        node.create_service(Trigger, "~/clear_replay_memory", self._on_clear)

    async def _on_load(
        self, request: ReplayMemoryFile.Request, response: ReplayMemoryFile.Response
    ) -> ReplayMemoryFile.Response:
        async def work(setup: Setup, model_id: str) -> str:
            memory = await run_in_thread(
                self._node, lambda: load_memory(request.uri, model_id, setup.memory)
            )
            await self._adaptation.without_worker(lambda: _write(memory, model_id, setup))
            return f"{len(memory)} ticks from {request.uri}"

        return await self._answer(work, response)

    async def _on_save(
        self, request: ReplayMemoryFile.Request, response: ReplayMemoryFile.Response
    ) -> ReplayMemoryFile.Response:
        async def work(setup: Setup, model_id: str) -> str:
            def copy() -> int:
                if not setup.memory_file.exists():
                    raise UserError("the replay memory is empty")
                memory = load_memory(setup.memory_file, model_id, setup.memory)
                save_memory(memory, model_id, request.uri)
                return len(memory)

            return f"{await run_in_thread(self._node, copy)} ticks to {request.uri}"

        return await self._answer(work, response)

    async def _on_clear(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        async def work(setup: Setup, model_id: str) -> str:
            await self._adaptation.without_worker(lambda: setup.memory_file.unlink(missing_ok=True))
            return "the replay memory is empty"

        return await self._answer(work, response)

    async def _answer(self, work: Callable, response):  # type: ignore[no-untyped-def, type-arg]
        try:
            setup, model_id = self._adaptation.memory_setup()
            response.message = await work(setup, model_id)
        except (UserError, OSError) as error:
            response.message = str(error)
            return response
        response.success = True
        return response


def _write(memory: ReplayMemory, model_id: str, setup: Setup) -> None:
    Path(setup.folder).mkdir(parents=True, exist_ok=True)
    save_memory(memory, model_id, setup.memory_file, replace=True)
