#!/usr/bin/env bash
# Brings docker-compose.yml up for real on a machine with a Docker engine but without an image registry: builds stand-ins for
# the images, waits until everything is healthy, takes the purchase-order tour through it, and tears it down again.
#
#   lab/compose/up.sh           builds what is missing, runs the tour, tears down
#   KEEP=1 lab/compose/up.sh    leaves it up; `docker-compose -p majordomo-tour down -v` ends it
#   MAJORDOMO_BINARY=target/debug/majordomo lab/compose/up.sh    tries that binary instead of a release build
#
# Needs docker, docker-compose, cargo and pip, and root for debootstrap (only the first time; DEBIAN_MIRROR says from where). Exit status 0: the tour passed.
set -euo pipefail
cd "$(dirname "$0")/../.."

base=majordomo-stand-in/debian:bookworm
project=majordomo-tour
files=(-f docker-compose.yml -f lab/compose/stand-ins.yml)
broker=tcp://app-broker:5555

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
compose() { docker-compose -p "$project" "${files[@]}" "$@"; }
has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# A folder for a build, with only what the image needs.
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build_image() { # NAME: builds majordomo-stand-in/NAME from images/NAME.Dockerfile and the context folder
    cp "lab/compose/images/$1.Dockerfile" "$context/Dockerfile"
    docker build --quiet --build-arg "BASE=$base" --tag "majordomo-stand-in/$1" "$context"
}

build_base() {
    has_image "$base" && return
    say "base image by debootstrap"
    command -v debootstrap >/dev/null || fail "debootstrap is not installed"
    debootstrap --variant=minbase bookworm "$context/root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$context/log" 2>&1 ||
        { tail -n 20 "$context/log" >&2; fail "debootstrap"; }
    tar -C "$context/root" -c . | docker import - "$base"
    rm -rf "${context:?}/root"
}

build_servers() {
    has_image majordomo-stand-in/redis || { say "redis"; build_image redis; }
    if ! has_image majordomo-stand-in/mongo; then
        say "mongo"
        # For the Python of the base image, whatever ours is.
        python3 -m pip install --quiet --target "$context/packages" --only-binary=:all: --implementation cp \
            --python-version 3.11 --platform "manylinux_2_28_$(uname -m)" --platform "manylinux2014_$(uname -m)" \
            "$(grep '^secantusdb==' lab/xtask/test-tools.txt)"
        build_image mongo
        rm -rf "${context:?}/packages"
    fi
}

# Always anew: the binary is what is under test.
build_majordomo() {
    say "majordomo"
    local binary=${MAJORDOMO_BINARY:-}
    if [ -z "$binary" ]; then
        cargo build --release --package majordomo
        binary=${CARGO_TARGET_DIR:-target}/release/majordomo
    fi
    strip --strip-debug -o "$context/majordomo" "$binary"
    build_image majordomo
}

tear_down() {
    say "teardown"
    compose down --volumes --timeout 10
}

wait_until_healthy() { # SERVICE…
    local deadline=$((SECONDS + 120)) service state
    for service in "$@"; do
        until state=$(docker inspect -f '{{.State.Health.Status}}' "$(compose ps -q "$service")") && [ "$state" = healthy ]; do
            [ "$SECONDS" -lt "$deadline" ] || { compose logs --tail 20 "$service"; fail "$service is $state"; }
            sleep 0.5
        done
        printf '%s is healthy\n' "$service"
    done
}

call() {
    compose exec -T app-broker majordomo call --broker mesh:app \
        --curve-server-key file:/keys/app-broker.pub --curve-secret /keys/client.key MM "$@"
}

stranger() { # a client without a key does not come in
    say "a client without a key"
    local reply
    if reply=$(compose exec -T app-broker majordomo call --broker "$broker" MM POSelect '{}' 2>&1); then
        fail "it was answered: $reply"
    fi
    printf '%s\n' "$reply"
    grep -q "refused by $broker" <<<"$reply" || fail "it was not refused"
    if reply=$(compose exec -T app-broker majordomo call --broker mesh: --timeout 1s --retries 1 MM POSelect '{}' 2>&1); then
        fail "it was answered: $reply"
    fi
    printf '%s\n' "$reply"
    grep -q "no broker was found" <<<"$reply" || fail "it found a broker in the mesh of those who have keys"
}

step() { # EXPECTED ARGUMENT…: one call, whose whole reply must be EXPECTED
    local expected=$1 reply
    shift
    reply=$(call "$@")
    printf '%s\n%s\n' "> $*" "$reply"
    [ "$reply" = "$expected" ] || fail "expected: $expected"
}

tour() {
    say "the purchase-order tour"
    local order='{"_id":"PO-1","item":"bolts","quantity":10}'
    call POSave "$order" | tee "$context/saved"
    [ "$(head -n 1 "$context/saved")" = 200 ] || fail "POSave did not answer 200"
    call POSelect '{"_id":"PO-1"}' | tee "$context/selected"
    [ "$(head -n 1 "$context/selected")" = 200 ] || fail "POSelect did not answer 200"
    grep -q bolts "$context/selected" || fail "POSelect did not find the order"
    # shellcheck disable=SC2016  # $set is MongoDB's, not the shell's
    step $'200\n1' POUpdate '{"_id":"PO-1"}' '{"$set":{"quantity":12}}'
    call POSelect '{"quantity":12}' | tee "$context/selected"
    grep -q bolts "$context/selected" || fail "the update was not read back"
    step $'200\n1' PODelete '{"_id":"PO-1"}'
    step 200 POSelect '{"_id":"PO-1"}'
}

build_base
build_servers
build_majordomo
say "docker-compose up"
trap 'if [ -z "${KEEP:-}" ]; then tear_down; fi; rm -rf "$context"' EXIT
compose up -d --no-build
wait_until_healthy app-broker db-broker mongo redis db-worker mm-worker
compose ps
stranger
tour
say "the tour passed"
