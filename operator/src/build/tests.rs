//! Snapshots of everything that is built: a change of a pod is seen as one.

use av1_crds::EncodeJob;
use av1_crds::library::{MediaLibrary, ScanRules, Scratch, SwapMethod};
use av1_crds::settings::Settings;
use av1_crds::wire::{
    CatalogTask, EncodeTask, EncodeVerdict, FileIdentity, JobId, LibraryId, OutputFile, PrepareStep, PrepareTask,
    PurgeTask, RestoreTask, ScanVerdict, SettleTask, Sidecar, SidecarsTask, SurveyTask, Wanted,
};
use kube::ResourceExt;
use serde_json::json;

use super::size::PodSize;
use super::*;

fn options() -> PodOptions {
    PodOptions {
        image: "registry.example/encoder:1".into(),
        pull_policy: "IfNotPresent".into(),
        pull_secret: Some("pull".into()),
        grace_seconds: 120,
    }
}

fn library() -> MediaLibrary {
    serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": "films", "namespace": "media", "uid": "lib"},
        "spec": {"volume": {"persistentVolumeClaim": {"claimName": "nas"}, "subPath": "films/"}, "pods": {"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "encode", "operator": "Exists"}]}},
        "status": {"storage": {"volumeId": "v1", "runAsUser": 1000, "runAsGroup": 1001}}}))
    .unwrap()
}

fn job() -> EncodeJob {
    serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "films-0123456789", "namespace": "media", "uid": "job"},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a/$(HOSTNAME) $$.mkv"}}}))
    .unwrap()
}

fn id() -> LibraryId {
    LibraryId { namespace: "media".into(), name: "films".into(), uid: "lib".into(), cluster: "cluster".into() }
}

fn settings() -> Settings {
    Settings::resolve(&[]).unwrap()
}

const USER: User = User { uid: 1000, gid: 1001 };

fn place_of(only: Option<&[&str]>, preferred: &[&str]) -> Placing {
    let own = |list: &[&str]| list.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
    let size = PodSize { cpus: 4, memory_mib: 4096 };
    Placing { size, only: only.map(own), preferred: own(preferred), ..Placing::default() }
}

fn encode() -> k8s_openapi::api::batch::v1::Job {
    encode_of(&library())
}

fn encode_of(library: &MediaLibrary) -> k8s_openapi::api::batch::v1::Job {
    encode_at(library, &place_of(None, &[]))
}

fn encode_at(library: &MediaLibrary, place: &Placing) -> k8s_openapi::api::batch::v1::Job {
    let task = EncodeTask {
        library: id(),
        job: JobId { name: "films-0123456789".into(), uid: "job".into(), run: 2 },
        volume_id: "v1".into(),
        path: "a/$(HOSTNAME) $$.mkv".into(),
        settings: settings(),
        scan: ScanRules::resolve(None).unwrap(),
        workers: 0,
        target_utilization_percent: 100,
        force: Vec::new(),
        again: false,
        take_over_run: Some(1),
        link_run: None,
    };
    encode_job(library, &job(), &task, USER, place, &options()).unwrap()
}

fn settle() -> k8s_openapi::api::batch::v1::Job {
    let task = SettleTask {
        library: id(),
        job: JobId { name: "films-0123456789".into(), uid: "job".into(), run: 2 },
        volume_id: "v1".into(),
        path: "a/$(HOSTNAME) $$.mkv".into(),
        source: FileIdentity::default(),
        verdict: EncodeVerdict::Encoded,
        reason: "Encoded".into(),
        message: "smaller".into(),
        output: Some(OutputFile { name: "out.mkv".into(), size: 5, sha256: "aa".into(), target: None }),
        report_sha256: Some("bb".into()),
        size_gate: None,
        settings: settings(),
        force: Vec::new(),
        offered: false,
        swap: SwapMethod::Exchange,
        takeover_from: vec!["pod".into()],
    };
    writer_job(role::SETTLE, &library(), &job(), &task, USER, 1, &options()).unwrap()
}

fn restore() -> k8s_openapi::api::batch::v1::Job {
    let task = RestoreTask {
        library: id(),
        job: JobId { name: "films-0123456789".into(), uid: "job".into(), run: 3 },
        volume_id: "v1".into(),
        path: "a/$(HOSTNAME) $$.mkv".into(),
        wanted: Wanted::Original,
        trash_retention_seconds: 604_800,
        swap: SwapMethod::Exchange,
        takeover_from: Vec::new(),
    };
    writer_job(role::RESTORE, &library(), &job(), &task, USER, 2, &options()).unwrap()
}

