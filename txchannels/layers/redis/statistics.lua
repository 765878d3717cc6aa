-- What is counted of one channel, or of all, and what waits in the one.
--
-- ARGV: the keys' prefix, the channel's name, the name that it is counted under; or nothing.
-- Returns: messages counted, full channels counted, how many wait, the deadline of the oldest
-- that waits (empty for none).

local prefix, name, family = ARGV[1], ARGV[2], ARGV[3]
local key, pending, first = prefix .. '{#}:statistics', 0, ''

if name ~= '' then
  local list = prefix .. '{c:' .. name .. '}'
  local element = redis.call('LINDEX', list, 0)
  key = prefix .. '{c:' .. family .. '}:statistics'
  pending = redis.call('LLEN', list)
  first = element and string.match(element, '^%d%d%d%d%d%d%d%d%d%d%d%d%d') or ''
end
local counts = redis.call('HMGET', key, 'messages_count', 'channel_full_count')
return { tonumber(counts[1] or 0), tonumber(counts[2] or 0), pending, first }
