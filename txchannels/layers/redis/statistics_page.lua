-- What waits in the lists of one page of the keys.
--
-- ARGV: the keys' prefix, a pattern of the lists, the cursor, how many keys to look at.
-- Returns: the next cursor, then for each list its key, how many wait, the deadline of the
-- oldest (empty for none).

local page = redis.call('SCAN', ARGV[3], 'MATCH', ARGV[2], 'COUNT', ARGV[4], 'TYPE', 'list')
local found = { page[1] }
for _, list in ipairs(page[2]) do
  local element = redis.call('LINDEX', list, 0)
  found[#found + 1] = list
  found[#found + 1] = redis.call('LLEN', list)
  found[#found + 1] = element and string.match(element, '^%d%d%d%d%d%d%d%d%d%d%d%d%d') or ''
end
return found
