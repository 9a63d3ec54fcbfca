import threading
import time

import pytest
from std_srvs.srv import Trigger

from emghand_ros.background import run_in_thread
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph

pytestmark = pytest.mark.ros


def test_the_executor_goes_on_while_long_work_is_awaited():
    released = threading.Event()

    def work():
        assert released.wait(10.0)
        return "done", time.monotonic()

    with Graph() as graph:
        node = graph.add(EmghandNode("n", parameter_overrides=[]))
        ended = []

        async def slow(_, response):
            response.message, ended_at = await run_in_thread(node, work)
            ended.append(time.monotonic() - ended_at)
            return response

        def quick(_, response):
            released.set()
            return response

        node.create_service(Trigger, "/slow", slow)
        node.create_service(Trigger, "/quick", quick)
        slow_client = node.create_client(Trigger, "/slow")
        quick_client = node.create_client(Trigger, "/quick")
        assert slow_client.wait_for_service(10.0) and quick_client.wait_for_service(10.0)
        answer = slow_client.call_async(Trigger.Request())
        graph.result(quick_client.call_async(Trigger.Request()), "the quick service")
        assert graph.result(answer, "the slow service").message == "done"
        assert ended[0] < 0.1


def test_an_error_of_the_work_reaches_the_coroutine():
    def work():
        raise KeyError("gone")

    with Graph() as graph:
        node = graph.add(EmghandNode("n"))

        async def caller():
            try:
                await run_in_thread(node, work)
            except KeyError as error:
                return repr(error)

        assert graph.call(caller) == "KeyError('gone')"


def test_waiting_adds_no_timer_to_the_clock_of_the_node():
    # rclpy complains on the terminal about a clock with eight of them or more.
    with Graph() as graph:
        node = graph.add(EmghandNode("n"))

        def count():
            return sum(timer.clock is node.get_clock() for timer in node.timers)

        before = count()
        assert before > 0

        async def caller():
            return await run_in_thread(node, count)

        assert graph.call(caller) == before
