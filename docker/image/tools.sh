# The tools image (encoder-image/Dockerfile up to its stage `tools`) and its root as a plain folder.
# Sourced by the scripts in docker/. What is made is named by a hash of everything it is made from.
# shellcheck shell=bash disable=SC2154 # what cache.sh sets

tools_recipe="$repo/encoder-image/Dockerfile"

# The recipe ends where the agent begins: changes to the agent's stages keep the tools.
tools_key() {
  { base_key; sed '/^FROM builder AS agent-compile/,$d' "$tools_recipe"; cat "$repo/docker/image/record.py"; } | key
}

tools_name() { echo "$registry/tools:$(tools_key)"; }

# have_tools: makes the tools image unless this very one is there.
have_tools() {
  local mark
  mark="$cache/tools-$(tools_key).made"
  [ -e "$mark" ] && return
  have_base
  with_settings bud_and_check_tools
  touch "$mark"
}

bud_and_check_tools() {
  step "tools image" bud_tools "$1"
  step "no trace of this host" check_image "$(tools_name)" "$1"
}

bud_tools() {
  local context="$1/context" options
  mkdir -p "$context/docker/image"
  cp "$repo/docker/image/record.py" "$context/docker/image/"
  mapfile -t options < <(secrets "$1")
  build_ah bud --isolation chroot --layers --pull-never --target tools \
    --build-arg "BASE=$(base_name)" --build-arg "SNAPSHOT=${SNAPSHOT:-}" "${options[@]}" \
    -f "$tools_recipe" -t "$(tools_name)" "$context"
}

# check_image NAME FOLDER: looks for what was borrowed in the image's files.
check_image() {
  local container root result=0
  container=$(build_ah from --pull-never "$1")
  root=$(build_ah mount "$container")
  check_traces "$root" "$2" || result=1
  build_ah rm "$container"
  return $result
}

tools_root() { echo "$cache/tools-root-$(tools_key)"; }

# have_tools_root: unpacks the tools image once; beside it, .env holds the image's environment.
have_tools_root() {
  local root part
  root=$(tools_root)
  [ -d "$root" ] && return
  need buildah=buildah mmdebstrap=mmdebstrap
  have_tools
  part="$root.part"
  rm -rf "$part"
  step "unpack the tools" unpack_tools "$part"
  mv "$part" "$root"
}

unpack_tools() {
  local container
  container=$(build_ah from --pull-never "$(tools_name)")
  mkdir "$1"
  cp -a "$(build_ah mount "$container")/." "$1/"
  build_ah inspect --type image --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' "$(tools_name)" |
    grep '=' >"$(tools_root).env"
  build_ah rm "$container"
}
