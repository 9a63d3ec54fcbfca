"""Experiments as trees of stages, on any clock: see ``docs/protocols.md``."""

from emghand.protocol.actions import CallService, Function, Publish, Pulse, RunAction
from emghand.protocol.context import Context
from emghand.protocol.delays import Delay, GaussianRandomDelay, UniformRandomDelay
from emghand.protocol.engine import Run
from emghand.protocol.events import Event, EventLog
from emghand.protocol.gates import AnalogGate, DigitalGate, GateStage
from emghand.protocol.loader import Protocol, load_protocol
from emghand.protocol.loop import RealLoop, VirtualLoop
from emghand.protocol.runner import ProtocolRunner, Result, load_interrupted
from emghand.protocol.stage import SELF, Ending, Stage, StageError
from emghand.protocol.virtual import VirtualAnswer, VirtualTopic, VirtualWorld
from emghand.protocol.world import Answer, Need, World

__all__ = [
    "SELF",
    "AnalogGate",
    "Answer",
    "CallService",
    "Context",
    "Delay",
    "DigitalGate",
    "Ending",
    "Event",
    "EventLog",
    "Function",
    "GateStage",
    "GaussianRandomDelay",
    "Need",
    "Protocol",
    "ProtocolRunner",
    "Publish",
    "Pulse",
    "RealLoop",
    "Result",
    "Run",
    "RunAction",
    "Stage",
    "StageError",
    "UniformRandomDelay",
    "VirtualAnswer",
    "VirtualLoop",
    "VirtualTopic",
    "VirtualWorld",
    "World",
    "load_interrupted",
    "load_protocol",
]
