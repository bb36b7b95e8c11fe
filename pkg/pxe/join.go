package pxe

// joinScript makes a running system a machine: it installs drpcli, asks who the
// machine is (which declares it if it is new), and runs its control script. It
// is there whatever the boot environment for unknown machines is.
const joinScript = `#!/bin/sh
# Makes this running system a machine of the provisioning server.
set -eu
fail() { echo "join-up: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "run this as root"
command -v curl >/dev/null || fail "curl is needed"
case "$(uname -m)" in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) fail "no drpcli for $(uname -m)" ;;
esac
bin=/usr/local/bin/drpcli
curl -fsS -o "$bin.new" "{{.ProvisionerURL}}/files/drpcli.$arch.linux" || fail "no drpcli for $arch on the server"
chmod 755 "$bin.new"
mv "$bin.new" "$bin"
reply=$("$bin" agent whoami | sed 's/"Env": ""/"Env": "local"/' |
	curl -fsSk -H "Authorization: Bearer {{.GenerateToken}}" -H "Content-Type: application/json" -d @- "{{.ApiURL}}/api/v3/whoami") ||
	fail "the server did not say who this machine is"
id=$(printf '%s' "$reply" | sed -n 's/.*"Uuid": *"\([0-9a-f-]*\)".*/\1/p')
[ -n "$id" ] || fail "the server does not know this machine: $reply"
control=$(mktemp)
trap 'rm -f "$control"' EXIT
curl -fsS -o "$control" "{{.ProvisionerURL}}/machines/$id/control.sh" || fail "no control script for machine $id"
sh "$control"
echo "join-up: this is machine $id"
`

// controlScript runs the agent of one machine as a service of its own system.
const controlScript = `#!/bin/sh
# Runs the agent of machine {{.Machine.Name}} ({{.Machine.Uuid}}) as a service.
set -eu
umask 077
mkdir -p /etc/drp-agent /var/lib/drp-agent
cat >/etc/drp-agent/config.json.new <<'EOF'
{"Endpoint": "{{.ApiURL}}", "CAFingerprint": "{{.CAFingerprint}}", "Token": "{{.GenerateInfiniteToken}}",
 "Machine": "{{.Machine.Uuid}}", "Env": "local"}
EOF
mv /etc/drp-agent/config.json.new /etc/drp-agent/config.json
if [ -d /run/systemd/system ]; then
	cat >/etc/systemd/system/drp-agent.service <<'EOF'
[Unit]
Description=Provisioning agent
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/bin/drpcli agent run --config /etc/drp-agent/config.json
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
EOF
	chmod 644 /etc/systemd/system/drp-agent.service
	systemctl daemon-reload
	systemctl enable drp-agent.service
	systemctl restart drp-agent.service
else
	nohup /usr/local/bin/drpcli agent run --config /etc/drp-agent/config.json >/var/log/drp-agent.log 2>&1 &
fi
`
