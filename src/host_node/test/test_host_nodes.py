"""Hosts over real topics: their clocks, what may be created on them, and the ports of devices."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from emghand_interfaces.msg import ClockMap, PortState
from emghand_interfaces.srv import CreateStage, EchoClock, RemoveStage, SetPort
from rclpy.parameter import Parameter

from bag_tools.recorder import BagRecorder
from emghand.clocks import tracks_of_bag
from emghand_ros import qos
from emghand_ros.clock import RosSteadyMap
from emghand_ros.clock_maps import RemoteClocks
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, process, wait_until
from host_node.clock_node import ClockNode
from host_node.host_node import HostNode
from host_node.port_node import PortNode

pytestmark = pytest.mark.ros

SKEWED = Path(__file__).parent / "skewed_host.py"
OFFSET_NS, DRIFT = 1_700_000_000, 80e-6
READING_NS = 100_000
"""To what steady and ROS time are compared by two nodes, and one adjusts the other meanwhile."""
ALLOWED = """
kinds:
  feeder:
    package: host_node
    executable: port_node
    parameters: {virtual.wires: ["motor>photobeam"]}
    arguments:
      virtual.seed: {type: int, low: 0, high: 9}
      device: {type: str, choices: [virtual]}
      autostart: {type: bool}
  missing: {package: host_node, executable: nothing}
