-- Forgets all messages, groups and statistics; leases stay, and their owners are told.
--
-- ARGV: the keys' prefix, the same as a pattern, how long elements are kept, the element.

local prefix, pattern, keep, element = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    local rest = string.sub(key, #prefix + 1)
    local is_lease = string.sub(rest, 1, 3) == '{i:' and string.sub(rest, -1) == '}'
    if not is_lease and string.sub(rest, 1, 7) ~= '{hubs}:' then
      redis.call('UNLINK', key)
    end
  end
until cursor == '0'

for _, address in ipairs(redis.call('ZRANGE', prefix .. '{hubs}:seen', 0, -1)) do
  local list = prefix .. '{i:' .. address .. '}:list'
  redis.call('RPUSH', list, element)
  redis.call('PEXPIRE', list, keep)
end
return 0
