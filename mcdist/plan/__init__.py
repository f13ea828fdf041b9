"""From a sweep to a graph of tasks with content-hash ids, and to packs of them."""

from mcdist.plan.graph import Plan, make_plan
from mcdist.plan.packs import Pack, form_packs, groups, pack_of
from mcdist.plan.task import Blueprint, Task, digest

__all__ = ["Blueprint", "Pack", "Plan", "Task", "digest", "form_packs", "groups", "make_plan", "pack_of"]
