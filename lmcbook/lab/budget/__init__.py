"""What measurements cost, in which order they are worth doing, and how many of them fit into a time budget."""

from lmcbook.lab.budget.costs import Costs, costs_of, estimated_measuring_seconds, estimated_training_seconds
from lmcbook.lab.budget.order import stage
from lmcbook.lab.budget.report import describe_plan
from lmcbook.lab.budget.task import Task, shortened, tasks, within
from lmcbook.lab.budget.todo import planned_of
from lmcbook.lab.budget.work import TasksFailed, run_within_budget

__all__ = [
    "Costs",
    "Task",
    "TasksFailed",
    "costs_of",
    "describe_plan",
    "estimated_measuring_seconds",
    "estimated_training_seconds",
    "planned_of",
    "run_within_budget",
    "shortened",
    "stage",
    "tasks",
    "within",
]
