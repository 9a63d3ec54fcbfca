import signal
import subprocess
import sys
import time

import pytest
from live_bench import make_model
from rclpy.parameter import Parameter

from decoder_node.decoder_node import DecoderNode
from emghand.storage.models import save_model
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, process, wait_until

pytestmark = pytest.mark.ros


def test_both_nodes_run_in_one_process_and_end_together(tmp_path):
    save_model(make_model(), tmp_path / "m.emgmodel")
    code = "from decoder_node.composed import main; main()"
    command = [sys.executable, "-c", code, "--ros-args", "-p", f"model:={tmp_path / 'm.emgmodel'}"]
    with Graph() as graph, process(command, stderr=subprocess.PIPE, text=True) as both:
        node = graph.add(EmghandNode("watch"))
        wait_until(
            lambda: (
                {"feature_node", "decoder_node"} <= set(node.get_node_names())
                and node.count_publishers("/decoder/out_x_hat") == 1
                and node.count_publishers("/features") == 1
            ),
            "both nodes",
        )
        wait_until(lambda: node.count_publishers("/decoder/model") == 1, "the model")
        sent = time.monotonic()
        both.send_signal(signal.SIGINT)
        _, err = both.communicate(timeout=10)
        assert time.monotonic() - sent < 1.5
        assert both.returncode == 0
        assert "Traceback" not in err


def test_a_missing_model_leaves_the_node_unconfigured_and_says_so():
    with Graph() as graph:
        node = graph.add(
            DecoderNode(parameter_overrides=[Parameter("model", value="/nowhere.emgmodel")])
        )
        assert not graph.call(node.start)
        assert "/nowhere.emgmodel" in node.failure
