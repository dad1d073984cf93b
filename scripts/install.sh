#!/bin/sh
# Puts omk on the PATH of a job's later steps: the release that this very commit names in RELEASE, checked against its digest; else
# built from this commit's source. It needs no token and no right, and trusts neither the network nor a cache.
#
#   OMK_VERSION  empty, or `source`
#   OMK_MIRROR   where the archives are, if not where RELEASE says
set -eu
umask 022
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

say() { printf 'omk: %s\n' "$*" >&2; }
die() {
    # One line for the log's annotation; the rest is what to do.
    [ "${GITHUB_ACTIONS:-}" != true ] || printf '::error title=omk could not be installed::%s\n' "$1"
    printf 'omk: error: %s\n' "$1" >&2
    shift
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# The value of a line of RELEASE; nothing where there is no such line.
named() { sed -n "s/^$1[ ][ ]*\([^ ]*\)[ ]*\$/\1/p" "$here/RELEASE"; }

digest() {
    if has sha256sum; then sha256sum "$1" | cut -d ' ' -f 1
    elif has shasum; then shasum -a 256 "$1" | cut -d ' ' -f 1
    else die "there is neither sha256sum nor shasum to check a download with" "install coreutils on this runner"
    fi
}

target() {
    case "$(uname -s)/$(uname -m)" in
        Linux/x86_64 | Linux/amd64) echo x86_64-unknown-linux-musl ;;
        Linux/aarch64 | Linux/arm64) echo aarch64-unknown-linux-musl ;;
        Darwin/x86_64) echo x86_64-apple-darwin ;;
        Darwin/arm64) echo aarch64-apple-darwin ;;
        MINGW* | MSYS* | CYGWIN* | Windows*) echo windows ;;
        *) uname -sm | tr ' ' '-' ;;
    esac
}

# $1 address, $2 file. A second try only where the first broke off: what is not there stays away.
download() {
    if has curl; then
        curl --fail --silent --show-error --location --retry 3 --connect-timeout 20 --max-time 600 --output "$2" -- "$1"
    elif has wget; then
        wget --quiet --tries=3 --timeout=60 --output-document="$2" -- "$1"
    else
        die "there is neither curl nor wget to download with" "install one of them on this runner"
    fi
}

# Sets $omk to the released binary, in a directory of this job's own.
released() {
    archive=omk-$version-$target.tar.gz
    from=${OMK_MIRROR:-$(named from)}
    [ -n "$from" ] || die "RELEASE does not say where the archives are" "set the input \`mirror\`"
    address=${from%/}/$archive
    kept=$cache/$version/$archive
    # The digest is taken of the copy that is unpacked: no other process can change it in between.
    if [ -f "$kept" ] && cp "$kept" "$own/$archive" && [ "$(digest "$own/$archive")" = "$wanted" ]; then
        say "$version for $target, from the tool cache"
    else
        [ ! -f "$kept" ] || say "the archive in the tool cache is not what this commit names; it is downloaded again"
        download "$address" "$own/$archive" || die "failed to download $address" \
            "is the address reachable from this runner? another one can be set with the input \`mirror\`" \
            "or build from source: \`version: source\` (needs cargo)"
        found=$(digest "$own/$archive")
        [ "$found" = "$wanted" ] || die "what came from $address is not what this commit of the action names" \
            "wanted SHA-256 $wanted" "found  SHA-256 $found" \
            "try again in case it broke off; else do not use it, and tell the action's owners"
        # The cache is a help, no need.
        if mkdir -p "$cache/$version" 2>/dev/null && cp "$own/$archive" "$kept.$$" 2>/dev/null; then
            mv -f "$kept.$$" "$kept" || rm -f "$kept.$$"
        fi
        say "$version for $target, from $address"
    fi
    tar -xzf "$own/$archive" -C "$own/bin" omk || die "$archive does not hold omk" "tell the action's owners"
    omk=$own/bin/omk
}

# Sets $omk to a binary built from this commit. It is kept by a digest of all that it is made of. Who can write to the tool
# cache can change it: on machines of your own that other jobs share, use a release.
built() {
    has cargo || die "$1, and there is no cargo to build omk with" \
        "use a runner that has a release: Linux or macOS on x86-64 or arm64" "or put Rust on it in a step before this one"
    files=$(cd "$here" && find Cargo.toml Cargo.lock src -type f | LC_ALL=C sort)
    for file in $files; do printf '%s %s\n' "$(digest "$here/$file")" "$file"; done >"$own/source"
    kept=$cache/source-$(digest "$own/source")/$target
    if [ ! -x "$kept/omk" ]; then
        say "$1; building it from source, which takes some minutes"
        cargo build --release --locked --bin omk --manifest-path "$here/Cargo.toml" --target-dir "$own/target" ||
            die "failed to build omk from source" "cargo says above why"
        { mkdir -p "$kept" && cp "$own/target/release/omk" "$kept/omk.$$" && mv -f "$kept/omk.$$" "$kept/omk"; } ||
            die "failed to put omk into the tool cache $kept"
        rm -rf "$own/target"
    fi
    cp "$kept/omk" "$own/bin/omk"
    omk=$own/bin/omk
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/Cargo.toml" | head -n 1)
}

target=$(target)
if [ "$target" = windows ]; then
    die "omk does not run on Windows" "use \`runs-on: ubuntu-latest\` or a macOS runner for this job" \
        "on a machine of your own, run it in WSL"
fi
temp=${RUNNER_TEMP:-${TMPDIR:-/tmp}}
cache=${RUNNER_TOOL_CACHE:-$temp}/omk
own=$(mktemp -d "$temp/omk-install.XXXXXX")
mkdir "$own/bin"

version=$(named version)
wanted=$(named "$target")
case "${OMK_VERSION:-}" in
    source) built "\`version: source\` was asked for" ;;
    "" | "$version")
        case "$version" in
            "") die "RELEASE is damaged: it names no version" "pin the action to a commit of a release" ;;
            none) built "no release exists yet" ;;
            *) if [ -n "$wanted" ]; then released; else built "release $version has no omk for $target"; fi ;;
        esac
        ;;
    *)
        die "this commit of the action is not of version $OMK_VERSION" \
            "digests are part of the action's commit: pin the action to the commit of that release instead" \
            "leave \`version\` empty for $version"
        ;;
esac

# A binary for another machine, or one that is no omk, is found out here and not in the middle of a run.
said=$("$omk" --version) || die "$omk does not run on this machine ($(uname -sm))" "use \`version: source\` (needs cargo)"
[ "$said" = "omk $version" ] || die "$omk says it is \"$said\", and should be \"omk $version\"" "tell the action's owners"

if [ -n "${GITHUB_PATH:-}" ]; then
    printf '%s\n' "$own/bin" >>"$GITHUB_PATH"
else
    say "add this to PATH: $own/bin"
fi
