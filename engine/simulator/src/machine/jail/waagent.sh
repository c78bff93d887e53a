#!/bin/sh
# Stands in for the Azure Linux agent on a simulated machine. It does the one thing that image builds ask of the agent:
# it removes what makes a machine this machine.
set -u

state=/var/lib/waagent
force=no
action=

usage() {
    echo "usage: waagent [-verbose] [-force] [-help] -deprovision[+user] | -version"
}

for word; do
    case $word in
        -force | --force) force=yes ;;
        -verbose | --verbose) ;;
        -deprovision | --deprovision) action=deprovision ;;
        -deprovision+user | --deprovision+user) action=deprovision+user ;;
        -version | --version) action=version ;;
        -help | --help | -h) usage; exit 0 ;;
        *) usage >&2; exit 1 ;;
    esac
done

case $action in
    version) echo "waagent of a simulated machine"; exit 0 ;;
    '') usage >&2; exit 1 ;;
esac

if [ "$(id -u)" -ne 0 ]; then
    echo "waagent: deprovisioning needs root" >&2
    exit 1
fi

user=
if [ "$action" = deprovision+user ]; then
    user=$(sed -n 's:.*<UserName>\(.*\)</UserName>.*:\1:p' "$state/ovf-env.xml" 2>/dev/null)
fi

echo "WARNING! The waagent service will be stopped."
echo "WARNING! All SSH host key pairs will be deleted."
echo "WARNING! Cached DHCP leases will be deleted."
echo "WARNING! root password will be disabled. You will not be able to login as root."
echo "WARNING! /etc/resolv.conf will be deleted."
[ -n "$user" ] && echo "WARNING! $user account and entire home directory will be deleted."

if [ "$force" = no ]; then
    printf 'Do you want to proceed (y/n)'
    read -r answer || answer=n
    case $answer in [Yy]*) ;; *) exit 0 ;; esac
fi

rm -f /etc/ssh/ssh_host_*
rm -f /var/lib/dhcp/*.leases* /var/lib/dhclient/*.leases* /run/systemd/netif/leases/* 2>/dev/null
rm -f ~root/.bash_history /var/log/waagent.log /etc/resolv.conf
usermod -p '!' root
echo localhost.localdomain >/etc/hostname
if [ -n "$user" ] && id "$user" >/dev/null 2>&1; then
    # The session that runs this belongs to the user: without force it could not be deleted.
    userdel -f -r "$user" 2>/dev/null || [ "$?" -eq 12 ] || exit 1
    rm -f /etc/sudoers.d/waagent
fi
rm -rf "$state"
exit 0
