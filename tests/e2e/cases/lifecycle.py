"""How it all ends: the chart is uninstalled in the middle of a job, and the cluster stops dirty. Last, because the cluster is set aside
meanwhile."""

import re

import kube
from library import Library
from cases.isolation import FILM


def uninstalling_the_chart_lets_go_of_every_job():
    library = Library("uninstalled", {"scan": {"minSize": "10Mi", "intervalSeconds": 3}})
    library.fill()
    before = kube.hashes(library.folder)
    library.apply()
    kube.wait_for("the encode", lambda: library.phase(FILM) == "Encoding" and library.job(FILM)["metadata"].get("finalizers"), timeout=120)
    kube.run("helm", "uninstall", kube.RELEASE, "--namespace", kube.OPERATOR_NAMESPACE, "--wait", timeout=300)
    held = [job["metadata"]["name"] for job in library.jobs() if job["metadata"].get("finalizers")]
    assert not held, held
    kube.kubectl("delete", "ej", "--all", "-n", library.name, "--wait=true", "--timeout=60s", timeout=90)
    assert kube.hashes(library.folder) == before
    library.remove()
    kube.install_images_and_chart()


def the_cluster_survives_a_dirty_stop_and_leaves_nothing():
    text = kube.run(kube.ROOT / "tests/cluster/test-lifecycle", timeout=900, check=False, merged=True)
    count = re.search(r"^(\d+) passed, (\d+) failed$", text, re.MULTILINE)
    assert count and int(count[1]) > 0 and count[2] == "0", text[-3000:]


TESTS = [uninstalling_the_chart_lets_go_of_every_job, the_cluster_survives_a_dirty_stop_and_leaves_nothing]
