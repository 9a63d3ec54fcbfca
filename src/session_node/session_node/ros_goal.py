"""One goal of an action that a protocol asks for, and whatever else answers once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from action_msgs.msg import GoalStatus

from emghand.client.interfaces import plain
from emghand.protocol.world import Answer

if TYPE_CHECKING:
    from session_node.ros_world import RosWorld

POLL_S = 0.05
ACTION_WAIT_S = 10.0
"""How long to look for the server of an action, and how long it may be gone."""
LOOK_S = 0.5
"""How often to look whether the server of an action is still the one that took the goal."""
ASKS = 10
"""A new server that was asked so often for the goal and did not deny it was discovered late."""
TAKE_S = 5.0
"""A server that is there when a goal is sent has answered after this time [s]."""

RESTARTED = Answer(False, "the node that ran it was started again")
"""It knows nothing of the goal any more."""


class UnderWay:
    """Answers once, and not any more when it was cancelled."""

    def __init__(self, on_answer: Callable[[Answer], None]) -> None:
        self.over = False
        self._on_answer = on_answer

    def end(self, answer: Answer) -> None:
        """Answer."""
        if not self.over:
            self.over = True
            self._on_answer(answer)

    def cancel(self) -> None:
        """Answer no more."""
        self.over = True


class ActionGoal:
    """One goal of an action, from looking for its server to its result.

    Everything happens in the thread of the world; what the executor hears is posted there.
    """

    def __init__(
        self,
        world: RosWorld,
        client: Any,
        name: str,
        goal: Any,
        on_answer: Callable[[Answer], None],
    ) -> None:
        self._world = world
        self._client = client
        self._name = name
        self._goal = goal
        self._once = UnderWay(on_answer)
        self._missing_since = world.now()
        self._sent = False
        self._cancelled = False
        self._handle: Any = None
        self._servers: set[tuple[int, ...]] = set()
        self._look_at = 0.0
        self._appeared = math.inf
        self._asked = 0

    def begin(self) -> None:
        """Send the goal once the server is there; then see to it that the server stays."""
        if self._once.over:
            return
        now = self._world.now()
        if self._client.server_is_ready():
            self._missing_since = now
            if not self._sent:
                # Who may get the goal: one that dies before it answers never will.
                self._servers = self._present()
            elif now >= self._look_at:
                self._look_at = now + LOOK_S
                self._look_for_others(now)
            if not self._sent:
                self._sent = True
                self._world.in_executor(self._send)
        elif now - self._missing_since > ACTION_WAIT_S:
            what = "the node that ran it has gone" if self._sent else "nobody offers this action"
            self._once.end(Answer(False, what))
            return
        self._world.schedule(POLL_S, self.begin)

    def _send(self) -> None:
        """In the executor's thread.

        rclpy of Kilted makes a second future for the goal, and an answer that is heard in another
        thread before that is lost with the first one.
        """
        goal_id = self._world.new_id()
        self._then(self._client.send_goal_async(self._goal, goal_uuid=goal_id), self._accepted)

    def cancel(self) -> None:
        """Cancel the goal, as soon as it was taken; its result still comes."""
        if self._once.over or self._cancelled:
            return
        self._cancelled = True
        if not self._sent:
            self._once.end(Answer(False, "cancelled"))
        elif self._handle is not None:
            self._handle.cancel_goal_async()

    def _accepted(self, handle: Any) -> None:
        if not handle.accepted:
            self._once.end(Answer(False, "the goal was refused"))
            return
        self._handle = handle
        if self._cancelled:
            handle.cancel_goal_async()
        self._then(handle.get_result_async(), self._ended)

    def _look_for_others(self, now: float) -> None:
        """Ask servers that have appeared for the goal.

        On a busy computer one is discovered late, but then it knows the goal. A node that died and
        came back does not, and says so.
        """
        new = self._present() - self._servers
        if not new:
            return
        self._appeared = min(self._appeared, now)
        if self._handle is None:
            if now - self._appeared > TAKE_S:
                self._once.end(RESTARTED)
        elif self._asked < ASKS:
            self._asked += 1
            self._then(self._handle.get_result_async(), self._ended)
        else:
            self._servers |= new
            self._asked = 0

    def _present(self) -> set[tuple[int, ...]]:
        """Servers of this action, by the ids of what they publish."""
        found = self._world.writers(f"{self._name}/_action/status")
        return {tuple(writer.endpoint_gid) for writer in found}

    def _ended(self, answer: Any) -> None:
        if answer.status == GoalStatus.STATUS_UNKNOWN:
            self._once.end(RESTARTED)
            return
        given = answer_of(answer.result)
        succeeded = answer.status == GoalStatus.STATUS_SUCCEEDED
        self._once.end(Answer(given.ok and succeeded, given.message, given.values))

    def _then(self, future: Any, take: Callable[[Any], None]) -> None:
        future.add_done_callback(lambda f: self._world.loop.post(lambda: take(f.result())))


def answer_of(response: Any) -> Answer:
    """What a response or a result says, if it does, of ``success`` and ``message``."""
    values = plain(response)
    return Answer(bool(values.get("success", True)), str(values.get("message", "")), values)
