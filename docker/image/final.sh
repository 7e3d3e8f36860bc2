# The images as archives, and the two that run in the cluster: each a ready binary on what was made
# before. Sourced by docker/build. The encoder's archive holds the layers above the tools alone (a
# code change costs its own size, not the tools'): av1-tools.tar has to be imported before it.
# shellcheck shell=bash disable=SC2154 # what cache.sh sets

layout="$cache/layout"

# make_image NAME BINARY: NAME is encoder or operator. Nothing is done if the archive is of this
# binary and this base already.
make_image() {
  local name=$1 binary=$2 archive="$cache/av1-$1.tar" image="$registry/$1:dev" now
  [ -f "$binary" ] || die "there is no binary at $binary"
  now=$({ sha256sum <"$binary"; "recipe_of_$name"; } | key)
  if [ -e "$archive" ] && [ "$(cat "$archive.key" 2>/dev/null)" = "$now" ]; then
    say "unchanged: $image in $archive"
    return
  fi
  rm -f "$archive.key"
  context=$(mktemp -d "$cache/context.XXXXXX")
  trap 'rm -rf "$context"' EXIT
  install -m 0755 "$binary" "$context/av1-${name/encoder/agent}"
  step "$name image" "bud_$name" "$image" "$context"
  case "$name" in
    encoder) step "$name archive" write_archive "$image" "$archive" --without tools ;;
    operator) step "$name archive" write_archive "$image" "$archive" ;;
  esac
  echo "$now" >"$archive.key"
  rm -rf "$context"
  trap - EXIT
  say "$image: $archive ($(du -m "$archive" | cut -f1) MB)"
}

# have_tools_archive: av1-tools.tar, of the tools image as it is now.
have_tools_archive() {
  local archive="$cache/av1-tools.tar" now
  now=$(tools_key)
  [ -e "$archive" ] && [ "$(cat "$archive.key" 2>/dev/null)" = "$now" ] && return
  step "tools archive" write_archive "$(tools_name)" "$archive"
  echo "$now" >"$archive.key"
}

recipe_of_encoder() { tools_key; cat "$tools_recipe"; }

recipe_of_operator() { base_key; cat "$repo/docker/operator.Dockerfile"; }

bud_encoder() {
  bud_over "$@" --build-arg "TOOLS=$(tools_name)" --build-arg AGENT=prebuilt -f "$tools_recipe"
}

bud_operator() {
  bud_over "$@" --build-arg OPERATOR=prebuilt -f "$repo/docker/operator.Dockerfile"
}

# bud_over IMAGE CONTEXT OPTION...: builds, and removes what that left behind: the stages' own images
# and the image that had the name before.
bud_over() {
  local image=$1 context=$2 before stale
  shift 2
  stale=$(build_ah images -q --no-trunc "$image" 2>/dev/null || true)
  before=$(build_ah images -aq --no-trunc | sort)
  build_ah bud --isolation chroot --layers=false --pull-never --build-arg "BASE=$(base_name)" "$@" \
    -t "$image" "$context"
  build_ah rm --all >/dev/null
  { build_ah images -aq --no-trunc | sort | comm -13 <(echo "$before") -; echo "$stale"; } |
    grep -vxF "$(build_ah images -q --no-trunc "$image")" | grep . |
    while read -r stale; do build_ah rmi "$stale"; done || true
}

# write_archive IMAGE ARCHIVE [--without TAG]: through an OCI layout that keeps each layer once, as it
# is; a layer that is there already is not read again.
write_archive() {
  local image=$1 tag
  tag=${image#"$registry/"}
  tag=${tag%%:*}
  skopeo copy --dest-oci-accept-uncompressed-layers \
    "containers-storage:[$(driver)@$storage/root+$storage/run]$image" "oci:$layout:$tag"
  python3 "$repo/docker/image/archive.py" "$layout" "$tag" "$image" "$2" "${@:3}"
}
