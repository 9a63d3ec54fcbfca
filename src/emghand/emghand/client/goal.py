"""One goal of an action, from being sent to its result, for as long as its node lives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError

if TYPE_CHECKING:
    from emghand.client.graph import GraphClient

RESTARTED = (
    "the node that ran it was started again, see its log; a run of trials goes on with: emghand "
    "session resume SESSION --run"
)
ASK_S = 1.0
"""How often a node that has appeared is asked whether it knows the goal."""
ASKS = 5
"""One that was asked so often and did not deny it was there before, and discovered late."""
NOTICE_S = 1.0
NOTICE_EVERY_S = 10.0


class Goal:
    """Sends one goal and waits for its result.

    Parameters
    ----------
    graph : GraphClient
    kind : type
        Action of the message package.
    name : str
        Of the action.
    on_feedback : callable, optional
        Gets every feedback message.
    """

    def __init__(
        self,
        graph: GraphClient,
        kind: type,
        name: str,
        on_feedback: Callable[[Any], None] | None,
    ) -> None:
        from rclpy.action import ActionClient

        self._graph = graph
        self._kind: Any = kind
        self._name = name
        self._on_feedback = on_feedback
        self._client: Any = ActionClient(graph._node, kind, name)
        self._handle: Any = None
        self._servers: set[tuple[int, ...]] = set()
        self._appeared = math.inf
        self._ask_at = 0.0
        self._asks = 0
        self._asked: list[Any] = []
        self._pressed = False

    def run(self, fields: dict[str, Any]) -> Any:
        """Result of the goal; see `GraphClient.act`."""
        from action_msgs.msg import GoalStatus

        graph = self._graph
        graph.wait_for(self._client.server_is_ready, self._name)
        self._servers = self._present()
        sent = self._client.send_goal_async(self._kind.Goal(**fields), self._hear)
        try:
            self._handle = self._taken(sent, fields)
            if not self._handle.accepted:
                raise UserError(f"{self._name}: refused the goal")
            future = self._handle.get_result_async()
            try:
                if self._pressed:
                    raise KeyboardInterrupt
                self._wait(future)
            except KeyboardInterrupt:
                graph.interrupted = True
                self._cancel(future, fields)
        finally:
            if sent.done() and (self._handle is None or future.done()):
                self._client.destroy()
        answer = future.result()
        if answer.status == GoalStatus.STATUS_UNKNOWN:
            raise UserError(f"{self._name}: {RESTARTED}")
        return answer.result

    def _hear(self, message: Any) -> None:
        if self._on_feedback is not None:
            self._on_feedback(message.feedback)

    def _taken(self, sent: Any, fields: dict[str, Any]) -> Any:
        """Handle of the goal. Ctrl-C does not end the wait: without it nothing can be cancelled."""
        limit = 4 * self._graph.timeout
        try:
            return self._wait(sent, limit)
        except KeyboardInterrupt:
            self._graph.interrupted = self._pressed = True
        try:
            return self._wait(sent, limit)
        except KeyboardInterrupt:
            self._leave("was asked for but not taken yet; it may still begin", fields)
            raise

    def _cancel(self, future: Any, fields: dict[str, Any]) -> None:
        """Cancel the goal and wait for its end, which may have much to write."""
        try:
            self._wait(self._handle.cancel_goal_async(), 4 * self._graph.timeout)
            self._wait(future, notice="is being ended; what was recorded is being written")
        except KeyboardInterrupt:
            self._leave("is still being ended; until then it keeps others from beginning", fields)
            raise

    def _leave(self, state: str, fields: dict[str, Any]) -> None:
        session = fields.get("session", "")
        look = f"emghand status {session}".strip()
        self._graph.on_notice(f"{self._name}: {state}. See what comes of it: {look}")

    def _wait(self, future: Any, limit: float = math.inf, notice: str = "") -> Any:
        """Result of a future that the node of the action is to fulfil."""
        missing_since = None
        begin = time.monotonic()
        notice_at = begin + NOTICE_S
        while not future.done():
            self._graph._executor.spin_once(timeout_sec=0.1)
            now = time.monotonic()
            if future.done():
                break
            self._look_for_others(now)
            if notice and now > notice_at:
                notice_at = now + NOTICE_EVERY_S
                self._graph.on_notice(
                    f"{self._name}: {notice} ({now - begin:.0f} s; Ctrl-C again: do not wait)"
                )
            if now - begin > limit:
                raise UserError(f"{self._name}: does not answer")
            if self._client.server_is_ready():
                missing_since = None
                continue
            missing_since = missing_since or now
            if now - missing_since > self._graph.timeout:
                raise UserError(f"{self._name}: the node that ran it has gone, see its log")
        return future.result()

    def _look_for_others(self, now: float) -> None:
        """Whether a node has come in place of the one that knew the goal.

        That a server appears does not say so: on a busy computer one is discovered late. One that
        was started again does not know the goal, and says so when it is asked.
        """
        from action_msgs.msg import GoalStatus

        answers = [asked.result() for asked in self._asked if asked.done()]
        if any(answer.status == GoalStatus.STATUS_UNKNOWN for answer in answers):
            raise UserError(f"{self._name}: {RESTARTED}")
        present = self._present()
        self._servers = self._servers or present
        new = present - self._servers
        if not new:
            return
        self._appeared = min(self._appeared, now)
        if self._handle is None:
            # It was sent once, to those who were there; one of them that lives answers soon.
            if now - self._appeared > self._graph.timeout:
                raise UserError(f"{self._name}: {RESTARTED}")
        elif self._asks == ASKS:
            self._servers |= new
            self._asks = 0
        elif now >= self._ask_at:
            self._ask_at = now + ASK_S
            self._asks += 1
            self._asked.append(self._handle.get_result_async())

    def _present(self) -> set[tuple[int, ...]]:
        """Servers of the action, by the ids of what they publish."""
        topic = f"{self._name}/_action/status"
        found = self._graph._node.get_publishers_info_by_topic(topic)
        return {tuple(writer.endpoint_gid) for writer in found}
