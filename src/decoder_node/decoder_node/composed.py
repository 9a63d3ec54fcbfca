"""feature_node and decoder_node in one process: one hop and one process less."""

from __future__ import annotations

import sys

from decoder_node.decoder_node import DecoderNode
from decoder_node.feature_node import FeatureNode
from emghand_ros.node import run


def main() -> None:
    """Run both nodes."""
    sys.exit(run([FeatureNode, DecoderNode]))


if __name__ == "__main__":
    main()
