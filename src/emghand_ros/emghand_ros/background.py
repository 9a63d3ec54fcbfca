"""Long work beside the executor, awaited by a coroutine of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

T = TypeVar("T")
POLL_S = 0.005
_CLOCK = Clock(clock_type=ClockType.STEADY_TIME)
"""Of the polls: it goes on in a replay that is paused, and rclpy, which prints a warning for every
timer of a clock from the eighth on, does not count them with those of the node and its actions."""


async def run_in_thread(node: Node, function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own; the executor goes on meanwhile.

    For callbacks of services and actions that are coroutines. Raises what `function` raises.
    """
    future = Future(executor=node.executor)

    def work() -> None:
        try:
            result = function()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    # The executor looks at a waiting coroutine again only after some entity became ready, so
    # that without a timer the end of the thread could go unnoticed for as long as nothing else
    # happens.
    timer = node.create_timer(POLL_S, lambda: None, clock=_CLOCK)
    threading.Thread(target=work, name=f"{node.get_name()} work", daemon=True).start()
    try:
        return await future
    finally:
        node.destroy_timer(timer)
