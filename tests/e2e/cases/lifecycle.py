"""The tests of the cluster itself: dirty starts, volumes that survive, nothing left. Last, because the cluster is set aside meanwhile."""

import kube


def the_cluster_survives_a_dirty_stop_and_leaves_nothing():
    text = kube.run(kube.ROOT / "tests/cluster/test-lifecycle", timeout=900, check=False, merged=True)
    assert text.strip().splitlines()[-1].endswith(" 0 failed"), text[-3000:]


TESTS = [the_cluster_survives_a_dirty_stop_and_leaves_nothing]