fn purge() -> k8s_openapi::api::batch::v1::Job {
    let task = PurgeTask {
        library: id(),
        volume_id: "v1".into(),
        trash: vec![".av1/trash/job/$(HOSTNAME).mkv".into()],
        work: vec!["job".into()],
        unfinished: Vec::new(),
        takeover_from: Vec::new(),
    };
    purge_job(&library(), &task, USER, 1, &options()).unwrap()
}

fn sidecars() -> k8s_openapi::api::batch::v1::Job {
    let says = ScanVerdict { reason: "TooSmall".into(), message: "$$".into() };
    let sidecars = vec![Sidecar { path: "a/$(HOSTNAME).mkv".into(), says: Some(says) }];
    sidecars_job(&library(), &SidecarsTask { library: id(), volume_id: "v1".into(), sidecars }, USER, 1, &options())
        .unwrap()
}

fn prepare(step: PrepareStep) -> k8s_openapi::api::batch::v1::Job {
    let task = PrepareTask { library: id(), sub_path: "films/".into(), step, expected_volume_id: None, living: None };
    prepare_job(&library(), &task, USER, 1, &options()).unwrap()
}

fn survey() -> k8s_openapi::api::batch::v1::Job {
    let task = SurveyTask { node: "epyc-1".into(), boot_id: "6a1c$".into() };
    survey_job(&library(), &task, 2, 1, &options()).unwrap()
}

fn catalog() -> k8s_openapi::api::apps::v1::Deployment {
    let task = CatalogTask {
        library: id(),
        volume_id: "v1".into(),
        prepare_run: 2,
        scan: ScanRules::resolve(None).unwrap(),
        settings: settings(),
    };
    catalog_deployment(&library(), &task, USER, &options()).unwrap()
}

#[test]
fn the_encode_job_is_as_reviewed() {
    insta::assert_json_snapshot!(encode());
}

#[test]
fn the_settle_job_is_as_reviewed() {
    insta::assert_json_snapshot!(settle());
}

#[test]
fn the_prepare_job_is_as_reviewed() {
    insta::assert_json_snapshot!(prepare(PrepareStep::Make));
}

#[test]
fn the_survey_job_is_as_reviewed() {
    insta::assert_json_snapshot!(survey());
}

#[test]
fn the_catalog_is_as_reviewed() {
    insta::assert_json_snapshot!((catalog(), catalog_service(&library())));
}

#[test]
fn no_pod_has_a_token_a_capability_a_writable_root_or_a_dollar_in_its_task() {
    let templates = [
        encode().spec.unwrap().template,
        settle().spec.unwrap().template,
        restore().spec.unwrap().template,
        purge().spec.unwrap().template,
        sidecars().spec.unwrap().template,
        prepare(PrepareStep::Look).spec.unwrap().template,
        catalog().spec.unwrap().template,
        survey().spec.unwrap().template,
    ];
    for template in templates {
        let spec = template.spec.unwrap();
        assert_eq!((spec.automount_service_account_token, spec.enable_service_links), (Some(false), Some(false)));
        let security = spec.security_context.unwrap();
        let user = security.run_as_user.filter(|user| [1000, 65_532].contains(user));
        assert_eq!((security.run_as_non_root, user.is_some(), security.fs_group), (Some(true), true, None));
        for container in spec.init_containers.into_iter().flatten().chain(spec.containers) {
            let security = container.security_context.unwrap();
            assert_eq!(
                (security.read_only_root_filesystem, security.allow_privilege_escalation),
                (Some(true), Some(false))
            );
            assert_eq!(security.capabilities.unwrap().drop.unwrap(), ["ALL"]);
            assert!(container.args.unwrap().iter().all(|arg| !arg.contains('$')));
        }
    }
}

