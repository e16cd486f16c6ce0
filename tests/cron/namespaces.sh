#!/bin/bash
# Debian's cron in mount and PID namespaces that were just made: it sees the crontabs of FOLDER and no others,
# its mail and its log go to FOLDER, and nothing of the machine's is touched.
#   FOLDER/system         becomes /etc/crontab
#   FOLDER/users/NAME     becomes the crontab of that user
#   FOLDER/environment    becomes /etc/environment, and FOLDER/locale /etc/default/locale, if they are there
#   FOLDER/sendmail       is run for each mail, as the user
#   FOLDER/log            the socket that takes the log
set -eu
folder=$1

mount -t tmpfs tmpfs /run
mkdir /run/lock

mount -t tmpfs tmpfs /etc/cron.d
touch "$folder/system"
chmod 644 "$folder/system"
[ ! -e /etc/crontab ] || mount --bind "$folder/system" /etc/crontab

mount -t tmpfs tmpfs /var/spool/cron
install --directory --group=crontab --mode=1730 /var/spool/cron/crontabs
for path in "$folder"/users/*; do
    [ -e "$path" ] || continue
    user=${path##*/}
    install --owner="$user" --group=crontab --mode=600 "$path" "/var/spool/cron/crontabs/$user"
done

[ ! -e "$folder/environment" ] || mount --bind "$folder/environment" /etc/environment
[ ! -e "$folder/locale" ] || mount --bind "$folder/locale" /etc/default/locale

# /usr/sbin with the sendmail that cron is built to call, and /dev with the socket that syslog(3) is
cp --archive /usr/sbin /run/sbin
install "$folder/sendmail" /run/sbin/sendmail
mount --bind /run/sbin /usr/sbin
mkdir /run/dev
mount --rbind /dev /run/dev
mount -t tmpfs tmpfs /dev
for node in full null random tty urandom zero; do
    touch "/dev/$node"
    mount --bind "/run/dev/$node" "/dev/$node"
done
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
install --directory --mode=1777 /dev/shm
touch /dev/log
mount --bind "$folder/log" /dev/log

cd /
umask 022
# its log level tells begin, end and exit status; no variable of its own reaches what it runs
exec env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 FROM_THE_DAEMON=1 cron -f -L 15
