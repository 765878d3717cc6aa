-- Tells all hubs something, in their inboxes: that a flush begins, or is over.
--
-- ARGV: the keys' prefix, milliseconds for which the element is kept, the element, 1 to empty
-- these inboxes first. Returns: the server's time in milliseconds.

local prefix, keep, element, is_beginning = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local time = redis.call('TIME')

for _, address in ipairs(redis.call('ZRANGE', prefix .. '{hubs}:seen', 0, -1)) do
  local inbox = prefix .. '{i:' .. address .. '}'
  if is_beginning then
    redis.call('UNLINK', inbox .. ':list', inbox .. ':counts', inbox .. ':paused')
  end
  redis.call('RPUSH', inbox .. ':list', element)
  redis.call('PEXPIRE', inbox .. ':list', keep)
end
return time[1] * 1000 + math.floor(time[2] / 1000)
