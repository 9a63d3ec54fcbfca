"""From recordings to a model: examples, lag alignment, fit, scores."""

from emghand.training.alignment import find_lag, shifted
from emghand.training.dataset import Dataset, dataset_from_recording, join
from emghand.training.fitting import Candidate, Fitted, Given, TrainSettings, fit, train
from emghand.training.unlabelled import unlabelled_features

__all__ = [
    "Candidate",
    "Dataset",
    "Fitted",
    "Given",
    "TrainSettings",
    "dataset_from_recording",
    "find_lag",
    "fit",
    "join",
    "shifted",
    "train",
    "unlabelled_features",
]
