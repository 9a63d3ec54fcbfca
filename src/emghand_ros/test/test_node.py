import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.parameter import Parameter
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from emghand.client.domain import claim_domain
from emghand.errors import UserError
from emghand_ros import qos
from emghand_ros.node import FAILURE, SUCCESS, EmghandNode
from emghand_ros.testing import Graph, process, wait_until

pytestmark = pytest.mark.ros


class Scripted(EmghandNode):
    """Fails in the transition it is told to."""

    def __init__(self, fail="", error=None, **kwargs):
        super().__init__("scripted", **kwargs)
        self.fail, self.error, self.calls = fail, error or UserError("plug it in"), []

    def _step(self, name):
        self.calls.append(name)
        if self.fail == name:
            raise self.error

    def configure(self):
        self._step("configure")

    def activate(self):
        self._step("activate")

    def deactivate(self):
        self._step("deactivate")

    def cleanup(self):
        self._step("cleanup")


def test_a_node_goes_through_its_states_once_each():
    with Graph() as graph:
        node = graph.add(Scripted())
        assert node.start() and node.active
        assert node.trigger_deactivate() is SUCCESS and not node.active
        assert node.trigger_cleanup() is SUCCESS
    assert node.calls[:4] == ["configure", "activate", "deactivate", "cleanup"]


@pytest.mark.parametrize("step", ["configure", "activate"])
@pytest.mark.parametrize(
    ("error", "text"),
    [(UserError("plug it in"), "plug it in"), (KeyError("gone"), "failed: KeyError('gone')")],
)
def test_a_failed_transition_is_logged_and_shown_until_it_is_mended(step, error, text, capfd):
    with Graph() as graph:
        node = graph.add(Scripted(step, error))
        seen = []
        graph.add(EmghandNode("listener")).create_subscription(
            DiagnosticArray, "/diagnostics", lambda m: seen.extend(m.status), qos.SLOW
        )
        assert not node.start()
        assert not node.active
        wait_until(
            lambda: any(
                s.name == "scripted" and s.level == DiagnosticStatus.ERROR and text in s.message
                for s in seen
            ),
            "the failure on /diagnostics",
        )
        node.fail = ""
        if step == "configure":
            assert node.trigger_configure() is SUCCESS
        assert node.trigger_activate() is SUCCESS
        assert node.failure == ""
    assert text in capfd.readouterr().err


def test_a_failure_while_deactivating_is_reported_as_such():
    with Graph() as graph:
        node = graph.add(Scripted("deactivate"))
        node.start()
        assert node.trigger_deactivate() is FAILURE


def test_a_period_of_diagnostics_out_of_range_is_refused():
    with Graph(), pytest.raises(Exception, match="diagnostics_period"):
        EmghandNode("n", parameter_overrides=[Parameter("diagnostics_period", value=0.0)])


def test_timers_services_and_topics_work_in_the_executor():
    with Graph() as graph:
        server, client = graph.add(EmghandNode("server")), graph.add(EmghandNode("client"))
        ticks, heard = [], []
        server.create_timer(0.01, lambda: ticks.append(time.monotonic()))
        server.create_service(
            Trigger, "/t", lambda _, response: Trigger.Response(success=True, message="here")
        )
        server.create_subscription(Bool, "/b", heard.append, qos.EVENT)
        publisher = client.create_publisher(Bool, "/b", qos.EVENT)
        caller = client.create_client(Trigger, "/t")
        assert caller.wait_for_service(10.0)
        answer = graph.result(caller.call_async(Trigger.Request()), "the service")
        assert answer.message == "here"
        wait_until(lambda: publisher.get_subscription_count() == 1, "the subscription")
        for _ in range(100):
            publisher.publish(Bool(data=True))
        wait_until(lambda: len(heard) == 100 and len(ticks) > 5, "messages and ticks")


RUN = """
import sys
from std_msgs.msg import Bool
from emghand_ros import qos
from emghand_ros.node import EmghandNode, run
class Worker(EmghandNode):
    def __init__(self):
        super().__init__("worker")
        self.publisher = self.create_publisher(Bool, "/b", qos.EVENT)
        self.create_timer(0.001, self.work)
    def activate(self):
        print("active", flush=True)
    def work(self):
        sum(range(20000))
        {work}
    def deactivate(self):
        self.publisher.publish(Bool())
        print("deactivated", flush=True)
    def cleanup(self):
        print("clean", flush=True)
sys.exit(run([Worker]))
"""


def run_worker(work="", *args):
    claim_domain()
    return process(
        [sys.executable, "-c", RUN.format(work=work), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_busy_node_within_a_second_and_in_order(number):
    with run_worker() as worker:
        assert worker.stdout.readline() == "active\n"
        sent = time.monotonic()
        worker.send_signal(number)
        out, err = worker.communicate(timeout=10)
    assert time.monotonic() - sent < 1.0
    assert worker.returncode == 0
    assert out == "deactivated\nclean\n"
    assert "Traceback" not in err and "FATAL" not in err


def test_an_unforeseen_error_ends_the_process_with_a_failure_after_cleaning_up():
    with run_worker("raise KeyError('unforeseen')") as worker:
        out, err = worker.communicate(timeout=20)
    assert worker.returncode == 1
    assert out.endswith("deactivated\nclean\n")
    assert "unforeseen" in err


def test_a_missing_parameter_file_is_one_sentence():
    with run_worker("", "--ros-args", "--params-file", "/nowhere.yaml") as worker:
        _, err = worker.communicate(timeout=20)
    assert worker.returncode == 1
    assert "error:" in err and "nowhere.yaml" in err
    assert "Traceback" not in err


def test_nothing_of_a_process_outlives_its_block():
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    with (
        pytest.raises(RuntimeError, match="in between"),
        process([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as started,
    ):
        child = psutil.Process(int(started.stdout.readline()))
        raise RuntimeError("in between")
    assert started.returncode == -signal.SIGKILL
    wait_until(lambda: not child.is_running() or child.status() == "zombie", "its end")
