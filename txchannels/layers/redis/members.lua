-- The members of a group, but for those whose owner is gone, or that have lapsed.
--
-- ARGV: the keys' prefix, the group. Returns: the channels.

local prefix = ARGV[1]
local key = prefix .. '{g:' .. ARGV[2] .. '}'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local members = {}

for _, address in ipairs(redis.call('HKEYS', key .. ':owners')) do
  if redis.call('EXISTS', prefix .. '{i:' .. address .. '}') == 1 then
    for _, channel in ipairs(redis.call('SMEMBERS', key .. ':of:' .. address)) do
      members[#members + 1] = channel
    end
  end
end

local unowned = redis.call('HGETALL', key .. ':unowned')
for at = 1, #unowned, 2 do
  if tonumber(string.match(unowned[at + 1], '^%d+')) > now then
    members[#members + 1] = unowned[at]
  end
end
return members
