#!/bin/sh
# Makes what deploy/compose.yaml needs and nobody else may have: passwords, the master key, and files that hold them.
#
#     deploy/compose/prepare.sh NAME CERTIFICATE KEY
#
# NAME is the host name at which browsers and programs find the server; CERTIFICATE and KEY are PEM files for it. Passwords and the
# master key that are there already are kept, so it can be run again: for another name, or for a new certificate.
set -eu
umask 077

if [ $# -ne 3 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
name=$1 certificate=$2 key=$3
case $name in
*[!A-Za-z0-9.-]* | "") echo "$name is not a host name." >&2 && exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
own=$here/own
mkdir -p "$own"
chmod 700 "$own"

# The given number of random letters and digits.
letters() { LC_ALL=C tr -dc A-Za-z0-9 </dev/urandom | head -c "$1"; }

# Writes a file, whole or not at all.
write() { cat >"$own/$1.draft" && mv "$own/$1.draft" "$own/$1"; }

[ -s "$own/postgres_password" ] || letters 40 | write postgres_password
[ -s "$own/valkey.conf" ] || write valkey.conf <<END
requirepass $(letters 40)
save ""
appendonly no
END
[ -s "$own/master.key" ] || printf '%s:%s\n' "$(letters 8)" "$(head -c 32 /dev/urandom | base64)" | write master.key
write realmgate.toml <<END
database_url = "postgresql://realmgate:$(cat "$own/postgres_password")@postgres/realmgate"
valkey_url = "valkey://:$(sed -n 's/^requirepass //p' "$own/valkey.conf")@valkey:6379/0"
END
sed -e 's|127\.0\.0\.1:8080|server:8080|' -e 's|127\.0\.0\.1:8443|8443|' -e "s|id\.example\.com|$name|" \
    -e 's|/etc/ssl/realmgate\.pem|/run/secrets/certificate.pem|' -e 's|/etc/ssl/realmgate\.key|/run/secrets/key.pem|' \
    "$here/../proxies/nginx.conf" | write site.conf
write certificate.pem <"$certificate"
write key.pem <"$key"
uid=$(id -u)
if [ "$uid" -eq 0 ]; then
    uid=10001 # nothing is to run as root
    chown -R "$uid" "$own"
fi
printf 'REALMGATE_UID=%s\nREALMGATE_NAME=%s\n' "$uid" "$name" >"$here/../.env"
echo "Everything is in $own. Keep a copy of master.key apart from backups of the database: one is of no use without the other."
