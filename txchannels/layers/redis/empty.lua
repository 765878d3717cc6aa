-- Takes all that is in an inbox.
--
-- ARGV: the keys' prefix, the address. Returns: the elements.

local key = ARGV[1] .. '{i:' .. ARGV[2] .. '}'
local elements = redis.call('LRANGE', key .. ':list', 0, -1)
redis.call('DEL', key .. ':list', key .. ':counts')
return elements
