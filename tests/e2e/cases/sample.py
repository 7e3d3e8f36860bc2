"""The demo as a test: every outcome of the sample library, with the proof, and nothing else changed."""

import kube
from library import Library


def the_demo_ends_with_every_expected_outcome_and_its_proof():
    text = kube.run(kube.ROOT / "tests/demo/run", timeout=1200, merged=True)
    print("\n".join(f"     {line}" for line in text.splitlines()[-22:]))
    assert "proved: 4 replaced files" in text, text[-2000:]


def what_was_decided_stands_in_resources_and_events():
    jobs = kube.get("ej", namespace="demo")
    done = [job for job in jobs if job["status"]["phase"] == "Succeeded"]
    assert len(done) == 4, [job["status"]["phase"] for job in jobs]
    for job in done:
        status = job["status"]
        conditions = {c["type"]: c for c in status["conditions"]}
        for name in ("Placed", "Pinned", "Validated", "SizeGatePassed", "Settled", "Complete"):
            assert conditions[name]["status"] == "True", (name, conditions.get(name))
            assert conditions[name]["observedGeneration"] == job["metadata"]["generation"], conditions[name]
        assert status["pinning"]["exclusive"] is True and status["pinning"]["cpus"], status["pinning"]
        assert "streams.dropLanguages" in status["settingsFrom"]["library"], status["settingsFrom"]
        assert status["checks"] and all(check["passed"] for check in status["checks"]), status["checks"]
    library = kube.get("mlib", "demo", "demo")
    conditions = {c["type"]: c["status"] for c in library["status"]["conditions"]}
    assert conditions["Ready"] == "True" and conditions["StorageReady"] == "True" and conditions["CatalogReady"] == "True", conditions
    name = done[0]["metadata"]["name"]
    events = [e for e in kube.get("events.events.k8s.io", namespace="demo") if e.get("regarding", {}).get("name") == name]
    assert len(events) >= 3, f"{len(events)} events on {name}"


def a_rejected_file_has_its_marker_and_the_reason_beside_it():
    folder = Library("demo").folder / "Shorts"
    assert (folder / "Tight.mp4.av1skip").is_file()
    why = (folder / "Tight.mp4.why.txt").read_text()
    assert "NotSmaller" in why and "498 KiB before" in why, why


def metrics_count_the_outcomes():
    text = kube.operator_metrics()
    assert 'av1_encode_jobs{library="demo",namespace="demo",phase="Succeeded"} 4' in text, text[:3000]
    assert 'av1_encode_job_outcomes_total{library="demo",namespace="demo",reason="Encoded"}' in text, text[:3000]
    assert "av1_encode_job_progress_ratio{" not in text, "series of finished jobs are still there"


def nothing_is_encoded_again_by_a_new_library_object():
    """A lost cluster: the same volume under a new object starts no encode again."""
    demo = Library("demo")
    kube.kubectl("delete", "mlib", "demo", "-n", "demo", "--wait=true", "--timeout=120s", timeout=150)
    kube.wait_for("the jobs to be gone", lambda: not demo.jobs(), timeout=120)
    demo.apply()
    kube.wait_for("the library to be finished", demo.is_finished, timeout=180)
    assert not demo.jobs(), [job["spec"]["source"]["path"] for job in demo.jobs()]
    assert demo.status()["files"]["done"] == 4, demo.status()["files"]


TESTS = [the_demo_ends_with_every_expected_outcome_and_its_proof, what_was_decided_stands_in_resources_and_events,
         a_rejected_file_has_its_marker_and_the_reason_beside_it,
         metrics_count_the_outcomes, nothing_is_encoded_again_by_a_new_library_object]
