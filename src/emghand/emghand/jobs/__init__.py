"""Work on stored data, in a process of its own that can be asked to stop at any moment."""

from emghand.jobs.plan import JOBS, Plan, Request, plan
from emghand.jobs.process import Ended, JobProcess, Progress

__all__ = ["JOBS", "Ended", "JobProcess", "Plan", "Progress", "Request", "plan"]
