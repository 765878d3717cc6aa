-- What is known of one channel, or of all.
--
-- ARGV: the keys' prefix, then the channel's name, the name that it is counted under; or
-- nothing, and a pattern of the lists. Returns: messages counted, full channels counted,
-- how many wait, the deadline of the oldest that waits (empty for none).

local prefix, name, family, pattern = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local pending, first = 0, ''

local function look(list)
  pending = pending + redis.call('LLEN', list)
  local element = redis.call('LINDEX', list, 0)
  local deadline = element and string.match(element, '^%d%d%d%d%d%d%d%d%d%d%d%d%d')
  if deadline then
    if first == '' or deadline < first then
      first = deadline
    end
  end
end

local key
if name ~= '' then
  key = prefix .. '{c:' .. family .. '}:statistics'
  look(prefix .. '{c:' .. name .. '}')
else
  key = prefix .. '{#}:statistics'
  local cursor = '0'
  repeat
    local page = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000, 'TYPE', 'list')
    cursor = page[1]
    for _, list in ipairs(page[2]) do
      look(list)
    end
  until cursor == '0'
end
local counts = redis.call('HMGET', key, 'messages_count', 'channel_full_count')
return { tonumber(counts[1] or 0), tonumber(counts[2] or 0), pending, first }
