"""What the API server refuses, with a sentence that helps."""

import json

import kube


def refusal(kind, spec, name="wrong"):
    """What `kubectl apply` says of an object that must be refused."""
    manifest = {"apiVersion": "av1.media/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    try:
        kube.apply(json.dumps(manifest))
    except kube.CommandFailed as error:
        return str(error)
    kube.kubectl("delete", kind, name, "-n", "default", "--wait=false")
    raise AssertionError(f"{kind} was accepted: {spec}")


def library(**spec):
    return refusal("MediaLibrary", {"volume": {"persistentVolumeClaim": {"claimName": "media"}}} | spec)


def says(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in: {text}"


def two_volumes_are_refused():
    claim = {"persistentVolumeClaim": {"claimName": "media"}}
    says(library(volume=claim | {"nfs": {"server": "nas", "path": "/films"}}), "exactly one of")
    says(library(volume={"subPath": "films"}), "exactly one of")


def a_host_path_without_or_with_a_needless_node_is_refused():
    for wrong in ({}, {"node": "n", "shared": True}, {"shared": False}):
        says(library(volume={"hostPath": {"path": "/media/films"} | wrong}), "exactly one of node and shared", "write node: NAME")


def fractional_cpus_are_refused():
    says(library(pods={"cpus": "1500m"}), "whole number of CPUs")
    says(library(pods={"cpus": 1.5}), "pods.cpus", "integer")


def wishes_of_placement_that_cannot_be_are_refused():
    says(library(pods={"targetUtilizationPercent": 49}), "targetUtilizationPercent", "50")
    says(library(pods={"targetUtilizationPercent": 101}), "targetUtilizationPercent", "100")
    says(library(pods={"epyc": "Always"}), "Always", "Required")


def paths_that_leave_the_library_are_refused():
    claim = {"persistentVolumeClaim": {"claimName": "media"}}
    says(library(volume=claim | {"subPath": "films/../../etc"}), "remove the ..")
    says(library(volume=claim | {"subPath": "/films"}), "remove the leading slash")
    for path, sentence in (("../x.mkv", "remove the .."), ("/x.mkv", "remove the leading slash"), ("./x.mkv", "one spelling"), ("a//x.mkv", "one spelling")):
        says(refusal("EncodeJob", {"libraryRef": {"name": "films"}, "source": {"path": path}}), sentence)


def an_export_that_is_no_absolute_path_and_tolerations_that_no_pod_may_have_are_refused():
    says(library(volume={"nfs": {"server": "nas", "path": "media/films"}}), "leading slash")
    says(library(pods={"tolerations": [{"key": "a", "operator": "Equals"}]}), "operator is Exists or Equal")
    says(library(pods={"tolerations": [{"key": "a", "effect": "NoRun"}]}), "effect is NoSchedule")


def sizes_and_unknown_fields_are_refused():
    says(library(scan={"minSize": "1.5Gi"}), "write 2Gi")
    says(library(scan={"minSize": "-1"}), "write 2Gi")
    says(library(sizeGate={"maxPercent": 120}), "maxPercent")
    says(library(scan={"mimSize": "2Gi"}), "mimSize")


def schedules_and_queues_that_cannot_be_are_refused():
    says(library(schedule={"windows": [{"start": "25:00", "end": "07:00"}]}), "write 22:00")
    says(library(schedule={"windows": [{"start": "22:00", "end": "7"}]}), "write 07:00")
    says(library(schedule={"windows": []}), "windows")
    says(library(schedule={"windows": [{"days": ["Saturday"], "start": "22:00", "end": "07:00"}]}), "Saturday", "Sat")
    says(library(queueName="Media Queue"), "LocalQueue of Kueue")
    says(library(history={"jobsTtl": "a week"}), "write 168h")


def urls_that_cannot_be_posted_to_and_unknown_ways_are_refused():
    for url in ("ftp://hook/av1", "hook:8080", "http://", "https://user:secret@hook/av1", "http://hook/a b"):
        says(library(replacement={"notify": {"url": url}}), "replacement.notify.url is a URL with http or https")
    says(library(replacement={"notify": {}}), "url")
    says(library(replacement={"whySidecars": "Some"}), "whySidecars", '"All", "Jobs", "Off"')
    says(library(verify={"decode": "None"}), "verify.decode", '"Full", "Sampled"')
    says(library(pods={"scratch": "Memory"}), "pods.scratch", '"Library", "EmptyDir"')


def a_long_name_is_refused():
    says(refusal("MediaLibrary", {"volume": {"persistentVolumeClaim": {"claimName": "media"}}}, name="x" * 41), "at most 40 characters")


TESTS = [two_volumes_are_refused, a_host_path_without_or_with_a_needless_node_is_refused, fractional_cpus_are_refused, wishes_of_placement_that_cannot_be_are_refused,
         an_export_that_is_no_absolute_path_and_tolerations_that_no_pod_may_have_are_refused,
         paths_that_leave_the_library_are_refused, sizes_and_unknown_fields_are_refused,
         schedules_and_queues_that_cannot_be_are_refused, urls_that_cannot_be_posted_to_and_unknown_ways_are_refused,
         a_long_name_is_refused]