"""


@pytest.fixture
def graph():
    with Graph() as graph:
        yield graph


def true_steady(remote_ns, origin):
    return origin + round((remote_ns + OFFSET_NS - origin) / (1.0 - DRIFT))


def parameters(**values):
    return [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]


def start(graph, node):
    graph.add(node)
    assert graph.call(node.start), node.failure
    return node


def call(graph, node, service_type, service, /, **fields):
    client = node.create_client(service_type, service)
    wait_until(client.service_is_ready, service)
    result = graph.result(client.call_async(service_type.Request(**fields)), service, 20.0)
    node.destroy_client(client)
    return result


def test_the_skewed_clock_of_another_process_is_mapped_within_its_interval_live_and_in_the_bag(
    graph, tmp_path
):
    node = graph.add(EmghandNode("bench"))
    maps = []
    node.create_subscription(ClockMap, "/clock_map", maps.append, qos.EVENT)
    clocks = RemoteClocks(node)
    recorder = start(graph, BagRecorder(parameter_overrides=parameters(uri=str(tmp_path / "bag"))))
    command = [sys.executable, str(SKEWED), "1.7", "80", "5", "--ros-args", "-p", "host:=remote"]
    with process(command, stdout=subprocess.PIPE, text=True) as skewed:
        origin = int(skewed.stdout.readline())
        start(
            graph,
            ClockNode(parameter_overrides=parameters(ping_period=0.02, publish_period=0.25)),
        )
        wait_until(lambda: maps and maps[-1].pings > 150, "the pings", 20.0)
        echo = call(graph, node, EchoClock, "/hosts/remote/echo_clock", t_send=7)
        skewed.terminate()
        assert skewed.wait(10.0) == 0
    graph.call(recorder.deactivate)
    assert echo.t_send == 7
    last = maps[-1]
    assert last.remote == "remote" and last.uncertainty_ns < 5e6
    # The remote clock is a known function of the steady clock that both processes share.
    steady = RosSteadyMap(node.get_clock())
    for track, asked in ((clocks, ("remote",)), (tracks_of_bag(tmp_path / "bag")["remote"], ())):
        for stamp in (last.reference_ns, echo.t_reply):
            local = track.to_local(*asked, stamp)
            error = local.ns - steady.to_ros(true_steady(stamp, origin))
            assert abs(error) < local.uncertainty_ns + READING_NS


def test_two_hosts_of_one_name_are_told_and_not_mapped(graph):
    node = graph.add(EmghandNode("bench"))
    maps = []
    node.create_subscription(ClockMap, "/clock_map", maps.append, qos.EVENT)
    first = start(graph, HostNode(parameter_overrides=parameters(host="twin")))
    second = start(graph, HostNode(parameter_overrides=parameters(host="twin")))
    wait_until(lambda: node.count_services("/hosts/twin/echo_clock") == 2, "both")
    clock = start(graph, ClockNode(parameter_overrides=parameters(hosts=["twin", "nobody"])))
    text = graph.call(clock.diagnose)[1]
    assert "twin: two hosts of this name" in text and "nobody: is not there" in text
    assert not maps
    assert first.host == second.host


@pytest.fixture
def host(graph, tmp_path):
    (tmp_path / "hosts.yaml").write_text(ALLOWED)
    allow = str(tmp_path / "hosts.yaml")
    host = start(graph, HostNode(parameter_overrides=parameters(host="here", allow=allow, most=1)))
    node = graph.add(EmghandNode("bench"))

    def create(name, kind, **arguments):
        return call(
            graph, node, CreateStage, "/hosts/here/create_stage",
            name=name, kind=kind, arguments=json.dumps(arguments),
        )  # fmt: skip

    def remove(name):
        return call(graph, node, RemoveStage, "/hosts/here/remove_stage", name=name)

    return SimpleNamespace(host=host, node=node, create=create, remove=remove)


def test_a_device_is_created_on_demand_used_and_removed(graph, host):
    heard = []
    created = host.create("pellets", "feeder", device="virtual")
    assert created.success, created.message
    host.node.create_subscription(PortState, "/pellets/in/state", heard.append, qos.HISTORY)
    wait_until(lambda: heard, "the state that was there before")
    sent = dict(port="out", channels=["motor"], values=[1.0])
    answer = call(graph, host.node, SetPort, "/pellets/out/set", **sent)
    assert answer.success and answer.stamp_ns > 0
    wait_until(lambda: list(heard[-1].values) == [1.0], "the photobeam")
    assert heard[-1].channels == ["photobeam"] and heard[-1].kind == "digital"
    assert "is there already" in host.create("pellets", "feeder").message
    assert "has 1 nodes" in host.create("more", "feeder").message
    pid = host.host._children["pellets"].pid
    removed = host.remove("pellets")
    assert removed.success and "status 0" in removed.message
    assert not Path(f"/proc/{pid}").exists()
    assert "was not created here" in host.remove("pellets").message


def test_what_is_not_allowed_is_refused_and_starts_nothing(host):
    for name, kind, arguments, says in [
        ("a", "shell", {}, "may not be created on here, only: feeder, missing"),
        ("a", "missing", {}, "has no executable nothing"),
        ("../a", "feeder", {}, "expected a small letter"),
        ("a", "feeder", {"virtual.seed": 10}, "not between 0 and 9"),
        ("a", "feeder", {"device": "firmata"}, "not allowed, choose from: virtual"),
        ("bench", "feeder", {}, "is there already"),
    ]:
        answer = host.create(name, kind, **arguments)
        assert not answer.success and says in answer.message
    assert not host.host._children


def test_a_node_that_dies_is_told_and_the_end_of_the_host_ends_the_others(graph, host):
    assert host.create("first", "feeder").success
    child = host.host._children["first"]
    child.signal(9)
    wait_until(lambda: child.exit_status is not None, "its end")
    assert "ended unasked: first" in graph.call(host.host.diagnose)[1]
    assert host.create("first", "feeder").success
    again = host.host._children["first"]
    host.host.stop_safely()
    assert again.exit_status == 0


def test_ports_refuse_what_cannot_be_and_a_board_comes_back_with_its_outputs_at_0(graph, board):
    node = graph.add(EmghandNode("bench"))
    heard = []
    node.create_subscription(PortState, "/port_node/out/state", heard.append, qos.HISTORY)
    settings = parameters(device="firmata", firmata__path=board.path, first_pause_s=0.05)
    start(graph, PortNode(parameter_overrides=settings))
    wait_until(lambda: heard, "the first state")

    def answer(**fields):
        return call(graph, node, SetPort, "/port_node/out/set", **fields)

    assert answer(port="out", channels=["motor"], values=[1.0]).success
    wait_until(lambda: list(heard[-1].values) == [1.0] and board.pins[13], "the motor")
    assert "neither 0 nor 1" in answer(channels=["motor"], values=[2.0]).message
    assert "not in" in answer(port="in", channels=["motor"], values=[1.0]).message
    board.unplug()
    wait_until(lambda: not answer(channels=["motor"], values=[1.0]).success, "the refusal")
    board.plug_in()
    wait_until(lambda: list(heard[-1].values) == [0.0] and not board.pins[13], "its return")
    assert "in" in {name.split("/")[2] for name, _ in node.get_topic_names_and_types()
                    if name.startswith("/port_node/")}  # fmt: skip
