"""Drives one server with OpenStack's Redfish client and prints what it sees."""

import os
import sys
import warnings

import sushy

warnings.filterwarnings("ignore")  # the certificate is self-signed

# They would override verify=False.
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)

base, user, password = sys.argv[1:]
root = sushy.Sushy(base, username=user, password=password, verify=False)
(path,) = root.get_system_collection().members_identities
system = root.get_system(path)


def power():
    system.refresh(force=True)
    return system.power_state.value.lower()


print(power())

system.set_system_boot_options(
    target=sushy.BOOT_SOURCE_TARGET_PXE, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE
)
system.refresh(force=True)
print("boot", system.boot.target.value.lower(), system.boot.enabled.value.lower())

system.reset_system(sushy.RESET_TYPE_ON)
print(power())
print("boot", system.boot.target.value.lower(), system.boot.enabled.value.lower())

system.reset_system(sushy.RESET_TYPE_FORCE_RESTART)
print(power(), "after restart")

system.reset_system(sushy.RESET_TYPE_FORCE_OFF)
print(power(), "at the end")
