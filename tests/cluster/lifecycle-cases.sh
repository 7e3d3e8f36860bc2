# shellcheck shell=bash disable=SC2153,SC2154
# The cases of test-lifecycle, a function each, in the order in which they run: a failing command fails the case.
# Sourced by test-lifecycle, which sets $here, $library (a folder to mount) and $work (scratch).

# pod NAME SPEC CONTAINER: makes a pod of the pause image from pieces of JSON.
pod() {
  jq -n --arg name "$1" --arg image "$PAUSE_IMAGE" --argjson spec "$2" --argjson container "$3" '{
    apiVersion: "v1", kind: "Pod", metadata: {name: $name},
    spec: ({restartPolicy: "Never", terminationGracePeriodSeconds: 0,
      containers: [{name: "main", image: $image, imagePullPolicy: "Never"} + $container]} + $spec)}' | kubectl_here apply -f -
}
wait_phase() { kubectl_here wait "pod/$1" --for="jsonpath={.status.phase}=$2" --timeout=90s --request-timeout=0 || { kubectl_here describe pod "$1"; return 1; }; }
message_of() { kubectl_here get pod "$1" -o 'jsonpath={.status.containerStatuses[0].state.terminated.message}'; }
pids() { for server in $SERVERS; do server_pid "$server"; done; }

