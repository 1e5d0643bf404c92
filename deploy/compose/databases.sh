#!/bin/sh
# A database for each service, and a role that owns it and can see no other. PostgreSQL's image runs it once, when the
# server is empty; the passwords are in /run/secrets.
set -eu

for service in invites membership billing notifier console; do
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
        --set=name="$service" --set=password="$(cat "/run/secrets/$service")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --command='REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC'