#[test]
fn the_pods_that_may_write_the_library_and_the_catalog_ask_for_no_cpu_and_no_other_may_write() {
    let writes = |template: k8s_openapi::api::core::v1::PodTemplateSpec| {
        let spec = template.spec.unwrap();
        let main = &spec.containers[0];
        let library = main
            .volume_mounts
            .iter()
            .flatten()
            .find(|m| m.name == "library" && m.mount_path != "/catalog" && m.mount_path != "/work")
            .unwrap();
        let cpu = main.resources.clone().unwrap().requests.unwrap().contains_key("cpu");
        (library.read_only != Some(true), cpu)
    };
    assert_eq!(writes(encode().spec.unwrap().template), (false, true));
    assert_eq!(writes(catalog().spec.unwrap().template), (false, false));
    assert_eq!(writes(settle().spec.unwrap().template), (true, false));
    assert_eq!(writes(restore().spec.unwrap().template), (true, false));
    assert_eq!(writes(purge().spec.unwrap().template), (true, false));
    assert_eq!(writes(sidecars().spec.unwrap().template), (true, false));
    assert_eq!(writes(prepare(PrepareStep::Make).spec.unwrap().template), (true, false));
}

#[test]
fn a_host_path_library_stays_on_its_node() {
    let mut library = library();
    library.spec.volume = serde_json::from_value(json!({"hostPath": {"path": "/media/films", "node": "nas"}})).unwrap();
    let task = PrepareTask {
        library: id(),
        sub_path: String::new(),
        step: PrepareStep::Look,
        expected_volume_id: None,
        living: None,
    };
    let job = serde_json::to_value(prepare_job(&library, &task, USER, 1, &options()).unwrap()).unwrap();
    let term = &job["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        ["nodeSelectorTerms"][0];
    assert_eq!(term["matchFields"][0], json!({"key": "metadata.name", "operator": "In", "values": ["nas"]}));
}

#[test]
fn a_host_path_that_all_nodes_share_holds_no_pod_to_a_node() {
    let mut library = library();
    library.spec.volume =
        serde_json::from_value(json!({"hostPath": {"path": "/media/films", "shared": true}})).unwrap();
    assert_eq!(only_node(&library), None);
    let pod = encode_of(&library).spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.affinity, None);
    let path = pod.volumes.unwrap().into_iter().find_map(|volume| volume.host_path).unwrap();
    assert_eq!((path.path.as_str(), path.type_.as_deref()), ("/media/films", Some("Directory")));
    // What the schema refuses binds the pods to no node at all.
    library.spec.volume = serde_json::from_value(json!({"hostPath": {"path": "/media/films"}})).unwrap();
    assert_eq!(only_node(&library).as_deref(), Some(""));
}

#[test]
fn what_the_user_asks_of_encode_pods_holds_beside_the_library_s_own_node() {
    let mut library = library();
    library.spec.volume = serde_json::from_value(json!({"hostPath": {"path": "/media/films", "node": "nas"}})).unwrap();
    let rule = |key: &str| json!({"matchExpressions": [{"key": key, "operator": "Exists"}]});
    library.spec.pods = serde_json::from_value(json!({
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [rule("a"), rule("b")]}}},
        "priorityClassName": "batch", "runtimeClassName": "kata", "supplementalGroups": [44]
    }))
    .unwrap();
    let job = serde_json::to_value(encode_of(&library)).unwrap();
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!((&pod["priorityClassName"], &pod["runtimeClassName"]), (&json!("batch"), &json!("kata")));
    assert_eq!(pod["securityContext"]["supplementalGroups"], json!([44]));
    let terms = &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    for (term, key) in terms.as_array().unwrap().iter().zip(["a", "b"]) {
        assert_eq!(term["matchExpressions"][0]["key"], key);
        assert_eq!(term["matchFields"][0]["values"], json!(["nas"]));
    }
}

#[test]
fn an_encode_job_of_a_queue_waits_for_kueue() {
    let mut library = library();
    library.spec.queue_name = Some("media".into());
    let job = encode_of(&library);
    assert_eq!(job.labels()["kueue.x-k8s.io/queue-name"], "media");
    assert_eq!(job.spec.unwrap().suspend, Some(true));
}

