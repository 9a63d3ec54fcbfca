"""Sessions with a little of everything, and a run of trials that writes like the live graph."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "bags"))
import bag_maker

from emghand.decoders import RidgeDecoder
from emghand.decoders.normaliser import Normaliser
from emghand.dofs import Dof
from emghand.encoders import encoder_class
from emghand.signal.settings import FeatureSettings
from emghand.storage.bags import BagWriter, Topic
from emghand.storage.bags.definitions import Types, find_definition
from emghand.storage.models import Model, save_model
from emghand.storage.resume import write_plan
from emghand.storage.sessions import Session

bag_maker.TYPES["/session/trial"] = "emghand_interfaces/msg/TrialResult"

SET = {
    "name": "short",
    "dofs": [{"name": "index_flex", "low": -1.0, "high": 1.0}],
    "movements": [
        {"name": "point", "targets": {"index_flex": 1.0}, "rise": 0.1, "hold": 0.1, "fall": 0.1}
    ],
    "repetitions": 2,
    "prompt": 0.0,
    "rest": 0.1,
}


TYPES = Types()
TOPICS = {}


class RunMaker(bag_maker.Maker):
    """Also writes results of trials; all share what is known of the types, which is quick."""

    def __init__(self, writer):
        super().__init__(writer)
        self.types, self.topics = TYPES, TOPICS

    def put(self, topic, message, sequence=0):
        if topic not in TOPICS:
            name = bag_maker.TYPES[topic]
            found = Topic(topic, name, definition=find_definition(name))
            TOPICS[topic] = replace(found, type_hash=TYPES.hash(found))
        super().put(topic, message, sequence)

    def trial(self, number, outcome=""):
        names = "completion_time reaction_time path_efficiency stopping_distance longest_hold"
        names += " index_of_difficulty throughput"
        self.put(
            "/session/trial",
            bag_maker.namespace(
                **dict.fromkeys(names.split(), float("nan")),
                **dict.fromkeys(["session", "movement", "task", "id", "details"], ""),
                header=self.header(),
                activity="collect",
                trial=number,
                movement_index=0,
                repetition=0,
                start=self.header().stamp,
                end=self.header().stamp,
                dofs=[],
                rmse=np.zeros(0),
                outcome=outcome,
                overshoots=0,
                hold_violations=0,
            ),
        )


def make_model(seed=0, encoder=False):
    rng = np.random.default_rng(seed)
    Z, X = rng.normal(size=(200, 4)), rng.uniform(0.0, 1.0, size=(200, 1))
    fitted = encoder_class("linear")(size=2).fit(Z) if encoder else None
    return Model(
        decoder=RidgeDecoder().fit(Z if fitted is None else fitted.transform(Z), X),
        normaliser=Normaliser.fit(Z),
        dofs=(Dof("index_flex"),),
        features=FeatureSettings(),
        n_channels=4,
        rate=1000.0,
        channel_names=("a", "b", "c", "d"),
        encoder=fitted,
    )


def add_run(session, n_trials=4, done=2, label="collect", seed=0, table=True, **writer):
    """A recorded run; without `table` as a crash of session_node leaves it."""
    bag = session.new_bag_path(label)
    goal = {"movement_set": "movements/short.yaml", "seed": seed, "label": label}
    goal |= {"repetitions": 0, "shuffle": False}
    with BagWriter(bag, **writer) as target:
        write_plan(session, "collect", f"bags/{bag.name}", n_trials, goal)
        maker = RunMaker(target)
        maker.info()
        for number in range(done):
            maker.frame(16 * number, np.full((16, 4), seed + number))
            maker.trial(number)
    if table:
        document = {
            "activity": "collect",
            "status": "complete" if done == n_trials else "cancelled",
            "bag": f"bags/{bag.name}",
            "n_trials": n_trials,
            "movement_set": SET,
            "trials": [{"trial": number} for number in range(done)],
        }
        session.keep("results", f"{bag.name}_trials.json", json.dumps(document).encode())
        session.add_file(bag.absolute())
    return bag


def make_session(path, subject="p07", seed=0, settings=None):
    """One of every kind of thing."""
    session = Session.create(path, subject, settings or {"hop": 16})
    add_run(session, seed=seed)
    model = session.new_file_path("models", "ridge", ".emgmodel")
    save_model(make_model(seed, encoder=True), model)
    session.add_file(model.absolute())
    session.keep("models", "ridge.emgmemory", b"memory %d" % seed)
    session.keep("features", "collect.npz", b"features")
    session.keep("settings", "hand.yaml", b"grip: 1\n")
    return session
