"""The operator's rights are what it used in all the cases before, as the API server's audit log has it: no verb is missing, none is over."""

import json

import kube

USER = f"system:serviceaccount:{kube.OPERATOR_NAMESPACE}:{kube.RELEASE}"
# Why a verb that is in no record is needed all the same.
APPLY = "an apply that makes the object is recorded as a patch, and checked for create besides"
UNUSED = {("create", "", "services"): APPLY, ("create", "apps", "deployments"): APPLY}


def calls():
    """What the operator asked the API server for: (verb, group, resource) by decision."""
    found = {"allow": set(), "forbid": set()}
    with open(kube.STATE / "cluster/log/audit.log", encoding="utf-8") as log:
        for line in log:
            event = json.loads(line)
            at = event.get("objectRef")
            if event["user"]["username"] == USER and at:
                resource = "/".join(part for part in (at["resource"], at.get("subresource")) if part)
                found[event["annotations"]["authorization.k8s.io/decision"]].add((event["verb"], at.get("apiGroup", ""), resource))
    return found


def granted():
    """What its roles allow."""
    roles = kube.get("clusterrole", selector=f"app.kubernetes.io/instance={kube.RELEASE}") + \
        kube.get("role", namespace=kube.OPERATOR_NAMESPACE, selector=f"app.kubernetes.io/instance={kube.RELEASE}")
    # Those that the cluster's own roles take up are for users.
    roles = [role for role in roles if not any("/aggregate-to-" in label for label in role["metadata"]["labels"])]
    assert len(roles) >= 2, roles
    return {(verb, group, resource) for role in roles for rule in role["rules"]
            for verb in rule["verbs"] for group in rule["apiGroups"] for resource in rule["resources"]}


def the_operator_was_refused_nothing():
    refused = calls()["forbid"]
    assert not refused, sorted(refused)


def its_role_allows_what_it_used_and_no_verb_more():
    used, allowed = calls()["allow"], granted()
    over = allowed - used - UNUSED.keys()
    print(f"     {len(allowed)} verbs on resources, {len(allowed & used)} used by the cases before", flush=True)
    assert not over, f"allowed, but never used: {sorted(over)}"
    assert not UNUSED.keys() - allowed, f"not allowed any more: {sorted(UNUSED.keys() - allowed)}"


TESTS = [the_operator_was_refused_nothing, its_role_allows_what_it_used_and_no_verb_more]