#[test]
fn the_nodes_that_were_chosen_are_asked_for_beside_what_the_user_asks() {
    let mut library = library();
    let rule = |key: &str| json!({"matchExpressions": [{"key": key, "operator": "Exists"}]});
    library.spec.pods = serde_json::from_value(json!({
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [rule("a"), rule("b")]}}}
    }))
    .unwrap();
    let job = serde_json::to_value(encode_at(&library, &place_of(Some(&["n1", "n2"]), &["n1"]))).unwrap();
    let rules = &job["spec"]["template"]["spec"]["affinity"]["nodeAffinity"];
    let among = |hosts: serde_json::Value| json!({"key": "kubernetes.io/hostname", "operator": "In", "values": hosts});
    for term in rules["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"].as_array().unwrap() {
        assert_eq!(term["matchExpressions"][1], among(json!(["n1", "n2"])));
    }
    assert_eq!(
        rules["preferredDuringSchedulingIgnoredDuringExecution"],
        json!([{"weight": 50, "preference": {"matchExpressions": [among(json!(["n1"]))]}}])
    );
}

#[test]
fn nodes_on_which_a_run_failed_are_avoided_where_there_are_others() {
    let place = Placing { avoided: vec!["a".into(), "b".into()], ..place_of(None, &[]) };
    let job = serde_json::to_value(encode_at(&library(), &place)).unwrap();
    let rules = &job["spec"]["template"]["spec"]["affinity"]["nodeAffinity"];
    let but = |node: &str| json!({"key": "metadata.name", "operator": "NotIn", "values": [node]});
    assert_eq!(
        rules,
        &json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 40, "preference": {"matchFields": [but("a"), but("b")]}}]})
    );
}

#[test]
fn a_survey_sees_nothing_of_the_library_and_runs_on_its_node_alone() {
    let mut library = library();
    library.spec.pods =
        serde_json::from_value(json!({"priorityClassName": "batch", "supplementalGroups": [44]})).unwrap();
    let task = SurveyTask { node: "epyc-1".into(), boot_id: String::new() };
    let job = serde_json::to_value(survey_job(&library, &task, 1, 0, &options()).unwrap()).unwrap();
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"], json!([{"name": "tmp", "emptyDir": {}}]));
    assert_eq!(
        (&pod["securityContext"]["supplementalGroups"], &pod["priorityClassName"]),
        (&json!(null), &json!("batch"))
    );
    assert!(job["metadata"]["name"].as_str().unwrap().len() <= 57);
}

#[test]
fn chunks_on_the_node_s_disk_leave_output_and_report_on_the_library_s_volume() {
    let mut library = library();
    library.spec.pods.as_mut().unwrap().scratch = Some(Scratch::EmptyDir);
    let pod = encode_of(&library).spec.unwrap().template.spec.unwrap();
    let main = &pod.containers[0];
    assert_eq!(main.args.as_ref().unwrap()[4..], ["--scratch", "/scratch"]);
    let at = |path: &str| main.volume_mounts.iter().flatten().find(|mount| mount.mount_path == path).unwrap();
    let empty_dir = |name: &str| pod.volumes.iter().flatten().any(|v| v.name == name && v.empty_dir.is_some());
    assert!(empty_dir(&at("/scratch").name) && at("/scratch").read_only.is_none());
    assert_eq!(at("/work").sub_path.as_deref(), Some("films/.av1/work/job/2"));
    let init = &pod.init_containers.unwrap()[0];
    assert!(init.volume_mounts.iter().flatten().all(|mount| mount.name != "scratch"));
    assert_eq!(init.args.as_ref().unwrap().len(), 4);
}

#[test]
fn where_cpus_are_a_pod_s_own_every_container_is_guaranteed_and_where_they_are_shared_none_is_throttled() {
    let containers = |shared| {
        let place = Placing { shared, ..place_of(None, &[]) };
        let pod = encode_at(&library(), &place).spec.unwrap().template.spec.unwrap();
        pod.init_containers.into_iter().flatten().chain(pod.containers).map(|c| (c.name, c.resources.unwrap()))
    };
    for (name, resources) in containers(false) {
        let (requests, limits) = (resources.requests.unwrap(), resources.limits.unwrap());
        assert!(requests.contains_key("cpu") && requests.contains_key("memory"), "{name}");
        assert_eq!(requests, limits, "{name}");
    }
    for (name, resources) in containers(true) {
        let (requests, limits) = (resources.requests.unwrap(), resources.limits.unwrap());
        assert!(requests.contains_key("cpu") && !limits.contains_key("cpu"), "{name}");
        assert_eq!(requests["memory"], limits["memory"], "{name}");
    }
    assert_eq!(containers(true).map(|(name, _)| name).collect::<Vec<_>>(), ["workdir", "encode"]);
}
