package pxe

// joinScript makes a running system a machine: it installs drpcli, asks who the
// machine is (which declares it if it is new) over TLS, and runs the agent as a
// service. An address that we leased to it shows who it is, or the operator's
// token in JOIN_TOKEN. The script is there whatever the boot environment for
// unknown machines is.
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
"$bin" agent join --endpoint "{{.ApiURL}}" --ca "{{.CAFingerprint}}" --token "${JOIN_TOKEN:-{{.GenerateToken}}}" \
	--config /etc/drp-agent/config.json || fail "the server does not take this system for one of its machines"
` + serviceScript

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
` + serviceScript

// serviceScript starts the agent by its configuration, now and at each boot.
const serviceScript = `if [ -d /run/systemd/system ]; then
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
