# The root of a minimal Debian as a local image: what `debian:forky-slim` is to Docker. Sourced by
# docker/build. Verified against this host's Debian archive keys; no setting of the host stays in it.
# shellcheck shell=bash disable=SC2154 # what cache.sh sets

suite=forky
mirror=http://deb.debian.org/debian

# base_key: changes when the recipe or the archive's date does.
base_key() { { declare -f make_base; echo "$suite $mirror ${SNAPSHOT:-}"; } | key; }

base_name() { echo "$registry/base:$(base_key)"; }

# have_base: makes the base image unless this very one is there.
have_base() {
  local mark
  mark="$cache/base-$(base_key).made"
  [ -e "$mark" ] && return
  with_settings step "base root" make_base
  touch "$mark"
}

# make_base FOLDER: makes the image named by base_name; FOLDER holds the borrowed settings.
make_base() {
  local container tar="$cache/base.tar" line
  local options=(--variant=minbase --mode=root)
  if [ -n "${SNAPSHOT:-}" ]; then
    mirror="http://snapshot.debian.org/archive/debian/$SNAPSHOT"
    options+=(--aptopt='Acquire::Check-Valid-Until "false"')
  fi
  while read -r line; do options+=(--aptopt="$line"); done <"$1/apt"
  for line in doc man locale info lintian; do
    options+=(--dpkgopt="path-exclude=/usr/share/$line/*")
  done
  options+=(--dpkgopt='path-include=/usr/share/doc/*/copyright')
  # Single quotes: mmdebstrap's hooks expand $1, the new root.
  # shellcheck disable=SC2016
  options+=(--customize-hook='rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/apt/apt.conf.d/99mmdebstrap"')
  mmdebstrap "${options[@]}" "$suite" "$tar" "deb $mirror $suite main"
  container=$(build_ah from scratch)
  build_ah add "$container" "$tar" /
  build_ah config --cmd /bin/bash "$container"
  build_ah commit --rm "$container" "$(base_name)"
  rm -f "$tar"
}
