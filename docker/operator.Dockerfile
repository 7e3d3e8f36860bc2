# The operator's image: its binary, the C library it is linked with, and nothing else.
#
# Plain Docker, from the root of the repository:
#   docker build -f docker/operator.Dockerfile -t av1-operator.local/operator:dev .
# Without Docker: docker/build operator --binary PATH.
# No shell, no package manager, no root user may be in the final stage.

ARG BASE=debian:forky-slim
# compile: build the operator from the workspace in the context; prebuilt: take ./av1-operator from it.
ARG OPERATOR=compile

FROM ${BASE} AS operator-compile
RUN --mount=type=secret,id=apt \
    if [ -s /run/secrets/apt ]; then export APT_CONFIG=/run/secrets/apt; fi; \
    apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
      ca-certificates cargo gcc libc6-dev mold rustc
COPY . /src
RUN --mount=type=secret,id=ca --mount=type=secret,id=cargo \
    if [ -s /run/secrets/ca ]; then export CARGO_HTTP_CAINFO=/run/secrets/ca; fi; \
    mkdir -p /root/.cargo; \
    if [ -s /run/secrets/cargo ]; then cp /run/secrets/cargo /root/.cargo/config.toml; fi; \
    cd /src \
 && CARGO_TARGET_DIR=/tmp/target cargo build --release --locked --package av1-operator \
 && cp /tmp/target/release/av1-operator /av1-operator

FROM scratch AS operator-prebuilt
COPY av1-operator /av1-operator

FROM operator-${OPERATOR} AS operator

# Exactly the libraries that the loader would take; one that is missing ends the build here.
FROM ${BASE} AS root
COPY --from=operator --chmod=0755 /av1-operator /out/usr/local/bin/av1-operator
RUN set -eu; \
    found=$(ldd /out/usr/local/bin/av1-operator); echo "$found"; \
    case "$found" in *'not found'*) exit 1;; esac; \
    mkdir -p /out/etc /out/lib64 /out/tmp; \
    echo "$found" | grep -o '/[^ ]*' | while read -r file; do install -D -m 0755 "$file" "/out$file"; done; \
    echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' > /out/etc/passwd; \
    echo 'nonroot:x:65532:' > /out/etc/group; \
    mkdir -p /out/usr/share/doc; \
    for package in libc6 libgcc-s1; do cp -rL /usr/share/doc/$package /out/usr/share/doc/; done; \
    dpkg-query -W libc6 libgcc-s1 > /out/usr/share/doc/versions.txt; \
    chmod 1777 /out/tmp


FROM scratch
COPY --from=root /out/ /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/av1-operator"]