starts() {
  "$here/up"
  every_server_lives
  node_ready
}
second_up_changes_nothing() {
  local before
  before=$(pids)
  "$here/up"
  [ "$(pids)" = "$before" ]
}
guaranteed_pod_has_a_cpu_of_its_own() {
  [ "$CPUS" -ge 2 ]
  pod exclusive '{}' '{"args": ["cpus"], "resources": {"limits": {"cpu": "1", "memory": "32Mi"}}}'
  wait_phase exclusive Succeeded
  local cpus
  cpus=$(message_of exclusive)
  echo "it may run on: $cpus"
  [[ $cpus =~ ^[0-9]+$ && $cpus != 0 ]]
}
other_pod_may_use_every_cpu() {
  pod shared '{}' '{"args": ["cpus"]}'
  wait_phase shared Succeeded
  echo "it may run on: $(message_of shared)"
  [ "$(message_of shared)" = "0-$((CPUS - 1))" ]
}
pod_reaches_the_api_by_name() {
  pod dial '{}' '{"args": ["dial", "kubernetes.default.svc.cluster.local:443"]}'
  wait_phase dial Succeeded
}
pod_cannot_be_pinned_beyond_the_node() {
  pod toobig '{}' "{\"resources\": {\"limits\": {\"cpu\": \"$CPUS\", \"memory\": \"32Mi\"}}}"
  kubectl_here wait pod/toobig --for='jsonpath={.status.conditions[0].reason}=Unschedulable' --timeout=60s --request-timeout=0
  kubectl_here delete pod toobig --now
}
outsider_is_kept_out() {
  local reach=(ip netns exec "$NAME-outside" curl -sko /dev/null --max-time 3 "https://192.0.2.129:$API_PORT/readyz")
  ip netns add "$NAME-outside"
  ip link add av1-outside type veth peer name eth0 netns "$NAME-outside"
  ip addr add 192.0.2.129/30 dev av1-outside
  ip link set av1-outside up
  ip -n "$NAME-outside" addr add 192.0.2.130/30 dev eth0
  ip -n "$NAME-outside" link set eth0 up
  nft delete table inet "$NAME"
  "${reach[@]}" # without the guard it gets through: so the next line shows the guard and nothing else
  guard_network
  if "${reach[@]}"; then return 1; fi
  ip netns del "$NAME-outside"
}
image_is_loaded_once_and_replaced() {
  "$here/load" "$BIN/pause.tar" | grep -q '^already loaded'
  tar -C "$work" -xf "$BIN/pause.tar"
  local config
  config=$(jq -r '.[0].Config' "$work/manifest.json")
  for version in 1 2; do
    jq -c --arg v "$version" '.config.Labels.version = $v' "$work/$config" >"$work/new.json"
    jq -c '.[0].Config = "new.json" | .[0].RepoTags = ["replaced:test"]' "$work/manifest.json" >"$work/manifest.$version"
    local digest
    digest=$(sha256sum "$work/new.json" | cut -d' ' -f1)
    mkdir -p "$work/$version"
    sed "s/new.json/$digest.json/" "$work/manifest.$version" >"$work/$version/manifest.json"
    mv "$work/new.json" "$work/$version/$digest.json"
    cp "$work/layer.tar" "$work/$version/"
    tar -C "$work/$version" -cf "$work/$version.tar" manifest.json "$digest.json" layer.tar
    "$here/load" "$work/$version.tar"
  done >"$work/loads"
  cat "$work/loads"
  grep -q '^dropped the earlier image' "$work/loads"
  [ "$(ctr_here images ls -q | grep -c '^docker.io/library/replaced:test$')" = 1 ]
  "$here/load" "$work/2.tar" | grep -q '^already loaded'
  "$here/load" "$BIN/pause.tar" | grep -q '^already loaded'
}
survives_kill_of_everything() {
  pod restarts '{"restartPolicy": "Always"}' '{}'
  wait_phase restarts Running
  # shellcheck disable=SC2046
  kill -9 $(cluster_processes | awk '{ print $1 }') $(container_pids)
  "$here/up"
  every_server_lives
  kubectl_here wait pod/restarts --for='jsonpath={.status.containerStatuses[0].restartCount}'=1 --timeout=90s --request-timeout=0
  wait_phase restarts Running
}
keeps_state_when_told() {
  "$here/down" --keep
  "$here/check-clean" --keep
  "$here/up"
  kubectl_here get pod restarts
}
volume_is_whole_after_down() {
  pod writer '{"volumes": [{"name": "v", "hostPath": {"path": "'"$library"'", "type": "Directory"}}]}' '{
    "args": ["write", "/work/written", "by the pod"],
    "volumeMounts": [{"name": "v", "mountPath": "/library", "readOnly": true}, {"name": "v", "mountPath": "/work", "subPath": ".work"}]}'
  wait_phase writer Succeeded
  pod holder '{"volumes": [{"name": "v", "hostPath": {"path": "'"$library"'", "type": "Directory"}}]}' '{
    "volumeMounts": [{"name": "v", "mountPath": "/work", "subPath": ".work"}, {"name": "v", "mountPath": "/films", "subPath": "films"}]}'
  wait_phase holder Running
  state_mounts | grep -q volume-subpaths # the danger is there: rm through this would delete the files
  if "$here/check-clean" >/dev/null; then return 1; fi
  "$here/down"
  library_is_whole
  [ "$(cat "$library/.work/written")" = "by the pod" ]
}
nothing_is_left() {
  "$here/check-clean"
  sysctls_now | diff "$work/sysctls" -
}
second_down_has_nothing_to_do() { "$here/down" | grep '^nothing to do'; }
wipe_refuses_a_mounted_volume() {
  mkdir -p "$STATE/kubelet/volume"
  touch "$STATE_MARK"
  mount --bind "$library" "$STATE/kubelet/volume"
  local refused=
  if ! bash -c '. "$1/paths.sh"; . "$1/teardown.sh"; wipe_state' - "$here"; then refused=yes; fi
  umount "$STATE/kubelet/volume"
  library_is_whole
  [ -n "$refused" ]
}
foreign_folder_is_left_alone() {
  if AV1_CLUSTER_STATE=$library "$here/up"; then return 1; fi
  AV1_CLUSTER_STATE=$library "$here/down" || true
  library_is_whole
}
films() { (cd "$library/films" && sha256sum ./*); }
library_is_whole() { films | diff "$work/films" -; }
sysctls_now() { for key in $SYSCTLS; do grep -H . "/proc/sys/$key"; done; }
