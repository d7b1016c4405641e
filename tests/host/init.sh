#!/bin/sh
# Process 1 of a test's host: makes the cgroup file systems writable, which `docker run` leaves read-only, and becomes
# systemd.
set -eu

if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -o remount,rw /sys/fs/cgroup
else
    mount -o remount,rw /sys/fs/cgroup
    # Each is mounted anew: a remount would be one for the machine around this container, too.
    grep ' /sys/fs/cgroup/' /proc/self/mounts | while read -r _ folder type options _; do
        umount "$folder"
        case $type,$options in
            cgroup2,*) with= ;;
            *,*name=systemd*) with=,none,name=systemd ;;
            *) with=,$(basename "$folder") ;;
        esac
        mount -t "$type" -o "rw,nosuid,nodev,noexec,relatime$with" cgroup "$folder"
    done
fi
exec /lib/systemd/systemd
