#!/bin/sh
# Builds an image on the embedded simulator, and a second one from the first. `make demo` calls it.
set -eu
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}

echo "demo: building the engine (some minutes the first time)"
$CARGO build --quiet --locked -p fornax
fornax=$(pwd)/target/debug/fornax
work=$(mktemp -d)
server=""
# The simulator ends with the demo, whatever happens; it takes its machines along.
finish() { [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; }; rm -rf "$work"; }
trap finish EXIT
trap 'exit 130' INT TERM

export FORNAX_STATE_DIR="$work/state"
echo "demo: starting a local Azure"
mkfifo "$work/ready"
"$fornax" simulator serve --listen 127.0.0.1:0 --ca-out "$work/ca.pem" --machine auto --latency instant >"$work/ready" &
server=$!
read -r ready <"$work/ready"
value() { printf '%s' "$ready" | sed "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/"; }
export ARM_METADATA_URL="$(value metadata_host)" SSL_CERT_FILE="$work/ca.pem"
export ARM_CLIENT_ID="$(value client_id)" ARM_CLIENT_SECRET="$(value client_secret)"
export ARM_TENANT_ID="$(value tenant_id)" ARM_SUBSCRIPTION_ID="$(value subscription_id)"
port=$(value ssh_port)

# Machines of the local Azure answer SSH on their own loopback addresses, at one unprivileged port.
for template in nginx second; do
    sed "s/\"vm_size\"/\"ssh_port\": $port, \"vm_size\"/; s|{{template_dir}}|$(pwd)/examples/nginx|" "examples/nginx/$template.json" >"$work/$template.json"
done

cd "$work"
echo
echo "demo: first image, from a marketplace image"
"$fornax" build nginx.json
echo
echo "demo: second image, from the first one"
"$fornax" build second.json
echo
echo "demo: what exists in the local Azure now (the images, and the group they lie in)"
"$fornax" simulator inventory --endpoint "$ARM_METADATA_URL" --ca "$SSL_CERT_FILE" |
    sed -n 's/^ *"id": "\(.*\)".*/  \1/p'
