-- Ends the lease of a hub: nothing is sent to it any more.
--
-- ARGV: the keys' prefix, the hub's address, its further addresses.

local prefix, hub = ARGV[1], ARGV[2]
for at = 2, #ARGV do
  local key = prefix .. '{i:' .. ARGV[at] .. '}'
  redis.call('UNLINK', key, key .. ':list', key .. ':counts', key .. ':paused', key .. ':taken')
end
redis.call('ZREM', prefix .. '{hubs}:seen', hub)
redis.call('HDEL', prefix .. '{hubs}:read', hub)
return 0
