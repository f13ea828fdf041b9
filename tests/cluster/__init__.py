"""Faults on a cluster of several Ray nodes on one machine. Where every fault is tested, here and elsewhere:

| fault | tests |
|---|---|
| worker killed in the midst of a task | execute/test_kills.py, execute/test_losses.py; here test_chaos.py |
| task that raises, for good | execute/test_failures.py |
| task that raises, once: the next run does it | execute/test_failures.py |
| workers whose constructor fails, all of them | execute/test_executors.py |
| workers whose constructor fails, on one node | test_nodes.py |
| node killed in the midst of a curve | test_nodes.py, test_chaos.py |
| node that joins; no node left, then new ones | test_nodes.py |
| nodes with and without GPUs; shares of a GPU | test_nodes.py, execute/test_placement.py |
| tasks with workers of their own; these without room | test_nodes.py, execute/test_placement.py |
| request that no node can meet, without an autoscaler and with one | test_nodes.py, execute/test_placement.py |
| driver killed, the same command again | execute/test_kills.py; on a cluster test_drivers.py, test_chaos.py |
| SIGINT, SIGTERM | execute/test_kills.py, execute/test_interrupts.py; a job that is stopped execute/test_jobs_ray.py |
| two drivers that do the same tasks at once | test_drivers.py; the writing of it store/test_concurrency.py |
| worker killed by Ray for want of memory | test_memory_monitor.py; what follows execute/test_driver.py |
| task that kills its worker every time | execute/test_kills.py, execute/test_losses.py |
| kill between writing and moving, at every step of a commit | store/test_commit.py |
| kill at every step of a compaction | store/test_compaction.py |
| wrong token, no token, nothing that listens | execute/test_ray_probe.py, execute/test_auth_ray.py |
| any of worker, node, driver, again and again | test_chaos.py |

What goes where (data, weights, a driver's memory) is in test_traffic.py.
"""
