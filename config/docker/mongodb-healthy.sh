#!/bin/bash
# mongodb-healthy.sh [PORT]: health check of MongoDB. Sends a ping, and succeeds if the server answers it with ok: 1.
# mongosh would take seconds of a core. The address is not the loopback one: the server that makes the first user listens
# there, before the real one starts.
set -eu

exec 3<>"/dev/tcp/$HOSTNAME/${1:-27017}"
# OP_MSG: length 51, request 1, in response to 0, opcode 2013, no flags, one section of kind 0: {ping: 1, $db: "admin"}
printf '%b' '\x33\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0' \
    '\x1e\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0' >&3
length=$(head -c 4 <&3 | od -An -v -t u4)
[[ $(head -c "$((length - 4))" <&3 | od -An -v -t x1 | tr -d ' \n') == *016f6b00000000000000f03f* ]]
